"""What comes to light late calls nobody by itself, and what is at risk when it has been told is one digest."""

from datetime import timedelta

from services.notify.domain.guards import LONGEST, SETTLE, is_behind, lag
from services.notify.domain.lifecycle import CORRECTED
from services.notify.domain.pipeline import Decision
from tests.notify.building import Pair, clock, day, decide, decision_summaries, digests, hour, late_trigger, new_alerts

PAIR = Pair()
TWO_YEARS_LATE = late_trigger(day(-730), day(3))
MINUTE = timedelta(minutes=1)


def grouped(decisions: list[Decision]) -> list[tuple[str, str | None]]:
    return [(decision.event.data.transition, decision.deliveries[0].group) for decision in decisions]


def test_what_was_recorded_more_than_a_day_late_is_decided_when_the_history_is_complete() -> None:
    events = (PAIR.corrected(day(0), health=30.0), PAIR.changed(day(3), health=30.0, trigger=TWO_YEARS_LATE))
    alerts = new_alerts("wall")

    assert decide(alerts, *events, clock(day(3) + SETTLE - MINUTE)) == []
    decisions = decide(alerts, clock(day(3) + SETTLE))

    assert decision_summaries(decisions) == [("health_low", "fired", day(3) + SETTLE)]
    assert grouped(decisions) == [("fired", "late")]
    assert decisions[0].event.data.since == day(0)
    assert decisions[0].event.data.not_sent is None
    assert (
        decisions[0].event.data.decisions[-2].why == "in the digest 'at risk now': recorded 733 days after it happened"
    )


def test_every_row_of_history_puts_the_decision_off() -> None:
    later = PAIR.changed(day(3) + 10 * MINUTE, 2, health=30.0, trigger=late_trigger(day(-9), day(3) + 10 * MINUTE))
    events = (PAIR.changed(day(3), health=30.0, trigger=TWO_YEARS_LATE), later)

    alerts = new_alerts("wall")

    assert decide(alerts, *events, clock(day(3) + SETTLE + 9 * MINUTE)) == []
    assert alerts.catching_up()["acme/4F2"].until == day(3) + SETTLE + 10 * MINUTE


def test_pairs_at_risk_of_one_import_are_one_digest_by_urgency() -> None:
    alerts = new_alerts("wall")
    pairs = [Pair(f"pair-{number:02}") for number in range(13)]
    for number, pair in enumerate(pairs):
        health = 20.0 if number == 7 else 30.0
        trigger = late_trigger(day(-730), day(3))
        decide(alerts, pair.corrected(day(0), health=health), pair.changed(day(3), health=health, trigger=trigger))

    (digest,) = digests(decide(alerts, clock(day(3) + SETTLE)))

    assert (digest.relationship, digest.alert.urgency) == ("pair-07", "P2")
    assert [item.relationship for item in digest.items] == [
        f"pair-{number:02}" for number in (0, 1, 2, 3, 4, 5, 6, 8, 9)
    ]
    assert digest.more == 3


def test_where_somebody_always_enters_something_late_nobody_waits_for_ever() -> None:
    alerts, other = new_alerts("wall"), Pair("other")
    found: list[Decision] = []
    decide(alerts, PAIR.corrected(day(0), health=30.0), PAIR.changed(day(3), health=30.0, trigger=TWO_YEARS_LATE))
    for number in range(40):
        at = day(3) + number * 10 * MINUTE
        found += decide(
            alerts, other.changed(at, number + 1, trigger=late_trigger(at - 2 * timedelta(days=1), at)), clock(at)
        )

    assert decision_summaries(found) == [("health_low", "fired", day(3) + LONGEST)]


def test_an_episode_that_the_rest_of_the_history_explains_away_is_sent_to_nobody() -> None:
    """Half of the history says that nobody met for weeks; the other half, a minute later, that they met every week."""
    half = (
        PAIR.corrected(day(-20), health=10.0, risk=0.9),
        PAIR.changed(day(3), 1, health=10.0, risk=0.9, trigger=TWO_YEARS_LATE),
    )
    rest = (
        PAIR.corrected(day(-20), 2, health=80.0),
        PAIR.corrected(day(-1), 2, health=80.0),
        PAIR.changed(day(3), 2, health=80.0, trigger=TWO_YEARS_LATE),
    )

    assert decide(new_alerts("wall"), *half, *rest, clock(day(20))) == []


def test_a_deadline_after_the_history_is_judged_as_if_it_had_always_been_there() -> None:
    events = (PAIR.corrected(day(2.5), health=30.0), PAIR.changed(day(3), health=30.0, trigger=TWO_YEARS_LATE))

    decisions = decide(new_alerts("wall"), *events, clock(day(3) + SETTLE), clock(day(9)))

    assert decision_summaries(decisions) == [("health_low", "fired", day(3.5))]
    assert grouped(decisions) == [("fired", None)]


def test_what_was_at_risk_and_sent_in_the_digest_gets_worse_and_ends_as_any_other() -> None:
    events = (
        PAIR.corrected(day(0), health=30.0),
        PAIR.changed(day(3), health=30.0, trigger=TWO_YEARS_LATE),
        clock(day(3) + SETTLE),
        PAIR.changed(day(4), health=20.0),
        PAIR.changed(day(6), health=80.0),
    )

    decisions = decide(new_alerts("wall"), *events, clock(day(9)))

    assert grouped(decisions) == [("fired", "late"), ("escalated", None), ("resolved", None)]
    assert [decision.event.data.not_sent for decision in decisions] == [None] * 3


def test_an_end_is_sent_whatever_brought_it_about() -> None:
    ended = PAIR.changed(day(3), 2, health=30.0, status="ended", mode="heal")

    decisions = decide(new_alerts("wall"), PAIR.changed(day(0), health=30.0), clock(day(2)), ended)

    assert [(d.event.data.transition, d.event.data.not_sent) for d in decisions] == [
        ("fired", None),
        ("resolved", None),
    ]


def test_an_alert_that_was_sent_and_whose_rows_are_corrected_away_resolves_at_once_as_corrected() -> None:
    events = (
        PAIR.changed(day(0), health=30.0),
        clock(day(2)),
        PAIR.corrected(day(0), 2, health=45.0),
        PAIR.changed(day(2), 2, health=45.0),
    )

    decisions = decide(new_alerts("wall"), *events)

    assert decision_summaries(decisions) == [("health_low", "fired", day(1)), ("health_low", "resolved", day(2))]
    assert decisions[1].event.data.why == CORRECTED


def test_a_sent_alert_gets_worse_by_a_heal_and_the_digest_says_so() -> None:
    worse = (PAIR.corrected(day(2), 2, health=20.0), PAIR.changed(day(3), 2, health=20.0, mode="heal"))
    events = (PAIR.changed(day(0), health=30.0), clock(day(2)), *worse, clock(day(3.5)))

    decisions = decide(new_alerts("wall"), *events, PAIR.changed(day(4), 2, health=80.0), clock(day(9)))

    assert grouped(decisions) == [("fired", None), ("escalated", "late"), ("resolved", None)]


def test_what_was_recorded_in_time_is_sent() -> None:
    in_time = late_trigger(hour(-24), hour(0))

    decisions = decide(new_alerts("wall"), PAIR.changed(hour(0), health=30.0, trigger=in_time), clock(day(2)))

    assert grouped(decisions) == [("fired", None)]


def test_a_replay_ends_in_the_same_digest() -> None:
    events = (PAIR.changed(day(0), health=30.0, mode="replay"), PAIR.changed(day(5), health=30.0, mode="replay"))

    decisions = decide(new_alerts("wall"), *events, clock(day(5) + SETTLE))

    assert grouped(decisions) == [("fired", "late")]


def test_on_the_clock_of_the_log_nothing_comes_late() -> None:
    events = (
        PAIR.corrected(day(0), health=30.0, mode="replay"),
        PAIR.changed(day(3), health=30.0, mode="replay", trigger=TWO_YEARS_LATE),
    )

    assert grouped(decide(new_alerts("log"), *events)) == [("fired", None)]


def test_scores_are_behind_when_their_clock_is_more_than_an_hour_back() -> None:
    assert is_behind(lag(hour(0), hour(1.01), "wall"))
    assert not is_behind(lag(hour(0), hour(1), "wall"))
    assert not is_behind(lag(None, hour(1), "wall"))
    assert not is_behind(lag(hour(0), hour(9), "log"))
