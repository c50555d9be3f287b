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

ServeFunction = Callable[[NotifySettings, NotifyTopics, threading.Event], None]


class ExplainedGroup(click.Group):
    """Reports a broker that does not answer, or refuses, in one line with exit code 1, for every command."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (click's)
        try:
            return super().invoke(ctx)
        except KafkaError as away:
            fail(str(away))


@click.group(cls=ExplainedGroup)
def main() -> None:
    """Turn scores into alerts and deliver them to people."""


@main.command()
@click.option("--check", is_flag=True, help="Print the settings, secrets hidden, and exit.")
def serve(*, check: bool) -> None:
    """Decide on score changes and notify people, until SIGTERM."""
    settings, topics = settings_or_exit()
    if check:
        click.echo(environment.describe(settings))
        return
    _refuse_bad_rules()
    destinations_or_exit(settings)
    run(settings, topics)


@main.command()
@click.option("--check", is_flag=True, help="Print the settings, secrets hidden, and exit.")
def board(*, check: bool) -> None:
    """Serve the board in a browser (open alerts, who has them, acting on them), until SIGTERM."""
    # Imported here: every other command starts faster without a web framework and a ClickHouse client.
    from services.notify.board.service import serve_board  # noqa: PLC0415

    settings, topics = settings_or_exit()
    if check:
        click.echo(environment.describe(settings))
        return
    run(settings, topics, serve_board)


for command in (alerts, explain, *ACTS):
    main.add_command(command)


@main.command()
def check() -> None:
    """Print the default rules and validate them; `rapport notify rules` is about the rules of programmes."""
    default_rules = (*RULES, *SUBJECT_RULES)
    for rule in default_rules:
        click.echo(describe(rule))
    _refuse_bad_rules()
    click.echo(f"{len(default_rules)} rules are valid")


for command in (deliveries, destinations, discard, preview, replay, rules, test, token):
    main.add_command(command)


def run(settings: NotifySettings, topics: NotifyTopics, serve_function: ServeFunction = serve_until) -> None:
    """Exit with 0 after a signal, with 1 and one error line after anything unexpected."""
    log.configure(settings, "notify")
    with on_signal() as stop:
        try:
            serve_function(settings, topics, stop)
        except Exception as problem:  # noqa: BLE001 (whatever it was, the restart begins from the stored state)
            reason = f"{type(problem).__name__}: {reason_of(problem)}"
            log.get(__name__).error("stopped", reason=reason, exc_info=not isinstance(problem, KafkaError))
            sys.exit(1)


def _refuse_bad_rules() -> None:
    faults = problems((*RULES, *SUBJECT_RULES), WatchLevels())
    for problem in faults:
        click.echo(f"rapport notify: rule {problem}", err=True)
    if faults:
        sys.exit(1)


if __name__ == "__main__":
    main()
