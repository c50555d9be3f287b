"""What people are told when: P1 at once, P2 when they work and not too often, the rest once a day; storms as one."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from schemas.alert_commands import AlertSilence
from schemas.alerts import Handling
from services.notify.domain.destinations import DestinationsConfig
from services.notify.domain.grouping import ALREADY_RESOLVED, BATCH_WAIT
from services.notify.domain.guards import STORM_SPAN
from services.notify.domain.working_hours import ReceivingHours
from tests.notify.building import Pair, clock
from tests.notify.harness import NotifyHarness, lines, machine, mailed, mailing, one
from tests.notify.naming import participant, programme

MONDAY = datetime(2024, 5, 6, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PAIR = Pair()
LOW: dict[str, Any] = {"health": 38.0}
CRITICAL: dict[str, Any] = {"health": 20.0}
WELL: dict[str, Any] = {"health": 90.0}


def at(days: float = 0, hours: float = 0, minutes: float = 0) -> datetime:
    return MONDAY + timedelta(days=days, hours=hours, minutes=minutes)


def office(*others: Any, now: datetime = MONDAY - 30 * DAY, **fields: Any) -> NotifyHarness:  # noqa: ANN401
    return one(mailing(), *others, now=now, **fields)


def critical_at(found: NotifyHarness, moment: datetime, *pairs: Pair) -> None:
    """P2 fires at that instant: after six hours below 25."""
    found.at(moment - 6 * HOUR, *(pair.changed(moment - 6 * HOUR, **CRITICAL) for pair in pairs))
    found.at(moment)


def when(found: NotifyHarness, recipient: str = "team") -> list[datetime]:
    return [moment for moment, message in found.sent if message.recipient == recipient]


def states(found: NotifyHarness) -> dict[tuple[str, str], tuple[str, str]]:
    return {(d.recipient, d.transition): (d.state, d.status) for d in found.written.values()}


def test_a_p2_is_sent_after_a_minute_while_people_work_and_machines_at_once() -> None:
    found = office(machine())

    critical_at(found, at(0, 10), PAIR)
    found.until(at(0, 11))

    assert when(found, "hook") == [at(0, 10)]
    assert when(found) == [at(0, 10) + BATCH_WAIT]


def test_two_of_a_programme_within_a_minute_are_one_message_and_the_next_comes_15_minutes_later() -> None:
    found = office()
    early, soon, later = Pair("early"), Pair("soon"), Pair("later")

    for pair, minute in ((early, 0), (soon, 0.5), (later, 3)):
        moment = at(0, 4, minute)
        found.now = moment
        found.apply(clock(moment), pair.changed(moment, **CRITICAL))
    for minute in range(30):
        found.at(at(0, 10, minute))

    first, second = found.messages()
    assert [first.relationship, *(item.relationship for item in first.items)] == ["early", "soon"]
    assert second.relationship == "later"
    assert when(found) == [at(0, 10, 1), at(0, 10, 16)]


def test_what_fires_at_night_waits_for_the_morning_and_what_is_over_by_then_is_a_line_of_the_digest() -> None:
    found = office()
    gone, stays = Pair("gone"), Pair("stays")

    critical_at(found, at(-3, 20), gone, stays)
    found.at(at(-3, 21), gone.changed(at(-3, 21), **WELL))
    found.until(at(1, 9), HOUR / 2)

    (morning,) = found.messages()
    assert when(found) == [at(0, 8, 30)]
    assert (morning.relationship, morning.transition, lines(morning)) == ("stays", "fired", 2)
    assert [(item.relationship, item.alert.transition) for item in morning.items] == [("gone", "resolved")]
    fired = next(d for d in found.written.values() if (d.relationship, d.transition) == ("gone", "fired"))
    assert fired.status == f"told in {morning.delivery_id[:16]}, which lists 2 alerts"


def test_where_the_digest_comes_hours_later_what_is_over_waits_for_it() -> None:
    late = replace(mailing(), hours=ReceivingHours(digest_at=time(12)))
    found = one(late, now=MONDAY - 30 * DAY)
    gone, stays = Pair("gone"), Pair("stays")

    critical_at(found, at(-3, 20), gone, stays)
    found.at(at(-3, 21), gone.changed(at(-3, 21), **WELL))
    found.until(at(1, 9), HOUR / 2)

    first, digest = found.messages()
    assert when(found) == [at(0, 8), at(0, 12)]
    assert (first.relationship, lines(first), digest.transition, lines(digest)) == ("stays", 1, "resolved", 1)
    fired = next(d for d in found.written.values() if (d.relationship, d.transition) == ("gone", "fired"))
    assert (fired.state, fired.status) == ("superseded", ALREADY_RESOLVED)


def test_a_p3_waits_for_the_digest_of_the_next_working_day_in_the_zone_of_the_programme() -> None:
    found = office()
    found.people.upsert_programme(
        programme(time_zone="Asia/Kolkata", holidays=(date(2024, 5, 6),), coordinator=None, deputy=None)
    )

    found.at(at(-4, 4), PAIR.changed(at(-4, 4), **LOW))
    found.until(at(2), HOUR / 2)

    assert found.alerts[0].urgency == "P3"
    assert when(found) == [at(1, 3)]
    assert found.alerts[0].decisions[3].why == "people at Tue 7 May 08:30 Asia/Kolkata at the earliest"


def test_what_fires_at_the_very_minute_of_the_digest_is_in_it_and_says_so() -> None:
    found = office()
    early, last = Pair("early"), Pair("last")
    found.at(at(0, 3), early.changed(at(-1, 7), **LOW))
    found.at(at(0, 4), last.changed(at(-1, 8.5), **LOW))
    found.until(at(0, 9), HOUR / 2)

    (digest,) = found.messages()
    assert (when(found), lines(digest)) == ([at(0, 8.5)], 2)
    told = f"told in {digest.delivery_id[:16]}, which lists 2 alerts"
    assert [d.status for d in found.written.values() if d.state == "superseded"] == [told, told]


def test_fired_and_resolved_before_the_digest_is_one_line() -> None:
    found = office(machine())
    found.at(at(-4, 9), PAIR.changed(at(-4, 9), **LOW))
    found.at(at(-3, 9))
    found.at(at(-3, 10), PAIR.changed(at(-3, 10), **WELL))
    found.until(at(0, 9), HOUR / 2)

    assert [message.transition for message in found.messages("hook")] == ["fired", "resolved"]
    (line,) = found.messages()
    assert (line.transition, lines(line)) == ("resolved", 1)
    assert states(found)["team", "fired"][0] == "superseded"


def test_support_is_sent_at_once_in_the_night_and_so_is_its_end() -> None:
    found = office()

    found.at(at(-1, 3), PAIR.changed(at(-1, 3), caps=("support_open",)))
    found.at(at(-1, 4), PAIR.changed(at(-1, 4), 2))

    assert [(message.transition, message.group) for message in found.messages()] == [
        ("fired", None),
        ("resolved", None),
    ]
    assert when(found) == [at(-1, 3), at(-1, 4)]


def test_rules_of_one_pair_are_one_message() -> None:
    found = office()
    found.at(at(0, 3), PAIR.changed(at(0, 3), health=20.0, risk=0.2), Pair("other").changed(at(-1, 8.5), **LOW))
    found.until(at(0, 8.6), HOUR / 2)
    before = len(found.messages())
    two = Pair("two")
    found.at(at(0, 9), two.changed(at(0, 9), health=38.0, risk=0.9, last_contact=at(-10)))
    found.until(at(1, 9, 10), MINUTE * 5)

    message = next(one for one in found.messages()[before:] if one.relationship == "two")
    rules = {message.alert.rule, *(item.alert.rule for item in message.items if item.relationship == "two")}
    assert rules == {"health_low", "disengaging"}


def test_an_acknowledged_alert_is_not_sent_in_the_morning_and_nobody_is_notified_of_its_end() -> None:
    found = office()
    critical_at(found, at(-1, 20), PAIR)
    found.partition.set_handling(
        "acme/4F2", "health_low", Handling(state="acknowledged", by="p-3", until=at(3)), "I know of it"
    )
    found.until(at(0, 9), HOUR / 2)

    assert found.messages() == []
    assert states(found)["team", "fired"] == ("superseded", "acknowledged until 9 May 2024 00:00 UTC")

    found.at(at(0, 10), PAIR.changed(at(0, 10), **WELL))
    found.until(at(3, 9), HOUR / 2)

    assert found.messages() == []
    assert found.alerts[-1].not_sent == "nobody who heard of it is there to be told"


def test_a_silence_that_begins_in_the_night_mutes_what_waits() -> None:
    found = office()
    critical_at(found, at(-1, 20), PAIR)
    found.silences.append(AlertSilence(id="s", tenant="acme", by="p-3", since=at(-1, 21), until=at(2)))
    found.until(at(0, 9), HOUR / 2)

    assert found.messages() == []
    assert states(found)["team", "fired"] == ("superseded", "silence s until 8 May 2024 00:00 UTC")


def test_the_first_notice_after_a_silence_names_it() -> None:
    found = office()
    found.silences.append(AlertSilence(id="fair-week", tenant="acme", by="p-3", since=at(-9), until=at(0, 9)))
    found.at(at(-1), PAIR.changed(at(-1), **LOW))
    found.at(at(0, 1))
    assert found.alerts[-1].not_sent == "silence fair-week until 6 May 2024 09:00 UTC"

    found.silences.clear()
    found.at(at(0, 10), PAIR.changed(at(0, 10), 2, **CRITICAL))
    found.until(at(0, 16, 5), MINUTE * 30)

    assert [alert.after_silence for alert in found.alerts] == [None, "fair-week"]
    found.at(at(1, 10), PAIR.changed(at(1, 10), 3, **WELL))
    found.until(at(4), HOUR)
    assert found.alerts[-1].after_silence is None


def test_the_owner_of_the_programme_gets_it_in_their_zone_and_the_deputy_when_they_leave() -> None:
    config = DestinationsConfig((mailed(), mailing()), otherwise="team")
    found = NotifyHarness(config, MONDAY - 30 * DAY)
    found.people.upsert_programme(programme(coordinator="p-3", deputy="p-4"))
    found.people.upsert(participant("p-3", "Ana", addresses=("ana@acme.example",), time_zone="Asia/Kolkata"))
    found.people.upsert(participant("p-4", "Ben", addresses=("ben@acme.example",), time_zone="America/New_York"))

    critical_at(found, at(-1, 20), Pair("one"))
    found.until(at(0, 4), HOUR / 2)
    assert [(m.person, moment) for moment, m in found.sent if m.recipient == "owners"] == [("p-3", at(0, 3))]

    critical_at(found, at(0, 22), Pair("two"))
    found.people.upsert(participant("p-3", "Ana", addresses=("ana@acme.example",), status="leave"))
    found.until(at(1, 13), HOUR / 2)

    assert [(m.person, moment) for moment, m in found.sent if m.recipient == "owners"][1:] == [("p-4", at(1, 12.5))]

    critical_at(found, at(1, 22), Pair("three"))
    found.people.forget("acme", "p-4")
    found.until(at(2, 9), HOUR / 2)

    assert not any(m.recipient == "owners" and m.relationship == "three" for _, m in found.sent)
    assert [m.relationship for m in found.messages()].count("three") == 1


def test_a_storm_is_one_message_of_all_and_nothing_is_dropped() -> None:
    found = office(machine())
    calm = [Pair(f"calm-{number}") for number in range(40)]
    pairs = [Pair(f"pair-{number}") for number in range(20)]
    found.at(at(-1), *(pair.changed(at(-1), **WELL) for pair in (*calm, *pairs)))
    found.at(at(0, 4), *(pair.changed(at(0, 4), 2, **CRITICAL) for pair in pairs[:15]))
    found.at(at(0, 4, 2), *(pair.changed(at(0, 4, 2), 2, **CRITICAL) for pair in pairs[15:]))
    found.until(at(0, 11), MINUTE)

    (message,) = found.messages()
    assert [moment for moment, sent in found.sent if sent is message] == [at(0, 10) + STORM_SPAN]
    assert (message.group, lines(message), len(message.items)) == ("storm", 20, 9)
    assert len(found.messages("hook")) == 20
    assert "a storm: 7 transitions of 60 active pairs within 10 min" in {a.decisions[4].why for a in found.alerts}
    shift = "programme_shift"
    singles = [d for d in found.written.values() if d.recipient == "team" and not d.items and d.alert.rule != shift]
    assert len(singles) == 20
    assert {d.status[:30] for d in singles} == {f"told in {message.delivery_id[:16]}, which"[:30]}


def test_over_the_bucket_several_programmes_are_one_message() -> None:
    found = one(mailing(most_per_hour=2), now=MONDAY - 30 * DAY)
    pairs = [Pair(f"pair-{number}", program=f"programme-{number}") for number in range(5)]
    critical_at(found, at(0, 10), *pairs[:4])
    found.at(at(0, 10, 1))

    assert [lines(message) for message in found.messages()] == [4]

    later = Pair("later", program="later")
    found.at(at(0, 10, 2), later.changed(at(0, 4, 2), **CRITICAL))
    found.at(at(0, 10, 4), pairs[4].changed(at(0, 4, 4), **CRITICAL))
    found.until(at(0, 12), MINUTE)

    assert [lines(message) for message in found.messages()] == [4, 1, 1]
    assert when(found)[-1] == at(0, 11, 1)


def test_groups_buckets_and_storms_survive_a_restart_with_the_same_ids() -> None:
    unbroken, broken = _of_two_days(restarts=False), _of_two_days(restarts=True)

    assert [message.delivery_id for _, message in broken.sent] == [message.delivery_id for _, message in unbroken.sent]
    assert [moment for moment, _ in broken.sent] == [moment for moment, _ in unbroken.sent]
    assert sum(map(lines, broken.messages())) == 20
    assert {message.group for message in broken.messages()} == {"batch", "digest", "storm"}


def _of_two_days(*, restarts: bool) -> NotifyHarness:
    found = office(machine())
    pairs = [Pair(f"pair-{number}") for number in range(20)]
    found.at(at(-1), *(pair.changed(at(-1), **WELL) for pair in pairs))
    for number, pair in enumerate(pairs):
        moment = at(0, 4, number * 3 if number < 11 else 22 + number)
        found.at(moment, pair.changed(moment, 2, **(CRITICAL if number % 2 or number > 10 else LOW)))
    while found.now < at(2, 9):
        found.until(found.now + HOUR / 4, HOUR / 20)
        if restarts:
            found.restart()
    return found


def test_an_erased_relationship_ends_its_alerts_and_is_in_nothing_that_is_sent_or_kept() -> None:
    found = office(machine())
    stays = Pair("stays")
    critical_at(found, at(-1, 20), PAIR, stays)
    assert found.state("acme/4F2")

    decisions = found.erase("relationship", "4F2")
    found.at(at(0, 1), PAIR.changed(at(0, 1), 9, **CRITICAL))
    found.until(at(2, 9), HOUR / 2)

    (ended,) = decisions
    assert (ended.event.data.transition, ended.event.data.why) == ("resolved", "relationship erased")
    assert ended.event.data.reading is None
    assert [(d.recipient, d.transition) for d in ended.deliveries] == [("hook", "resolved")]
    assert not found.state("acme/4F2")
    assert [message.relationship for message in found.messages()] == ["stays"]
    assert not any("4F2" in d.model_dump_json() for d in found.written.values() if d.recipient == "team")


def test_an_erased_person_looks_after_nothing_any_more() -> None:
    found = office()
    critical_at(found, at(0, 10), PAIR)
    held = Handling(state="acknowledged", by="p-3", until=at(9), assignee="p-3")
    found.partition.set_handling("acme/4F2", "health_low", held)

    found.erase("person", "p-3")
    found.at(at(0, 11))

    watch = found.partition.watch("acme/4F2")
    assert watch is not None
    assert watch.handling["health_low"] == Handling(state="acknowledged", until=at(9))
    assert b"p-3" not in found.state("acme/4F2")


def test_whoever_leaves_hands_all_they_have_to_the_deputy_in_one_message() -> None:
    found = NotifyHarness(DestinationsConfig((mailed(), mailing()), otherwise="team"), MONDAY - 30 * DAY)
    found.people.upsert_programme(programme(coordinator="p-3", deputy="p-4", time_zone="UTC"))
    for one_, name in (("p-3", "Ana"), ("p-4", "Ben")):
        found.people.upsert(participant(one_, name, addresses=(f"{name}@acme.example",), time_zone="UTC"))
    pairs = [Pair(f"pair-{number}") for number in range(3)]
    critical_at(found, at(0, 9), *pairs)
    found.until(at(0, 10), MINUTE)
    assigned = Handling(assignee="p-4")
    found.partition.set_handling("acme/pair-2", "health_low", assigned)

    found.people.upsert(participant("p-3", "Ana", addresses=("Ana@acme.example",), status="exited"))
    found.leave("p-3")
    found.until(at(0, 11), MINUTE)
    found.leave("p-3")
    found.until(at(3), HOUR)

    first, second = [message for _, message in found.sent if message.recipient == "owners"]
    assert (first.person, lines(first)) == ("p-3", 3)
    assert (second.person, second.group, lines(second)) == ("p-4", "handover", 2)
    assert second.alert.why == "handed over: whoever had it is away"


def test_what_a_silence_has_muted_and_is_still_so_is_sent_when_it_is_over() -> None:
    found = office()
    silence = AlertSilence(id="fair-week", tenant="acme", by="p-3", since=at(-9), until=at(0, 9))
    found.silences.append(silence)
    critical_at(found, at(-1), PAIR, Pair("well"))
    found.at(at(-1, 1), Pair("well").changed(at(-1, 1), 2, **WELL))
    found.until(at(1, 9), HOUR)
    assert found.messages() == []

    found.silences.clear()
    found.unmute(silence)
    found.until(at(3), HOUR)

    (message,) = found.messages()
    assert (message.relationship, message.transition, lines(message)) == ("4F2", "reminded", 1)
    assert message.alert.after_silence == "fair-week"
    assert message.alert.why == "still so when silence fair-week was over"


def test_what_waits_for_a_person_who_is_erased_names_them_no_longer_and_goes_to_the_deputy() -> None:
    found = NotifyHarness(
        DestinationsConfig((mailed(), mailing(gets_alerts=False)), otherwise="team"), MONDAY - 30 * DAY
    )
    found.people.upsert_programme(programme(coordinator="p-3", deputy="p-4", time_zone="UTC"))
    for person in ("p-3", "p-4"):
        found.people.upsert(participant(person, person, addresses=(f"{person}@acme.example",), time_zone="UTC"))
    critical_at(found, at(-1, 20), PAIR)
    assert [d.person for d in found.written.values()] == ["p-3"]

    found.people.forget("acme", "p-3")
    found.erase("person", "p-3")

    assert [d.person for d in found.written.values()] == [None]
    assert b"p-3" not in found.state("acme/4F2")
    found.until(at(0, 9), HOUR / 2)
    assert [(message.person, message.relationship) for _, message in found.sent] == [("p-4", "4F2")]


def test_where_owners_have_become_whoever_gets_the_rest_an_end_is_sent_once() -> None:
    found = NotifyHarness(DestinationsConfig((mailed(), mailing()), otherwise="team"), MONDAY - 30 * DAY)
    found.people.upsert_programme(programme(coordinator="p-3", deputy=None, time_zone="UTC"))
    found.people.upsert(participant("p-3", "Ana", addresses=("ana@acme.example",), time_zone="UTC"))
    found.at(at(0, 9), PAIR.changed(at(0, 9), caps=("support_open",)))
    found.people.forget("acme", "p-3")
    found.at(at(0, 10), PAIR.changed(at(0, 10), 2))

    assert [(m.recipient, m.transition) for _, m in found.sent] == [
        ("owners", "fired"),
        ("team", "fired"),
        ("team", "resolved"),
    ]
