"""`rapport notify`: serve, check the rules, list the deliveries."""

import sys

import click

from schemas.alerts import Delivery
from schemas.programs import WatchLevels
from services.notify.domain.rules import RULES, describe, problems
from services.notify.flow.restore import OPEN_STATES, read_deliveries
from services.notify.names import Names
from services.notify.service import serve as serve_until
from services.notify.settings import NotifySettings
from services.runtime import log
from services.runtime import settings as environment
from services.runtime.kafka import KafkaError
from services.runtime.stop import on_signal
from services.validation_errors import reason_of


@click.group()
def main() -> None:
    """Scores to people: alert rules, episodes and deliveries."""


@main.command()
@click.option("--check", is_flag=True, help="Print the settings, secrets hidden, and exit.")
def serve(*, check: bool) -> None:
    """Decide on score changes and tell people, until SIGTERM."""
    settings = _settings()
    if check:
        click.echo(environment.describe(settings))
        return
    _refuse_bad_rules()
    run(settings, Names.at(settings.log_epoch))


@main.command()
def check() -> None:
    """Print the alert rules and validate them."""
    for rule in RULES:
        click.echo(describe(rule))
    _refuse_bad_rules()
    click.echo(f"{len(RULES)} rules are valid")


@main.command()
@click.option("--dead", is_flag=True, help="Only those that were given up, with the reason.")
@click.option("--open", "unfinished", is_flag=True, help="Only those without an outcome.")
def deliveries(*, dead: bool, unfinished: bool) -> None:
    """List what was or is to be sent to people, the oldest first."""
    shown = {"dead"} if dead else OPEN_STATES if unfinished else {"delivered", "dead", *OPEN_STATES}
    try:
        found = [d for d in read_deliveries(_settings(), Names()) if d.state in shown]
    except KafkaError as away:
        sys.exit(f"rapport notify: {away}")
    for delivery in sorted(found, key=lambda d: (d.planned_at, d.alert.at, d.delivery_id)):
        click.echo(_line(delivery))
    click.echo(f"{len(found)} deliveries")


def run(settings: NotifySettings, names: Names) -> None:
    """Exits with 0 after a signal, with 1 and one line of error after anything unexpected."""
    log.configure(settings, "notify")
    with on_signal() as stop:
        try:
            serve_until(settings, names, stop)
        except Exception as problem:  # noqa: BLE001 (whatever it was, the restart begins from what is written down)
            reason = f"{type(problem).__name__}: {reason_of(problem)}"
            log.get(__name__).error("stopped", reason=reason, exc_info=not isinstance(problem, KafkaError))
            sys.exit(1)


def _settings() -> NotifySettings:
    try:
        return environment.load(NotifySettings, "notify")
    except environment.SettingsError as invalid:
        click.echo(f"rapport notify: {invalid}", err=True)
        sys.exit(2)


def _refuse_bad_rules() -> None:
    found = problems(RULES, WatchLevels())
    for problem in found:
        click.echo(f"rapport notify: rule {problem}", err=True)
    if found:
        sys.exit(1)


def _line(delivery: Delivery) -> str:
    parts = (
        f"{delivery.planned_at:%Y-%m-%d %H:%M:%S}",
        delivery.state.ljust(9),
        delivery.channel.ljust(7),
        delivery.transition.ljust(9),
        f"{delivery.tenant}/{delivery.relationship}",
        delivery.alert.rule,
        f"attempts {delivery.attempt}",
        delivery.status or "-",
        delivery.delivery_id[:16],
    )
    return "  ".join(parts)


if __name__ == "__main__":
    main()
