"""Builds commands from forms, and the commands that undo them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from schemas.alert_commands import AlertCommand, AlertReference
from schemas.alerts import Handling
from schemas.primitives import Instant
from services.notify.board.access import BoardPerson
from services.notify.domain.alert_episode import AlertEpisode
from services.notify.domain.handling import silence_key
from services.notify.domain.preferences import personal_key
from services.validation_errors import field_errors

SPANS: Mapping[str, timedelta] = {
    "4h": timedelta(hours=4),
    "1d": timedelta(days=1),
    "3d": timedelta(days=3),
    "1w": timedelta(weeks=1),
    "2w": timedelta(weeks=2),
    "30d": timedelta(days=30),
}


class ActInvalidError(Exception):
    """The form makes no valid act; the message says why."""


@dataclass(frozen=True)
class PreparedCommand:
    """One command, its subject in words, its record key, and how the alert was handled before."""

    command: AlertCommand
    about: str
    key: str
    before: Handling | None = None


def prepare_act(
    episode: AlertEpisode, fields: Mapping[str, str], actor: tuple[BoardPerson, str, Instant]
) -> PreparedCommand:
    """Return the command of an act. `fields` of the form; `actor`: the person, the form's id, and the instant. Raises
    ActInvalidError."""
    _, form, now = actor
    subject = episode.watch.subject
    reference = AlertReference(
        subject_kind=subject.kind, subject=subject.id, rule=episode.rule, dedup_key=episode.dedup_key
    )
    identity = {"id": f"board-{form}-{episode.dedup_key}", "alert": reference}
    command = _command(actor, subject.tenant, _act(fields, now), **identity)
    return PreparedCommand(command, episode.dedup_key, subject.key, episode.handling)


def prepare_silence(fields: Mapping[str, str], tenant: str, actor: tuple[BoardPerson, str, Instant]) -> PreparedCommand:
    """Raises ActInvalidError."""
    _, form, now = actor
    name = f"silence-{form[:24]}"
    act = {
        "kind": "silence",
        "silence": name,
        "program": fields.get("program") or None,
        "relationship": fields.get("relationship") or None,
        "rule": fields.get("rule") or None,
        "until": _until(fields, now),
        "note": _one_line(fields.get("note", "")),
    }
    return PreparedCommand(_command(actor, tenant, act), name, silence_key(tenant, name))


def prepare_unsilence(tenant: str, name: str, actor: tuple[BoardPerson, str, Instant]) -> PreparedCommand:
    """Raises ActInvalidError."""
    command = _command(actor, tenant, {"kind": "unsilence", "silence": name})
    return PreparedCommand(command, name, silence_key(tenant, name))


def prepare_setting(act: Mapping[str, Any], actor: tuple[BoardPerson, str, Instant]) -> PreparedCommand:
    """Return a command on the person's own settings. Raises ActInvalidError."""
    person, _, _ = actor
    command = _command(actor, person.tenant, act, programs=None)
    return PreparedCommand(command, "settings", personal_key(command.tenant, person.id))


def _command(
    actor: tuple[BoardPerson, str, Instant], tenant: str | None, act: Mapping[str, Any], **more: object
) -> AlertCommand:
    person, form, now = actor
    programs = None if person.programs is None else tuple(sorted(person.programs))
    fields_ = {
        "id": f"board-{form}",
        "tenant": tenant,
        "by": person.id,
        "at": now,
        "programs": programs,
        "act": dict(act),
    }
    return _validated({**fields_, **more})


def _validated(actor: Mapping[str, Any]) -> AlertCommand:
    try:
        return AlertCommand.model_validate(actor)
    except ValidationError as invalid:
        raise ActInvalidError("; ".join(field_errors(invalid))) from invalid


def _act(fields: Mapping[str, str], now: Instant) -> dict[str, Any]:
    kind, note = fields.get("act", ""), _one_line(fields.get("note", ""))
    match kind:
        case "acknowledge":
            until = _until(fields, now) if fields.get("until") else None
            return {"kind": kind, "until": until, "note": note}
        case "snooze":
            wakes_on = "change" if fields.get("wakes_on") == "change" else "date"
            return {"kind": kind, "until": _until(fields, now), "wakes_on": wakes_on, "note": note}
        case "unacknowledge":
            return {"kind": kind}
        case "assign":
            return {"kind": kind, "assignee": fields.get("assignee") or None}
        case "note":
            if not note:
                raise ActInvalidError("the note is empty")
            return {"kind": kind, "note": note}
        case "vote":
            return {"kind": kind, "useful": fields.get("useful") == "yes", "reason": fields.get("reason", "")}
        case _:
            raise ActInvalidError("there is no such act")


def _until(fields: Mapping[str, str], now: Instant) -> Instant:
    span = SPANS.get(fields.get("until", ""))
    if span is None:
        raise ActInvalidError(f"until: choose one of {', '.join(SPANS)}")
    return now + span


def _one_line(text: str) -> str:
    """Join a note into one line; browsers send pasted text as it is."""
    return " ".join(text.split())


def undo_command(one: PreparedCommand, now: Instant) -> PreparedCommand | None:
    """Return the command that restores the previous handling; None for notes and votes."""
    command, before = one.command, one.before
    match command.act.kind:
        case "acknowledge" | "snooze" | "unacknowledge" if before is not None:
            kinds = {"acknowledged": "acknowledge", "snoozed": "snooze", "open": "unacknowledge"}
            act: dict[str, Any] = {"kind": kinds[before.state]}
            act |= {} if before.state == "open" else {"until": before.until}
            act |= {"wakes_on": before.wakes_on} if before.state == "snoozed" else {}
        case "assign" if before is not None:
            act = {"kind": "assign", "assignee": before.assignee}
        case "silence":
            act = {"kind": "unsilence", "silence": command.act.silence}
        case "switch_off" | "switch_on" as kind:
            other = "switch_on" if kind == "switch_off" else "switch_off"
            act = {"kind": other, "rule": command.act.rule, "relationship": command.act.relationship}
        case _:
            return None
    actor = {"id": f"{command.id[:240]}-undo", "at": now, "act": act}
    undo = _validated({**command.model_dump(exclude={"act", "alert"}), "alert": command.alert, **actor})
    return replace(one, command=undo, before=None)
