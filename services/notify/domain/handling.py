"""Handling of an alert: acknowledged, snoozed, assigned. It never hides the condition, and it ends: with its time, when
the alert gets worse, and with the alert."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from schemas.alert_commands import Acknowledge, Act, AddNote, AlertCommand, AlertSilence, EndSilence, PutSilence, Snooze
from schemas.alerts import Handling, TransitionName
from schemas.primitives import Id, Instant
from services.notify.domain.ids import AlertSubject
from services.notify.domain.wording import format_days
from services.notify.domain.working_hours import WorkCalendar

ACK_WORKING_DAYS = 3
"""Long enough to reach two people, short enough that nothing is forgotten."""
LONGEST_ACK = timedelta(days=14)
LONGEST_SNOOZE = timedelta(days=30)
LONGEST_SILENCE = timedelta(days=30)
OPEN_ALERT_ACTS = frozenset({"acknowledge", "unacknowledge", "snooze"})
UNTOUCHED = Handling()
EXPIRED = {
    "acknowledged": "the acknowledgement has expired",
    "snoozed": "the snooze is over",
    "open": "nobody looks after it",
}
"""Why an open alert reminds when its handling expires."""


@dataclass(frozen=True)
class ActAdmitted:
    handling: Handling


@dataclass(frozen=True)
class ActRefused:
    reason: str


def apply_act(
    handling: Handling, command: AlertCommand, subject: AlertSubject, calendar: WorkCalendar, *, is_open: bool
) -> ActAdmitted | ActRefused:
    """Apply an act to the handling of an alert. `calendar`: of its programme."""
    act = command.act
    if command.programs is not None and subject.program not in command.programs:
        return ActRefused("the person may not act on alerts of this programme")
    if not is_open and act.kind in OPEN_ALERT_ACTS:
        return ActRefused("the alert is closed")
    match act.kind:
        case "acknowledge":
            until = act.until or calendar.working_days_later(command.at, ACK_WORKING_DAYS)
            return _bounded_handling(handling, command, Handling(state="acknowledged", until=until), LONGEST_ACK)
        case "snooze":
            asleep = Handling(state="snoozed", until=act.until, wakes_on=act.wakes_on)
            return _bounded_handling(handling, command, asleep, LONGEST_SNOOZE)
        case "unacknowledge":
            return ActAdmitted(_released(handling))
        case "assign":
            return ActAdmitted(handling.model_copy(update={"assignee": act.assignee}))
        case "note" | "vote":
            return ActAdmitted(handling)
        case "silence" | "unsilence" | "switch_off" | "switch_on" | "digest_at" | "opens_with":
            raise ValueError("it is no act on an alert")
        case _:
            assert_never(act)


def handling_after(handling: Handling, transition: TransitionName) -> Handling:
    """Return the handling after a transition: it is released when the alert gets worse or the handling expires."""
    match transition:
        case "resolved":
            return UNTOUCHED
        case "reminded":
            return _released(handling)
        case "escalated":
            wakes = handling.state == "acknowledged" or handling.wakes_on == "change"
            return _released(handling) if wakes else handling
        case "fired" | "unstable":
            return handling
        case _:
            assert_never(transition)


def note_from(act: Act) -> str:
    """Return the note of an act; empty where there is none."""
    return act.note if isinstance(act, Acknowledge | Snooze | AddNote) else ""


def with_handling(handling_by_rule: Mapping[str, Handling], rule: str, handling: Handling) -> dict[str, Handling]:
    """Return the handlings by rule with this one replaced; an untouched one is not stored."""
    others = {name: handled for name, handled in handling_by_rule.items() if name != rule}
    return others if handling == UNTOUCHED else {**others, rule: handling}


def build_silence(command: AlertCommand, act: PutSilence) -> AlertSilence | ActRefused:
    """Return the silence, or why it is refused: it must end, and reach no further than its author may act."""
    refused = _check_bounds(act.until, command.at, LONGEST_SILENCE)
    if refused is not None:
        return refused
    if command.programs is not None and act.program not in command.programs:
        return ActRefused("the person may only silence their own programmes, by name")
    return unchecked_silence(command, act)


def unchecked_silence(command: AlertCommand, act: PutSilence) -> AlertSilence:
    """Return the silence of the command without checking permissions."""
    return AlertSilence(
        id=act.silence,
        tenant=command.tenant,
        program=act.program,
        relationship=act.relationship,
        rule=act.rule,
        by=command.by,
        since=command.at,
        until=act.until,
        note=act.note,
    )


def silence_matches(silence: AlertSilence, subject: AlertSubject, rule: str) -> bool:
    """Return whether the subject and the rule match everything the silence names, whatever its time."""
    relationship = subject.id if subject.kind == "relationship" else None
    return (
        silence.tenant == subject.tenant
        and silence.program in {None, subject.program}
        and silence.relationship in {None, relationship}
        and silence.rule in {None, rule}
    )


def check_unsilence(command: AlertCommand, act: EndSilence, silence: AlertSilence | None) -> ActRefused | None:
    if silence is None:
        return ActRefused(f"there is no silence {act.silence}")
    if command.programs is not None and silence.program not in command.programs:
        return ActRefused("the person may only end silences of their own programmes")
    return None


def silence_key(tenant: Id, silence: Id) -> str:
    return f"{tenant}/silence/{silence}"


def _bounded_handling(
    before: Handling, command: AlertCommand, wanted: Handling, longest: timedelta
) -> ActAdmitted | ActRefused:
    assert wanted.until is not None, "it always ends"
    kept = {"by": command.by, "assignee": before.assignee}
    return _check_bounds(wanted.until, command.at, longest) or ActAdmitted(wanted.model_copy(update=kept))


def _check_bounds(until: Instant, at: Instant, longest: timedelta) -> ActRefused | None:
    if until <= at:
        return ActRefused("its end lies in the past")
    if until - at > longest:
        return ActRefused(f"it may last {format_days(longest / timedelta(days=1))} at most")
    return None


def _released(handling: Handling) -> Handling:
    return Handling(assignee=handling.assignee)
