"""`rapport notify alerts`, and how the other commands find the alert that is meant."""

from functools import partial

import click

from schemas.alerts import Handling
from services.notify.commands.common import fail, long_enough_or_exit, settings_or_exit
from services.notify.domain.known_alert import KnownAlert, alerts_of
from services.notify.domain.subjects import SubjectWatch
from services.notify.domain.watch import Watch
from services.notify.flow.restore import read_watches
from services.notify.names import Names
from services.notify.settings import NotifySettings
from services.runtime.kafka import KafkaError


@click.command()
@click.option("--tenant", help="Only those of this organisation.")
@click.option("--program", help="Only those of this programme.")
def alerts(tenant: str | None, program: str | None) -> None:
    """List the open alerts, the most urgent first, and who looks after them."""
    found = [
        alert
        for alert in known_alerts(*environment())
        if alert.is_open
        and tenant in {None, alert.watch.subject.tenant}
        and program in {None, alert.watch.subject.program}
    ]
    for alert in sorted(found, key=lambda a: (a.state.urgency or "", str(a.state.since), a.dedup_key)):
        click.echo(_line(alert))
    click.echo(f"{len(found)} open alerts")


def environment() -> tuple[NotifySettings, Names]:
    """Exits with 2 where a setting is wrong."""
    settings = settings_or_exit()
    return settings, Names.at(settings.log_epoch)


def known_alerts(settings: NotifySettings, names: Names) -> list[KnownAlert]:
    """The last episode of every alert that has ever fired. Exits with 1 where the broker is away."""
    try:
        watches = read_watches(settings, names)
    except KafkaError as away:
        fail(str(away))
    return [alert for watch in watches for alert in alerts_of(watch)]


def the_alert(settings: NotifySettings, names: Names, key: str) -> KnownAlert:
    """The one whose key begins so. Exits with 1 where there is none, or more than one."""
    long_enough_or_exit(key)
    found = list(filter(partial(_begins_with, key), known_alerts(settings, names)))
    if len(found) != 1:
        fail(f"{len(found) or 'no'} alerts have a key that begins with {key}")
    return found[0]


def _begins_with(key: str, alert: KnownAlert) -> bool:
    return alert.dedup_key.startswith(key)


def _line(alert: KnownAlert) -> str:
    subject, state = alert.watch.subject, alert.state
    parts = (
        alert.dedup_key,
        state.urgency or "-",
        alert.rule.ljust(12),
        state.condition.ljust(10),
        f"since {state.since:%Y-%m-%d %H:%M}" if state.since else "since -",
        f"{subject.tenant}/{subject.program}/{subject.id}",
        _cared_for(alert.handling, alert.note),
        *_frozen(alert.watch),
    )
    return "  ".join(parts)


def _frozen(watch: Watch | SubjectWatch) -> list[str]:
    if isinstance(watch, SubjectWatch):
        return [watch.source] if watch.source is not None else []
    return [] if watch.frozen is None else [f"frozen: {watch.frozen.reason}"]


def _cared_for(handling: Handling, note: str) -> str:
    words: list[str] = [handling.state]
    words += [f"by {handling.by}"] if handling.by else []
    words += [f"until {handling.until:%Y-%m-%d %H:%M}"] if handling.until else []
    words += [f"assigned to {handling.assignee}"] if handling.assignee else []
    return " ".join([*words, *([f"({note})"] if note else [])])
