"""`rapport notify`: serve, check the rules; commands about alerts, destinations, deliveries and messages."""

import sys
import threading
from collections.abc import Callable
from typing import Any

import click

from schemas.programs import WatchLevels
from schemas.rule_faults import problems
from schemas.rule_words import describe
from schemas.rules import RULES, SUBJECT_RULES
from services.notify.commands.acts import ACTS
from services.notify.commands.alerts import alerts, explain, preview
from services.notify.commands.board_tokens import token
from services.notify.commands.common import destinations_or_exit, fail, settings_or_exit
from services.notify.commands.deliveries import deliveries, discard, replay
from services.notify.commands.destinations import destinations, test
from services.notify.commands.rules import rules
from services.notify.service import serve as serve_until
from services.notify.settings import NotifySettings
from services.notify.topics import NotifyTopics
from services.runtime import log
from services.runtime import settings as environment
from services.runtime.kafka import KafkaError
from services.runtime.stop import on_signal
from services.validation_errors import reason_of

Serves = Callable[[NotifySettings, NotifyTopics, threading.Event], None]


class ExplainedGroup(click.Group):
    """A broker that does not answer, or refuses, is one line and exit code 1, whatever the command."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (click's)
        try:
            return super().invoke(ctx)
        except KafkaError as away:
            fail(str(away))


@click.group(cls=ExplainedGroup)
def main() -> None:
    """Scores to people: alert rules, episodes and deliveries."""


@main.command()
@click.option("--check", is_flag=True, help="Print the settings, secrets hidden, and exit.")
def serve(*, check: bool) -> None:
    """Decide on score changes and tell people, until SIGTERM."""
    settings, names = settings_or_exit()
    if check:
        click.echo(environment.describe(settings))
        return
    _refuse_bad_rules()
    destinations_or_exit(settings)
    run(settings, names)


@main.command()
@click.option("--check", is_flag=True, help="Print the settings, secrets hidden, and exit.")
def board(*, check: bool) -> None:
    """Serve the board: what is open, who has it, and acting on it, in a browser, until SIGTERM."""
    # A web framework and a client of ClickHouse, which every other command starts faster without.
    from services.notify.board.service import serve_board  # noqa: PLC0415

    settings, names = settings_or_exit()
    if check:
        click.echo(environment.describe(settings))
        return
    run(settings, names, serve_board)


for command in (alerts, explain, *ACTS):
    main.add_command(command)


@main.command()
def check() -> None:
    """Print the rules that hold by default and validate them; `rapport notify rules` is about those of programmes."""
    every = (*RULES, *SUBJECT_RULES)
    for rule in every:
        click.echo(describe(rule))
    _refuse_bad_rules()
    click.echo(f"{len(every)} rules are valid")


for command in (deliveries, destinations, discard, preview, replay, rules, test, token):
    main.add_command(command)


def run(settings: NotifySettings, names: NotifyTopics, serves: Serves = serve_until) -> None:
    """Exits with 0 after a signal, with 1 and one line of error after anything unexpected."""
    log.configure(settings, "notify")
    with on_signal() as stop:
        try:
            serves(settings, names, stop)
        except Exception as problem:  # noqa: BLE001 (whatever it was, the restart begins from what is written down)
            reason = f"{type(problem).__name__}: {reason_of(problem)}"
            log.get(__name__).error("stopped", reason=reason, exc_info=not isinstance(problem, KafkaError))
            sys.exit(1)


def _refuse_bad_rules() -> None:
    found = problems((*RULES, *SUBJECT_RULES), WatchLevels())
    for problem in found:
        click.echo(f"rapport notify: rule {problem}", err=True)
    if found:
        sys.exit(1)


if __name__ == "__main__":
    main()
