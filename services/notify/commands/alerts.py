"""`rapport notify alerts`, `explain` and `preview`: open alerts, every decision about an alert, and its message."""

import json
from collections.abc import Iterator

import click
from pydantic import ValidationError

from schemas.alerts import ALERT_EVENT, Alert, AlertAct, AlertEvent, ChannelName, Delivery
from services.notify.commands.common import fail, long_enough_or_exit, settings_or_exit
from services.notify.domain.alert_episode import AlertEpisode, episodes_of
from services.notify.domain.decisions import plan_deliveries
from services.notify.domain.ids import Destination
from services.notify.domain.subjects import SubjectWatch
from services.notify.flow.inputs import read_people
from services.notify.flow.restore import read_watches
from services.notify.rendering.renderer import Renderer
from services.notify.settings import NotifySettings
from services.notify.topics import NotifyTopics
from services.runtime.kafka import read_to_end

CHANNELS: tuple[ChannelName, ...] = ("log", "webhook", "smtp", "slack", "teams", "pagerduty")


@click.command()
@click.option("--tenant", help="Only those of this organisation.")
@click.option("--program", help="Only those of this programme.")
def alerts(tenant: str | None, program: str | None) -> None:
    """List the open alerts, the most urgent first, and who handles them."""
    found = [
        alert
        for alert in _alert_episodes()
        if alert.is_open
        and tenant in {None, alert.watch.subject.tenant}
        and program in {None, alert.watch.subject.program}
    ]
    for alert in sorted(found, key=lambda a: (a.state.urgency or "", str(a.state.since), a.dedup_key)):
        click.echo(_line(alert))
    click.echo(f"{len(found)} open alerts")


@click.command()
@click.argument("alert")
def explain(alert: str) -> None:
    """Print every decision about ALERT, in all its episodes: its reason, the rule and its version, its input records,
    each stage's outcome, the outcomes of its messages, and the acts of people."""
    long_enough_or_exit(alert)
    found = [event for event in _events(*settings_or_exit()) if event.data.dedup_key.startswith(alert)]
    for event in sorted(found, key=lambda e: (e.recordedtime, e.id)):
        for line in _explanation(event):
            click.echo(line)
    if not found:
        fail(f"nothing was decided about an alert whose key begins with {alert}")


@click.command()
@click.argument("alert")
@click.option("--channel", type=click.Choice(CHANNELS), default="smtp", show_default=True)
@click.option("--raw", is_flag=True, help="The body as it is sent, on one line.")
def preview(alert: str, channel: ChannelName, *, raw: bool) -> None:
    """Print the message of an alert, with current names. ALERT is the beginning of its dedup key or event id; of
    several matches the last counts."""
    settings, topics = settings_or_exit()
    long_enough_or_exit(alert)
    event = None
    for one in _events(settings, topics):
        if one.type == "mentoring.alert.changed.v1" and one.id.startswith(alert):
            event = one
    if event is None:
        fail(f"{topics.alerts} has no alert that begins with {alert[:80]!r}")
    sendable = event.model_copy(update={"data": event.data.model_copy(update={"not_sent": None})})
    delivery = plan_deliveries(sendable, [Destination(channel, "preview")])[0]
    renderer = Renderer(read_people(settings, topics), settings.notify_link, settings.notify_board_url)
    body = renderer.render(delivery).body or ""
    if raw or channel == "log":
        click.echo(body)
    elif channel == "smtp":
        mail = json.loads(body)
        click.echo(f"Subject: {mail['subject']}\n\n{mail['text']}")
    else:
        click.echo(json.dumps(json.loads(body), indent=2, ensure_ascii=False))
    if event.data.not_sent is not None:
        click.echo(f"(it was not sent: {event.data.not_sent})", err=True)


def find_alert_or_exit(key: str) -> AlertEpisode:
    """Find the alert whose key begins so. Exits with 1 where there is none, or more than one."""
    long_enough_or_exit(key)
    found = [alert for alert in _alert_episodes() if alert.dedup_key.startswith(key)]
    if len(found) != 1:
        fail(f"{len(found) or 'no'} alerts have a key that begins with {key}")
    return found[0]


def _alert_episodes() -> list[AlertEpisode]:
    """Return the last episode of every alert that has ever fired."""
    return [alert for watch in read_watches(*settings_or_exit()) for alert in episodes_of(watch)]


def _line(alert: AlertEpisode) -> str:
    watch, state, handling = alert.watch, alert.state, alert.handling
    handling_words: list[str] = [handling.state]
    handling_words += [f"by {handling.by}"] if handling.by else []
    handling_words += [f"until {handling.until:%Y-%m-%d %H:%M}"] if handling.until else []
    handling_words += [f"assigned to {handling.assignee}"] if handling.assignee else []
    handling_words += [f"({alert.note})"] if alert.note else []
    parts = [
        alert.dedup_key,
        state.urgency or "-",
        alert.rule.ljust(12),
        state.condition.ljust(10),
        f"since {state.since:%Y-%m-%d %H:%M}" if state.since else "since -",
        f"{watch.subject.tenant}/{watch.subject.program}/{watch.subject.id}",
        " ".join(handling_words),
    ]
    if isinstance(watch, SubjectWatch):
        parts += [watch.source] if watch.source is not None else []
    elif watch.frozen is not None:
        parts.append(f"frozen: {watch.frozen.reason}")
    return "  ".join(parts)


def _events(settings: NotifySettings, topics: NotifyTopics) -> Iterator[AlertEvent]:
    """Yield all readable events; report unreadable ones."""
    for record in read_to_end(settings, [topics.alerts], isolation_level="read_committed"):
        try:
            yield ALERT_EVENT.validate_json(record.value or b"")
        except ValidationError:
            click.echo(f"unreadable: partition {record.partition}, offset {record.offset}", err=True)


def _explanation(event: AlertEvent) -> Iterator[str]:
    at = f"{event.recordedtime:%Y-%m-%d %H:%M:%S}"
    match event.data:
        case Alert() as alert:
            episode = f"episode {alert.episode}, seq {alert.seq}, {alert.rule} v{alert.rule_version}, at {alert.at}"
            yield f"{at}  {alert.transition} {alert.urgency}, {episode}"
            yield f"    {event.tenant}/{event.program}/{event.subject}: {alert.why}; {alert.summary}"
            for rests_on in alert.inputs:
                yield f"    rests on {rests_on.topic} partition {rests_on.partition} offset {rests_on.offset}"
            for stage in alert.decisions:
                yield f"    {stage.stage.ljust(8)} {stage.outcome.ljust(8)} {stage.why}"
            if alert.not_sent is not None:
                yield f"    not sent: {alert.not_sent}"
        case Delivery() as delivery:
            attempts = f"attempt {delivery.attempt}, {delivery.status or '-'}"
            yield f"{at}  {delivery.transition} by {delivery.channel} {delivery.state}: {attempts}"
        case AlertAct() as act:
            became = f"refused: {act.refused}" if act.refused else act.handling.state
            closing = f" ({act.verdict}, {act.closing})" if act.verdict else ""
            yield f"{at}  {act.act}{closing} by {act.by}: {became}"
