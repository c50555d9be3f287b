"""What people do with alerts, when that ends, and what it keeps from them."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from schemas.alert_commands import AlertCommand, AlertSilence
from schemas.alerts import Handling
from services.notify.domain.decisions import alert_handled
from services.notify.domain.handling import (
    UNTOUCHED,
    ActAdmitted,
    ActRefused,
    apply_act,
    build_silence,
    check_unsilence,
    note_from,
)
from services.notify.domain.ids import AlertSubject, alert_key, dedup_key
from services.notify.domain.lifecycle import OPEN
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.pipeline import UNSTABLE, Decision
from services.notify.domain.working_hours import WorkCalendar
from tests.notify.building import (
    DecisionSetup,
    Pair,
    apply_event,
    clock,
    day,
    decide,
    decide_transition,
    hour,
    new_alerts,
)

PAIR = Pair()
SUBJECT = AlertSubject("acme", "relationship", "4F2", "spruce")
KEY = alert_key(SUBJECT, "health_low")
SILENCE = AlertSilence(id="fair", tenant="acme", by="p", since=day(0), until=day(9))


def command(
    at: datetime, act: dict[str, Any], episode: int = 1, programs: tuple[str, ...] | None = None
) -> AlertCommand:
    about = {"subject": "4F2", "rule": "health_low", "dedup_key": dedup_key(KEY, episode)}
    alert = None if act["kind"] in {"silence", "unsilence"} else about
    given = {"id": f"c-{at}", "tenant": "acme", "by": "person-7", "at": at, "programs": programs}
    return AlertCommand.model_validate({**given, "alert": alert, "act": act})


def do(alerts: PartitionAlerts, at: datetime, **act: Any) -> ActAdmitted | ActRefused:  # noqa: ANN401
    """As an instance does it that has read the command."""
    watch = alerts.watch("acme/4F2")
    assert watch is not None
    before, is_open = watch.handling.get("health_low", UNTOUCHED), watch.rules["health_low"].condition in OPEN
    done = apply_act(before, command(at, act), watch.subject, WorkCalendar(), is_open=is_open)
    if isinstance(done, ActAdmitted):
        alerts.set_handling("acme/4F2", "health_low", done.handling, note_from(command(at, act).act))
    return done


def firing(mild: float = 38.0) -> PartitionAlerts:
    alerts = new_alerts()
    decide(alerts, PAIR.changed(hour(0), health=mild), clock(day(2)))
    return alerts


def handling(alerts: PartitionAlerts) -> Handling:
    watch = alerts.watch("acme/4F2")
    assert watch is not None
    return watch.handling.get("health_low", UNTOUCHED)


def noted(alerts: PartitionAlerts) -> str:
    watch = alerts.watch("acme/4F2")
    assert watch is not None
    return watch.notes["health_low"]


def said(decisions: list[Decision]) -> list[tuple[str, str | None]]:
    return [(d.event.data.transition, d.event.data.not_sent) for d in decisions]


def test_an_acknowledgement_lasts_three_working_days_and_then_reminds_with_what_is_so_now() -> None:
    alerts = firing()

    do(alerts, day(2), kind="acknowledge", note="I call them")
    decide(alerts, PAIR.changed(day(3), health=39.0))
    (reminder,) = decide(alerts, clock(day(9)))

    assert (reminder.event.data.transition, reminder.event.data.at) == (
        "reminded",
        WorkCalendar().working_days_later(day(2), 3),
    )
    assert reminder.event.data.why == "the acknowledgement has expired"
    assert reminder.event.data.reading is not None
    assert reminder.event.data.reading.health == 39.0
    assert len(reminder.deliveries) == 1
    assert handling(alerts) == UNTOUCHED
    assert noted(alerts) == "I call them"


def test_working_days_leave_out_the_weekend() -> None:
    friday = datetime.fromisoformat("2024-05-03T10:00:00+00:00")

    assert WorkCalendar().working_days_later(friday, 3) == friday + timedelta(days=5)
    assert WorkCalendar().working_days_later(friday - timedelta(days=4), 3) == friday - timedelta(days=1)


def test_an_acknowledged_alert_that_gets_worse_is_sent_and_open_again() -> None:
    alerts = firing()
    do(alerts, day(2), kind="assign", assignee="person-8")
    do(alerts, day(2), kind="acknowledge")

    decisions = decide(alerts, PAIR.changed(day(3), health=20.0), clock(day(4)))

    assert said(decisions) == [("escalated", None)]
    assert handling(alerts) == Handling(assignee="person-8")


@pytest.mark.parametrize(
    ("wakes_on", "heard", "left"),
    [("date", "snoozed until 10 May 2024 00:00 UTC", "snoozed"), ("change", None, "open")],
)
def test_a_snooze_sleeps_until_its_date_or_until_it_gets_worse(wakes_on: str, heard: str | None, left: str) -> None:
    alerts = firing()
    do(alerts, day(2), kind="snooze", until=day(9), wakes_on=wakes_on)

    decisions = decide(alerts, PAIR.changed(day(3), health=20.0), clock(day(4)))

    assert said(decisions) == [("escalated", heard)]
    assert handling(alerts).state == left


def test_a_snooze_that_is_over_reminds() -> None:
    alerts = firing()
    do(alerts, day(2), kind="snooze", until=day(9))

    decisions = decide(alerts, PAIR.changed(day(3), health=20.0), clock(day(10)))

    assert said(decisions)[1:] == [("reminded", None)]
    assert decisions[1].event.data.urgency == "P2"


def test_an_end_comes_through_snooze_and_silence_and_leaves_the_note() -> None:
    alerts = firing()
    do(alerts, day(2), kind="snooze", until=day(20), note="wait")
    (resolved,) = apply_event(alerts, PAIR.changed(day(3), health=90.0), clock(day(6)))

    decision = decide_transition(alerts, resolved, day(6), DecisionSetup(silences=(SILENCE,)))

    assert said([decision]) == [("resolved", None)]
    assert handling(alerts) == UNTOUCHED
    assert noted(alerts) == "wait"


def test_taking_back_stops_the_reminder() -> None:
    alerts = firing()
    do(alerts, day(2), kind="acknowledge")

    do(alerts, day(3), kind="unacknowledge")

    assert decide(alerts, clock(day(20))) == []


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        ({"kind": "acknowledge", "until": day(2)}, "its end lies in the past"),
        ({"kind": "acknowledge", "until": day(17)}, "it may last 14 days at most"),
        ({"kind": "snooze", "until": day(33)}, "it may last 30 days at most"),
    ],
)
def test_what_would_never_end_or_has_ended_is_refused(act: dict[str, Any], reason: str) -> None:
    assert do(firing(), day(2), **act) == ActRefused(reason)


def test_a_closed_alert_may_be_judged_and_noted_and_nothing_else() -> None:
    alerts = firing()
    decide(alerts, PAIR.changed(day(3), health=90.0), clock(day(9)))

    assert do(alerts, day(9), kind="acknowledge") == ActRefused("the alert is closed")
    assert isinstance(do(alerts, day(9), kind="vote", useful=True, reason="acted"), ActAdmitted)
    assert isinstance(do(alerts, day(9), kind="note", note="they met"), ActAdmitted)
    assert noted(alerts) == "they met"


def test_nobody_acts_on_a_programme_that_is_not_theirs() -> None:
    mine = command(day(2), {"kind": "note", "note": "x"}, programs=("oak",))
    wide = command(day(2), {"kind": "silence", "silence": "s", "until": day(5)}, programs=("spruce",))

    assert apply_act(UNTOUCHED, mine, SUBJECT, WorkCalendar(), is_open=True) == ActRefused(
        "the person may not act on alerts of this programme"
    )
    assert build_silence(wide, wide.act) == ActRefused("the person may only silence their own programmes, by name")  # type: ignore[arg-type]
    end = command(day(3), {"kind": "unsilence", "silence": "fair"}, programs=("spruce",))
    refused = check_unsilence(end, end.act, SILENCE)  # type: ignore[arg-type]
    assert refused == ActRefused("the person may only end silences of their own programmes")
    assert check_unsilence(end, end.act, None) == ActRefused("there is no silence fair")  # type: ignore[arg-type]
    assert check_unsilence(replace_programs(end), end.act, SILENCE) is None  # type: ignore[arg-type]


def replace_programs(of: AlertCommand) -> AlertCommand:
    return of.model_copy(update={"programs": None})


def test_a_silence_of_all_that_it_names_always_ends() -> None:
    put = command(
        day(2), {"kind": "silence", "silence": "s", "program": "spruce", "rule": "health_low", "until": day(5)}
    )
    endless = command(day(2), {"kind": "silence", "silence": "s", "until": day(40)})

    silence = build_silence(put, put.act)  # type: ignore[arg-type]

    assert isinstance(silence, AlertSilence)
    assert (silence.program, silence.rule, silence.relationship, silence.since) == (
        "spruce",
        "health_low",
        None,
        day(2),
    )
    assert build_silence(endless, endless.act) == ActRefused("it may last 30 days at most")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "silent"),
    [
        ({}, True),
        ({"program": "spruce", "relationship": "4F2", "rule": "health_low"}, True),
        ({"tenant": "other"}, False),
        ({"program": "oak"}, False),
        ({"relationship": "other"}, False),
        ({"rule": "disengaging"}, False),
        ({"until": day(1)}, False),
        ({"since": day(1) + timedelta(seconds=1)}, False),
    ],
)
def test_a_silence_mutes_what_matches_all_that_it_names_while_it_lasts(change: dict[str, Any], silent: bool) -> None:  # noqa: FBT001
    alerts, silence = new_alerts(), SILENCE.model_copy(update=change)
    (fired,) = apply_event(alerts, PAIR.changed(hour(0), health=38.0), clock(day(2)))

    decision = decide_transition(alerts, fired, day(2), DecisionSetup(silences=(silence,)))

    assert (decision.event.data.not_sent == "silence fair until 10 May 2024 00:00 UTC") == silent
    assert bool(decision.deliveries) != silent


def test_nobody_is_notified_of_the_end_of_what_was_silenced() -> None:
    alerts = new_alerts()
    fired, resolved = apply_event(
        alerts, PAIR.changed(hour(0), health=38.0), clock(day(2)), PAIR.changed(day(3), health=90.0), clock(day(9))
    )

    decisions = [
        decide_transition(alerts, one, day(9), DecisionSetup(silences=(SILENCE,))) for one in (fired, resolved)
    ]

    assert [decision.deliveries for decision in decisions] == [(), ()]


def test_three_relapses_in_a_week_are_sent_once_as_unstable_and_then_no_more() -> None:
    alerts, decisions = new_alerts(), list[Decision]()
    for number in range(6):
        at = day(2.5 * number)
        decisions += decide(alerts, PAIR.changed(at, health=20.0), PAIR.changed(at + timedelta(hours=7), health=90.0))

    heard = [name for name, not_sent in said(decisions) if not_sent is None]

    assert heard == ["fired", "resolved", "fired", "resolved", "fired", "resolved", "unstable", "resolved"]
    assert [why for name, why in said(decisions) if name == "fired"][3:] == [UNSTABLE] * 2
    assert decide(alerts, PAIR.changed(day(40), health=20.0), clock(day(41)))[-1].event.data.not_sent is None


def test_an_act_is_an_event_that_says_how_the_alert_stands() -> None:
    alerts = firing()
    watch = alerts.watch("acme/4F2")
    assert watch is not None
    vote = command(day(3), {"kind": "vote", "useful": False, "reason": "knew"})

    admitted = alert_handled(watch, vote, Handling(assignee="n"), day(4))
    refused = alert_handled(watch, vote, "the alert is closed", day(4))

    assert (admitted.data.verdict, admitted.data.closing, admitted.data.handling.assignee) == (
        "not_useful",
        "knew",
        "n",
    )
    assert (refused.data.refused, refused.data.handling) == ("the alert is closed", UNTOUCHED)
    assert (admitted.subject, admitted.program, admitted.partitionkey) == ("4F2", "spruce", "acme/4F2")
    assert admitted.data.dedup_key == dedup_key(KEY, 1)


def test_who_looks_after_an_alert_outlives_a_restart() -> None:
    alerts = firing()
    do(alerts, day(2), kind="acknowledge")
    watch = alerts.drain_changes().watches["acme/4F2"]

    assert watch.handling["health_low"].state == "acknowledged"
    assert watch.due == WorkCalendar().working_days_later(day(2), 3)
    assert (replace(watch, handling={}).due or day(0)) > watch.due
