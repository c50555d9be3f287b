"""`rapport notify explain ALERT`: every decision about an alert, with its reason, also of what was not sent."""

from collections.abc import Iterator

import click
from pydantic import ValidationError

from schemas.alerts import ALERT_EVENT, Alert, AlertAct, AlertEvent, Delivery
from services.notify.commands.common import fail, long_enough_or_exit
from services.notify.commands.open_alerts import environment
from services.notify.names import Names
from services.notify.settings import NotifySettings
from services.runtime.kafka import KafkaError, read_to_end


@click.command()
@click.argument("alert")
def explain(alert: str) -> None:
    """Every decision about ALERT, in all its episodes: its reason, the rule and its version, the records that it rests
    on, what each stage made of it, what became of its messages, and what people did with it."""
    long_enough_or_exit(alert)
    settings, names = environment()
    try:
        found = [event for event in _events(settings, names) if event.data.dedup_key.startswith(alert)]
    except KafkaError as away:
        fail(str(away))
    for event in sorted(found, key=lambda e: (e.recordedtime, e.id)):
        for line in _lines(event):
            click.echo(line)
    if not found:
        fail(f"nothing was decided about an alert whose key begins with {alert}")


def _events(settings: NotifySettings, names: Names) -> Iterator[AlertEvent]:
    """All that can be read; what cannot is counted as nothing here, and refused where it is stored."""
    for record in read_to_end(settings, [names.alerts], isolation_level="read_committed"):
        try:
            yield ALERT_EVENT.validate_json(record.value or b"")
        except ValidationError:
            click.echo(f"unreadable: partition {record.partition}, offset {record.offset}", err=True)


def _lines(event: AlertEvent) -> Iterator[str]:
    match event.data:
        case Alert() as alert:
            yield f"{event.recordedtime:%Y-%m-%d %H:%M:%S}  {_transition(alert)}"
            yield f"    {event.tenant}/{event.program}/{event.subject}: {alert.why}; {alert.summary}"
            for rests_on in alert.inputs:
                yield f"    rests on {rests_on.topic} partition {rests_on.partition} offset {rests_on.offset}"
            for stage in alert.decisions:
                yield f"    {stage.stage.ljust(8)} {stage.outcome.ljust(8)} {stage.why}"
            if alert.not_sent is not None:
                yield f"    not sent: {alert.not_sent}"
        case Delivery() as delivery:
            attempts = f"attempt {delivery.attempt}, {delivery.status or '-'}"
            said = f"{delivery.transition} by {delivery.channel} {delivery.state}: {attempts}"
            yield f"{event.recordedtime:%Y-%m-%d %H:%M:%S}  {said}"
        case AlertAct() as act:
            became = f"refused: {act.refused}" if act.refused else act.handling.state
            closing = f" ({act.verdict}, {act.closing})" if act.verdict else ""
            yield f"{event.recordedtime:%Y-%m-%d %H:%M:%S}  {act.act}{closing} by {act.by}: {became}"


def _transition(alert: Alert) -> str:
    version = f"{alert.rule} v{alert.rule_version}"
    return f"{alert.transition} {alert.urgency}, episode {alert.episode}, seq {alert.seq}, {version}, at {alert.at}"
