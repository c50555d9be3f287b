"""`rapport notify ack`, `unack`, `snooze`, `assign`, `note`, `vote`, `silence`, `unsilence`: each writes one command,
which the leading instance admits or refuses."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from pydantic import ValidationError

from schemas.alert_commands import AlertCommand, AlertReference
from services.notify.commands.alerts import find_alert_or_exit
from services.notify.commands.common import fail, settings_or_exit, write
from services.runtime.kafka import OutgoingRecord
from services.validation_errors import field_errors

SPANS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_SPAN = re.compile(r"([0-9]{1,4})([hdw])")
CLOSING_REASONS = ("acted", "knew", "agreed_pause", "data_wrong", "no_reply")


class Until(click.ParamType):
    """`12h`, `3d`, `2w` from now, or an instant with its zone."""

    name = "WHEN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:  # noqa: ANN401 (click's)
        span = _SPAN.fullmatch(str(value))
        if span is not None:
            return datetime.now(UTC) + int(span[1]) * SPANS[span[2]]
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is neither a span like 3d nor an instant", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} has no zone", param, ctx)
        return moment.astimezone(UTC)


_by = click.option("--by", default="operator", show_default=True, help="The id of the person who acts.")
_note = click.option("--note", default="", help="One line for whoever looks at it next.")
_alert = click.argument("alert")


@click.command()
@_alert
@click.option("--until", type=Until(), help="3 working days if left out, 14 days at most.")
@_note
@_by
def ack(alert: str, until: datetime | None, note: str, by: str) -> None:
    """Acknowledge ALERT: somebody handles it."""
    _on_alert(alert, by, {"kind": "acknowledge", "until": until, "note": note})


@click.command()
@_alert
@_by
def unack(alert: str, by: str) -> None:
    """Take back an acknowledgement or a snooze."""
    _on_alert(alert, by, {"kind": "unacknowledge"})


@click.command()
@_alert
@click.option("--until", type=Until(), required=True, help="30 days at most.")
@click.option("--or-change", "wakes_on", flag_value="change", default="date", help="Wake up before, if it gets worse.")
@_note
@_by
def snooze(alert: str, until: datetime, wakes_on: str, note: str, by: str) -> None:
    """Send nothing about ALERT until then, except its end."""
    _on_alert(alert, by, {"kind": "snooze", "until": until, "wakes_on": wakes_on, "note": note})


@click.command()
@_alert
@click.argument("person", required=False)
@_by
def assign(alert: str, person: str | None, by: str) -> None:
    """Assign ALERT to PERSON, or to nobody."""
    _on_alert(alert, by, {"kind": "assign", "assignee": person})


@click.command()
@_alert
@click.argument("text")
@_by
def note(alert: str, text: str, by: str) -> None:
    """Add a note to ALERT; it outlives the episode."""
    _on_alert(alert, by, {"kind": "note", "note": text})


@click.command()
@_alert
@click.option("--useful/--not-useful", required=True, help="Whether the alert was of use.")
@click.option("--because", type=click.Choice(CLOSING_REASONS), required=True, help="What became of it.")
@_by
def vote(alert: str, useful: bool, because: str, by: str) -> None:  # noqa: FBT001 (click hands over its flag)
    """Vote whether ALERT was useful."""
    _on_alert(alert, by, {"kind": "vote", "useful": useful, "reason": because})


@click.command()
@click.option("--tenant", required=True)
@click.option("--program")
@click.option("--relationship")
@click.option("--rule")
@click.option("--until", type=Until(), required=True, help="30 days at most.")
@click.option("--name", help="Of the silence; drawn if left out.")
@_note
@_by
def silence(tenant: str, by: str, name: str | None, **matchers: object) -> None:
    """Silence alerts that match everything given, until then; ends are still sent."""
    named = name or f"silence-{uuid.uuid4().hex[:12]}"
    _write(_command(tenant, by, {"kind": "silence", "silence": named, **matchers}), f"{tenant}/{named}")


@click.command()
@click.argument("tenant")
@click.argument("name")
@_by
def unsilence(tenant: str, name: str, by: str) -> None:
    """End the silence NAME of TENANT before its time."""
    _write(_command(tenant, by, {"kind": "unsilence", "silence": name}), f"{tenant}/{name}")


ACTS = (ack, unack, snooze, assign, note, vote, silence, unsilence)


def _on_alert(key: str, by: str, act: dict[str, object]) -> None:
    episode = find_alert_or_exit(key)
    subject = episode.watch.subject
    reference = AlertReference(
        subject_kind=subject.kind, subject=subject.id, rule=episode.rule, dedup_key=episode.dedup_key
    )
    _write(_command(subject.tenant, by, act, reference), subject.key)


def _command(tenant: str, by: str, act: dict[str, object], alert: AlertReference | None = None) -> AlertCommand:
    """Build a command. Exits with 2 where the arguments make no valid act."""
    fields = {"id": f"cli-{uuid.uuid4().hex}", "tenant": tenant, "by": by, "at": datetime.now(UTC)}
    try:
        return AlertCommand.model_validate({**fields, "alert": alert, "act": act})
    except ValidationError as invalid:
        fail("; ".join(field_errors(invalid)), code=2)


def _write(command: AlertCommand, key: str) -> None:
    settings, topics = settings_or_exit()
    write(settings, [OutgoingRecord(topics.commands, command.model_dump_json().encode(), key.encode(), [])])
    click.echo(f"{command.act.kind} is on its way as {command.id}; `rapport notify explain` shows what came of it")
