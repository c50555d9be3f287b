"""Rules that look at contacts and at calls for support."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from schemas.alert_commands import AlertSilence
from schemas.programs import WatchLevels
from schemas.rule_faults import problems
from schemas.rule_words import describe
from schemas.rules import CLOSE_PROPOSED, NO_CONTACT, RULES
from services.notify.domain.pipeline import Decision
from tests.notify.building import (
    START,
    DecisionSetup,
    Pair,
    apply_event,
    clock,
    day,
    decide,
    decide_transition,
    decision_summaries,
    hour,
    late_trigger,
    new_alerts,
)

PAIR = Pair()


def heard(decisions: list[Decision]) -> list[tuple[str, str, datetime, str]]:
    return [(*found, d.event.data.urgency) for found, d in zip(decision_summaries(decisions), decisions, strict=True)]


def met(at: float, **told: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"last_contact": day(at), **told}


def test_no_contact_for_three_intervals_is_sent_and_again_after_a_week() -> None:
    decisions = decide(new_alerts(), PAIR.changed(day(0), **met(0)), clock(day(60)))

    assert heard(decisions) == [
        ("no_contact", "fired", day(42), "P3"),
        ("no_contact", "escalated", day(49), "P2"),
    ]
    assert decisions[0].event.data.why == "no contact for 3 intervals, at least 21 d"
    assert decisions[0].event.data.since == day(0)
    assert decisions[0].event.data.summary == (
        "spruce: pair 4F2 has had no contact (P3), since 1 May 2024 00:00 UTC. "
        "Mostly: no contact for 0 days (agreed rhythm: every 14 days)"
    )


@pytest.mark.parametrize(("cadence", "silent"), [(3.0, 21), (7.0, 21), (14.0, 42), (30.0, 90)])
def test_the_agreed_rhythm_says_how_long_is_too_long_but_never_less_than_three_weeks(
    cadence: float, silent: int
) -> None:
    decisions = decide(new_alerts(), PAIR.changed(day(0), **met(0, cadence_days=cadence)), clock(day(silent)))

    assert decision_summaries(decisions)[0] == ("no_contact", "fired", day(silent))


def test_a_relationship_that_never_began_is_sent_two_weeks_after_its_start() -> None:
    decisions = decide(new_alerts(), PAIR.changed(day(0), last_contact=None, started=START), clock(day(20)))

    assert decision_summaries(decisions) == [("no_contact", "fired", day(14))]


def test_a_contact_puts_it_off_and_ends_it() -> None:
    put_off = (PAIR.changed(day(0), **met(0)), PAIR.changed(day(40), **met(40)), clock(day(60)))
    ended = (PAIR.changed(day(0), **met(0)), clock(day(43)), PAIR.changed(day(44), **met(44)))

    assert decide(new_alerts(), *put_off) == []
    decisions = decide(new_alerts(), *ended)
    assert decision_summaries(decisions) == [("no_contact", "fired", day(42)), ("no_contact", "resolved", day(44))]
    assert decisions[1].event.data.why == "there was a contact"


def test_a_contact_that_is_entered_late_and_is_too_old_itself_ends_nothing() -> None:
    alerts = new_alerts()
    apply_event(alerts, PAIR.changed(day(0), **met(0)), clock(day(43)))

    assert apply_event(alerts, PAIR.changed(day(44), **met(1))) == []
    assert decision_summaries(decide(alerts, PAIR.changed(day(45), **met(44)))) == [("no_contact", "resolved", day(45))]


def test_the_time_after_a_contact_runs_from_the_row_that_shows_it() -> None:
    alerts = new_alerts()
    apply_event(alerts, PAIR.changed(day(0), **met(0)), clock(day(43)), PAIR.changed(day(44), **met(3)))

    assert decision_summaries(decide(alerts, clock(day(45)))) == [("no_contact", "fired", day(45))]


def test_rows_without_a_contact_do_not_put_it_off() -> None:
    rows = [PAIR.changed(day(at), **met(0)) for at in range(0, 41, 2)]

    assert decision_summaries(decide(new_alerts(), *rows, clock(day(43)))) == [("no_contact", "fired", day(42))]


def test_a_pause_stops_the_time_of_silence() -> None:
    rows = (
        PAIR.changed(day(0), **met(0)),
        PAIR.changed(day(10), **met(0, status="paused")),
        PAIR.changed(day(40), **met(0)),
    )

    decisions = decide(new_alerts(), *rows, clock(day(73)))

    assert decision_summaries(decisions) == [("no_contact", "fired", day(72))]


def test_a_quarter_of_silence_proposes_to_end_it_unless_a_meeting_lies_ahead() -> None:
    silent = decide(new_alerts(), PAIR.changed(day(0), **met(0)), clock(day(100)))
    booked = decide(new_alerts(), PAIR.changed(day(0), **met(0, next_session=day(200))), clock(day(100)))

    assert decision_summaries(silent)[2:] == [("close_proposed", "fired", day(90))]
    assert silent[2].event.data.next_step.startswith("Ask both sides whether the relationship shall be ended")
    assert "close_proposed" not in {rule for rule, _, _ in decision_summaries(booked)}


def test_a_state_of_an_older_version_says_nothing_of_contacts() -> None:
    alerts = new_alerts()
    apply_event(alerts, PAIR.changed(day(0), **met(0)))
    watch = alerts.watch("acme/4F2")
    assert watch is not None
    (row,) = watch.window
    assert row.values is not None

    older = row.values[:4]

    assert type(row.values)(*older).silent_from is None


def test_a_call_for_support_is_sent_at_once_without_its_content_and_ends_with_it() -> None:
    events = (
        PAIR.changed(day(0), **met(0)),
        PAIR.changed(hour(1), **met(0, caps=("support_open",))),
        PAIR.changed(hour(5), **met(0)),
    )

    decisions = decide(new_alerts("wall"), *events)

    assert heard(decisions) == [
        ("support_requested", "fired", hour(1), "P1"),
        ("support_requested", "resolved", hour(5), "P1"),
    ]
    assert decisions[0].event.data.reasons[0].words == "an immediate request for support is open"
    assert decisions[0].event.data.next_step == "Answer the request now, and acknowledge this, so that others know."


def test_a_call_for_support_waits_neither_for_history_nor_for_scores_and_no_silence_mutes_it() -> None:
    late = late_trigger(day(-3), day(3))
    alerts = new_alerts("wall")
    silence = AlertSilence(id="s", tenant="acme", by="p", since=day(0), until=day(9))

    (fired,) = apply_event(alerts, PAIR.changed(day(3), **met(3, caps=("support_open",), health=10.0), trigger=late))
    decision = decide_transition(alerts, fired, day(3), DecisionSetup(silences=(silence,), lag=timedelta(days=2)))

    assert decision.event.data.rule == "support_requested"
    assert decision.event.data.not_sent is None
    assert [stage.outcome for stage in decision.event.data.decisions] == ["passed"] * 6
    assert len(decision.deliveries) == 1


def test_a_replay_alone_mutes_a_call_for_support_and_one_that_is_still_open_is_sent_once_by_itself() -> None:
    alerts = new_alerts("wall")
    replayed = PAIR.changed(day(0), **met(0, caps=("support_open",)), mode="replay")

    assert decide(alerts, replayed) == []
    (decision,) = decide(alerts, clock(day(1)))

    assert (decision.event.data.rule, decision.deliveries[0].group, len(decision.deliveries)) == (
        "support_requested",
        None,
        1,
    )


def test_rules_of_contacts_are_valid_and_say_what_they_look_for() -> None:
    assert problems(RULES, WatchLevels()) == []
    assert problems([replace(NO_CONTACT, age=None)], WatchLevels()) == ["no_contact: needs an age"]
    assert describe(CLOSE_PROPOSED) == (
        "close_proposed v1: no contact for 6 intervals, at least 90 d is P3; clears when there was a contact"
    )
