"""What the answer of a receiver means, and what waits for whom."""

import json
from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest

from schemas.alerts import ChannelName, Delivery, Urgency
from services.notify.channels.verdicts import http_verdict
from services.notify.domain.decisions import alert_changed, plan_deliveries
from services.notify.domain.deliveries import (
    KEYED,
    AttemptResult,
    DeliveryAccepted,
    DestinationDown,
    MessageRejected,
    OutcomeUnknown,
    RetryLater,
    Verdict,
    apply_result,
    backoff,
    has_ended,
    mark_dead,
    recover_interrupted,
    reset_for_replay,
    start_attempt,
    supersede,
)
from services.notify.domain.ids import Destination
from services.notify.domain.ledger import Ledger
from services.notify.domain.outbox import Outbox, Parked, SendLimits, as_fallback, decision_order, is_overdue
from tests.notify.building import Pair, apply_event, clock, day, hour, new_alerts

NOW = day(50)
SECOND = timedelta(seconds=1)
WIDE = SendLimits(in_flight=9, most=100, span=SECOND)


def deliveries(relationship: str = "4F2", *, decided_at: float = 40) -> list[Delivery]:
    """Of one episode: fired, escalated, resolved."""
    pair = Pair(relationship=relationship)
    rows = (pair.changed(hour(0), health=38.0), pair.changed(day(2), health=20.0), pair.changed(day(4), health=90.0))
    transitioned = apply_event(new_alerts(), *rows, clock(day(30)))
    return [
        d for h in transitioned for d in plan_deliveries(alert_changed(h, day(decided_at)), [Destination("log", "log")])
    ]


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (200, DeliveryAccepted("HTTP 200")),
        (204, DeliveryAccepted("HTTP 204")),
        (302, DestinationDown("HTTP 302: redirects are not followed")),
        *[(code, MessageRejected(f"HTTP {code}")) for code in (400, 413, 422)],
        *[(code, DestinationDown(f"HTTP {code}")) for code in (401, 403, 404, 410, 429)],
        *[(code, RetryLater(f"HTTP {code}")) for code in (408, 425, 500, 502, 503, 504)],
    ],
)
def test_an_answer_says_whether_message_or_destination_is_at_fault(code: int, verdict: Verdict) -> None:
    assert http_verdict(code, None, NOW) == verdict


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", 7 * SECOND),
        ("0", 0 * SECOND),
        ("9" * 30, timedelta(days=10)),
        (format_datetime(NOW + 90 * SECOND, usegmt=True), 90 * SECOND),
        (format_datetime(NOW - 90 * SECOND, usegmt=True), 0 * SECOND),
        ("Wed, 01 May 2024 00:00:00", None),
        ("soon", None),
        ("-1", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, wait: timedelta | None) -> None:
    assert http_verdict(503, header, NOW) == RetryLater("HTTP 503", wait)


def test_the_wait_doubles_from_a_second_to_five_minutes_with_full_jitter() -> None:
    assert [backoff(n, 1.0).total_seconds() for n in (1, 2, 3, 9, 10, 1000)] == [1, 2, 4, 256, 300, 300]
    assert backoff(5, 0.0) == timedelta(0)
    assert backoff(3, 0.5) == 2 * SECOND


def test_a_delivery_lives_from_planned_to_delivered() -> None:
    begun = start_attempt(deliveries()[0], NOW)
    done = apply_result(begun, AttemptResult(DeliveryAccepted("HTTP 200"), NOW + SECOND, 0.25), jitter=1.0)

    assert (begun.state, begun.attempt, begun.started_at) == ("started", 1, NOW)
    assert (done.state, done.status, done.latency_seconds, done.changed_at) == (
        "delivered",
        "HTTP 200",
        0.25,
        NOW + SECOND,
    )


def test_a_refused_delivery_is_dead() -> None:
    dead = apply_result(
        start_attempt(deliveries()[0], NOW), AttemptResult(MessageRejected("HTTP 422"), NOW, 0.1), jitter=1.0
    )

    assert (dead.state, dead.status) == ("dead", "HTTP 422")
    assert mark_dead(deliveries()[0], "gone", NOW).state == "dead"


def test_a_failed_attempt_is_planned_again_and_retry_after_wins() -> None:
    begun = start_attempt(deliveries()[0], NOW)

    later = apply_result(begun, AttemptResult(RetryLater("HTTP 500"), NOW, 0.1), jitter=0.5)
    told = apply_result(begun, AttemptResult(RetryLater("HTTP 503", 600 * SECOND), NOW, 0.1), jitter=0.5)

    assert (later.state, later.due_at, later.status) == ("planned", NOW + 0.5 * SECOND, "HTTP 500")
    assert told.due_at == NOW + 600 * SECOND
    assert start_attempt(later, NOW + SECOND).attempt == 2
    assert start_attempt(later, NOW + SECOND).started_at == NOW


def test_old_news_is_given_up() -> None:
    begun = start_attempt(deliveries()[0], NOW)

    dead = apply_result(begun, AttemptResult(RetryLater("HTTP 500"), NOW + timedelta(hours=24), 0.1), jitter=0.5)

    assert (dead.state, dead.status) == ("dead", "given up after 1 attempts: HTTP 500")


def test_the_transitions_of_an_episode_go_one_after_the_other() -> None:
    first, second, third = deliveries()
    outbox = Outbox(WIDE)
    for delivery in (first, second, third):
        outbox.add(delivery)

    assert outbox.poll_due(NOW) == [first]
    assert outbox.poll_due(NOW) == []
    assert (len(outbox), outbox.in_flight) == (3, 1)
    outbox.complete(first.model_copy(update={"state": "delivered"}))
    assert outbox.poll_due(NOW) == [second]
    outbox.complete(second.model_copy(update={"state": "dead"}))
    assert outbox.poll_due(NOW) == [third]
    outbox.complete(third.model_copy(update={"state": "delivered"}))
    assert (len(outbox), outbox.in_flight) == (0, 0)


def test_what_failed_waits_and_holds_up_its_own_episode_only() -> None:
    stuck, follower, _ = deliveries("stuck")
    other = deliveries("other")[0]
    outbox = Outbox(WIDE)
    for delivery in (stuck, follower, other):
        outbox.add(delivery)
    assert outbox.poll_due(NOW) == [stuck, other]

    again = stuck.model_copy(update={"due_at": NOW + SECOND})
    outbox.complete(again)

    assert outbox.poll_due(NOW) == []
    assert outbox.poll_due(NOW + SECOND) == [again]


def test_nothing_is_handed_out_before_it_is_due() -> None:
    outbox = Outbox(WIDE)
    outbox.add(deliveries(decided_at=51)[0])

    assert outbox.poll_due(NOW) == []


def test_after_a_restart_the_order_is_that_of_the_decisions() -> None:
    first, second = deliveries("a", decided_at=41), deliveries("b", decided_at=40)

    assert decision_order([*reversed(first), *reversed(second)]) == [*second, *first]


def of(channel: ChannelName, urgency: Urgency = "P2", **fields: object) -> Delivery:
    first = deliveries()[0]
    alert = first.alert.model_copy(update={"urgency": urgency})
    return first.model_copy(update={"channel": channel, "alert": alert, **fields})


def sent(channel: ChannelName, verdict: Verdict, urgency: Urgency = "P2", **fields: object) -> Delivery:
    return apply_result(
        start_attempt(of(channel, urgency, **fields), NOW), AttemptResult(verdict, NOW, 0.1), jitter=0.5
    )


@pytest.mark.parametrize("channel", sorted(KEYED))
def test_what_is_unknown_is_tried_again_under_its_key(channel: ChannelName) -> None:
    later = sent(channel, OutcomeUnknown("ReadError"), body="as it was")

    again = start_attempt(later, NOW + SECOND)

    assert (later.state, later.due_at) == ("planned", NOW + 0.5 * SECOND)
    assert (again.repeat, again.body) == (False, "as it was")


@pytest.mark.parametrize(("urgency", "again"), [("P1", True), ("P2", True), ("P3", False)])
def test_without_a_key_it_is_sent_again_once_where_somebody_waits_for_it(urgency: Urgency, again: bool) -> None:  # noqa: FBT001
    unknown = sent("smtp", OutcomeUnknown("SMTPServerDisconnected"), urgency, body="as it was")

    assert unknown.state == "unknown"
    assert has_ended(unknown) is not again
    if again:
        second = start_attempt(unknown, NOW + SECOND)
        assert (second.repeat, second.body) == (True, None)
        assert has_ended(apply_result(second, AttemptResult(OutcomeUnknown("again"), NOW, 0.1), jitter=0.5))


def test_what_the_last_run_began_is_unknown_and_nothing_else_is() -> None:
    begun = start_attempt(of("slack"), NOW)

    assert recover_interrupted(begun, NOW + SECOND).state == "unknown"
    assert recover_interrupted(of("slack"), NOW).state == "planned"


def test_a_destination_that_is_down_costs_the_message_neither_its_time_nor_its_place() -> None:
    down = sent("webhook", DestinationDown("HTTP 404"))

    assert (down.state, down.started_at, down.due_at) == ("planned", None, NOW)
    much_later = apply_result(
        start_attempt(down, NOW + timedelta(days=3)),
        AttemptResult(RetryLater("HTTP 500"), NOW + timedelta(days=3), 1),
        0.5,
    )
    assert much_later.state == "planned"


def test_what_is_replayed_starts_again_under_its_id() -> None:
    dead = sent("smtp", MessageRejected("SMTP 554"), body="as it was")

    again = reset_for_replay(dead, NOW + SECOND)

    assert (again.delivery_id, again.state, again.attempt, again.started_at) == (dead.delivery_id, "planned", 0, None)
    assert (again.body, again.repeat) == (None, False)
    assert reset_for_replay(sent("smtp", OutcomeUnknown("gone"), "P3"), NOW).repeat


def test_while_a_destination_is_down_one_tries_and_the_others_wait() -> None:
    one, other = deliveries("one")[0], deliveries("other")[0]
    outbox = Outbox(WIDE)
    outbox.add(one)
    outbox.add(other)
    for handed in outbox.poll_due(NOW):
        outbox.complete(handed.model_copy(update={"due_at": NOW}))
        outbox.park("HTTP 410", NOW, None, jitter=1.0)

    assert outbox.poll_due(NOW + SECOND) == []
    assert len(outbox.poll_due(NOW + 2 * SECOND)) == 1
    assert outbox.poll_due(NOW + 9 * SECOND) == []
    assert len(outbox) == 2


def test_what_arrives_opens_a_destination_for_all() -> None:
    outbox = Outbox(WIDE)
    outbox.park("HTTP 429", NOW, 60 * SECOND, jitter=1.0)
    waiting = [deliveries(name)[0] for name in ("a", "b", "c")]
    for one in waiting:
        outbox.add(one)
    assert outbox.poll_due(NOW + 59 * SECOND) == []
    (tried,) = outbox.poll_due(NOW + 60 * SECOND)

    outbox.complete(tried.model_copy(update={"state": "delivered"}))
    outbox.open()

    assert len(outbox.poll_due(NOW + 60 * SECOND)) == 2


def test_after_three_failures_in_a_row_a_destination_is_unhealthy() -> None:
    outbox = Outbox(WIDE)
    told = []
    for failure in range(3):
        outbox.park("HTTP 401", NOW + failure * SECOND, None, jitter=0.0)
        told.append(outbox.is_unhealthy)

    assert told == [False, False, True]
    assert outbox.parked is not None
    assert outbox.parked.since == NOW


def test_three_failures_of_any_kind_among_which_nothing_arrives_are_the_destinations() -> None:
    outbox = Outbox(WIDE)
    outbox.record_failure("Timeout", NOW, None, jitter=1.0)
    outbox.record_failure("HTTP 500", NOW, None, jitter=1.0)
    outbox.open()
    standing = []
    for failure in range(1, 4):
        outbox.record_failure("Timeout", NOW + failure * SECOND, None, jitter=1.0)
        standing.append(outbox.parked)

    assert standing == [None, None, Parked(NOW + SECOND, 3, "Timeout", NOW + 7 * SECOND)]
    assert outbox.is_unhealthy


def test_a_destination_gets_no_more_than_its_pace() -> None:
    outbox = Outbox(SendLimits(in_flight=9, most=2, span=60 * SECOND))
    for name in ("a", "b", "c"):
        outbox.add(deliveries(name)[0])

    assert len(outbox.poll_due(NOW)) == 2
    assert outbox.poll_due(NOW + 59 * SECOND) == []
    assert len(outbox.poll_due(NOW + 60 * SECOND)) == 1


def test_the_end_of_an_episode_makes_its_unknown_notice_needless_and_no_other() -> None:
    fired, escalated, resolved = (one.model_copy(update={"channel": "slack"}) for one in deliveries())
    outbox = Outbox(WIDE)
    outbox.add(fired.model_copy(update={"state": "unknown"}))
    outbox.add(escalated)

    needless = outbox.add(resolved)

    assert [one.transition for one in needless] == ["fired"]
    assert supersede(needless[0], resolved, NOW).status == "nobody knows whether it arrived, and resolved came after it"
    assert outbox.poll_due(NOW) == [escalated]
    outbox.complete(escalated.model_copy(update={"state": "delivered"}))
    assert outbox.poll_due(NOW) == [resolved]


def test_what_is_in_somebodys_hands_is_neither_overtaken_dropped_nor_replaced() -> None:
    fired, _, resolved = deliveries()
    outbox = Outbox(WIDE)
    outbox.add(fired.model_copy(update={"state": "unknown"}))
    (handed,) = outbox.poll_due(NOW)

    assert outbox.add(resolved) == []
    assert not outbox.drop(handed)
    assert not outbox.replace(handed)
    assert outbox.drop(resolved)
    assert len(outbox) == 1


def test_whoever_waits_behind_one_that_is_dropped_comes_next() -> None:
    fired, escalated, _ = deliveries()
    outbox = Outbox(WIDE)
    outbox.add(fired)
    outbox.add(escalated)
    changed = escalated.model_copy(update={"body": "other"})

    assert outbox.drop(fired)
    assert outbox.replace(changed)

    assert outbox.poll_due(NOW) == [changed]
    assert changed in outbox
    assert fired not in outbox


@pytest.mark.parametrize(
    ("urgency", "minutes", "overdue"), [("P1", 1.9, False), ("P1", 2, True), ("P2", 479, False), ("P3", 1440, True)]
)
def test_another_gets_it_when_it_has_waited_too_long(urgency: Urgency, minutes: float, overdue: bool) -> None:  # noqa: FBT001
    begun = start_attempt(of("webhook", urgency), NOW)

    assert is_overdue(begun, None, NOW + timedelta(minutes=minutes)) is overdue


def test_behind_a_destination_that_is_down_all_wait_since_it_is_down_or_since_they_came() -> None:
    early, late = of("webhook", "P1"), of("webhook", "P1", planned_at=NOW + 60 * SECOND)
    parked = Parked(since=NOW, failures=3, reason="HTTP 410", until=NOW + 300 * SECOND)

    assert is_overdue(early, parked, NOW + 120 * SECOND)
    assert not is_overdue(late, parked, NOW + 120 * SECOND)
    assert not is_overdue(of("webhook", "P1", due_at=day(60)), parked, NOW + 120 * SECOND)


def test_a_fallback_gets_the_same_message_once_whomever_it_replaces() -> None:
    first = of("slack", "P1")
    to = Destination("pagerduty", "on-call")

    one = as_fallback(first, to, NOW)

    assert one.delivery_id == as_fallback(of("teams", "P1"), to, NOW).delivery_id
    assert (one.channel, one.recipient, one.state, one.fallback_of) == (
        "pagerduty",
        "on-call",
        "planned",
        first.delivery_id,
    )
    assert one.alert == first.alert


def test_the_ledger_forgets_after_thirty_days_and_not_what_was_replayed() -> None:
    ledger = Ledger()
    old, anew = (one.model_copy(update={"state": "dead", "changed_at": NOW}) for one in deliveries()[:2])
    ledger.add(old)
    ledger.add(anew)
    ledger.remove(anew.delivery_id)
    ledger.add(anew.model_copy(update={"changed_at": NOW + SECOND}))

    assert ledger.expired(NOW + timedelta(days=30) - SECOND) == []
    assert ledger.expired(NOW + timedelta(days=30)) == [old.delivery_id]
    assert old.delivery_id not in ledger
    assert ledger.expired(NOW + timedelta(days=31)) == [anew.delivery_id]


def test_the_ledger_knows_whom_a_delivery_names_and_who_stood_in() -> None:
    ledger = Ledger()
    stood_in = as_fallback(of("slack"), Destination("smtp", "deputy"), NOW)
    done = stood_in.model_copy(update={"state": "delivered", "people": ("p-1",)})
    ledger.add(done)

    assert ledger.fallback_recipients(done.dedup_key) == {Destination("smtp", "deputy")}
    assert ledger.mentioning("acme", "p-1") == ledger.of_relationship("acme", "4F2") == [done.delivery_id]
    assert ledger.mentioning("other", "p-1") == []
    ledger.remove(done.delivery_id)
    assert ledger.fallback_recipients(done.dedup_key) == set()
    assert ledger.mentioning("acme", "p-1") == ledger.of_relationship("acme", "4F2") == []


def test_an_old_record_with_an_address_and_without_the_new_fields_is_read() -> None:
    old = deliveries()[0].model_dump(
        mode="json", exclude={"items", "more", "body", "people", "repeat", "fallback_of", "provider_id"}
    )

    assert Delivery.model_validate_json(json.dumps(old)) == deliveries()[0]


def test_what_may_not_be_sent_yet_waits_for_its_hour() -> None:
    outbox = Outbox(WIDE)
    first, second = deliveries("a")[0], deliveries("b")[0]
    later = NOW + timedelta(hours=9)
    outbox.add(first)
    outbox.add(second)

    def opens(delivery: Delivery, now: datetime) -> datetime:
        return max(now, later) if delivery is first else now

    assert outbox.poll_due(NOW, opens) == [second]
    assert outbox.poll_due(later - timedelta(seconds=1), opens) == []
    assert outbox.poll_due(later, opens) == [first]


def test_what_people_get_with_others_goes_in_its_order_and_machines_wait_for_no_other_alert() -> None:
    outbox = Outbox(WIDE)
    of_team = {"channel": "slack", "recipient": "team", "group": "digest"}
    first, second = (deliveries(name)[0].model_copy(update=of_team) for name in ("a", "b"))
    of_other, alone = (
        second.model_copy(update={"person": "p-3"}),
        deliveries("c")[0].model_copy(update={"group": "late"}),
    )
    for delivery in (first, second, of_other, alone):
        outbox.add(delivery)

    assert outbox.poll_due(NOW) == [first, of_other, alone]
    assert second in outbox
    outbox.complete(first.model_copy(update={"due_at": NOW + SECOND}))
    assert outbox.poll_due(NOW) == []
