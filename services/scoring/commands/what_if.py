"""`rapport scoring what-if --profile FILE`: who would have alerted with another profile, and when."""

import json
from pathlib import Path
from typing import Any

import click

from schemas.programs import Profile
from services.scoring.commands.console import command_settings, explained, instant, output, progress
from services.scoring.commands.what_if_options import WhatIfOptions, threshold, thresholds
from services.scoring.commands.what_if_report import document, report
from services.scoring.domain.what_if.rules import RULES
from services.scoring.domain.what_if.trial import Compared, Question, Span, compare
from services.scoring.flow.profile_file import ProfileFileError, read_profile
from services.scoring.flow.programmes import UnreadableProgrammeError
from services.scoring.flow.what_if import Log, NothingScoredError, read_log
from services.scoring.names import Names


@click.command("what-if")
@click.option(
    "--profile",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML or JSON, the fields of a profile; what is left out has its default.",
)
@click.option("--since", callback=instant, help="Alerts from then on count, ISO 8601. Default: the first fact.")
@click.option("--until", callback=instant, help="Alerts up to then count. Default: the lowest stored clock.")
@click.option("--rule", type=click.Choice([rule.name for rule in RULES]), help="Default: both.")
@click.option("--fires", multiple=True, callback=thresholds, metavar="LEVEL:HOURS", help="Instead of the rule's.")
@click.option("--clears", callback=threshold, metavar="LEVEL:HOURS", help="Instead of the rule's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of tables.")
def what_if_(*, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Try another profile on the history of all relationships.

    Each is scored twice, by the present profiles of its programme and by that of FILE as if it had held from the
    beginning, and judged by the rules of notify: health_low fires at 40 for 24 h or at 25 for 6 h and clears above 50
    for 48 h; disengaging fires at 0.7 for 24 h and clears below 0.55 for 48 h. With --rule, other levels can be tried:
    --fires 45:24 --fires 25:6 --clears 55:48."""
    asked = WhatIfOptions(**options)
    rules, candidate = asked.rules(), _profile(asked.profile)
    settings = command_settings()
    with explained("what-if", NothingScoredError, UnreadableProgrammeError), progress() as bar:
        task = bar.add_task("reading the log", total=None)
        log = read_log(settings, Names.at(settings.log_epoch))
        bar.remove_task(task)
        question = Question(candidate, rules, _span(asked, log))
        names = bar.track(sorted(log.accounts), description="scoring relationships twice")
        compared = [one for name in names for one in _compared(log, name, question)]
    if as_json:
        click.echo(json.dumps(document(question, compared), indent=2))
    else:
        report(output(), question, compared)


def _profile(file: Path) -> Profile:
    try:
        return read_profile(file)
    except ProfileFileError as fault:
        raise click.UsageError(str(fault)) from fault


def _span(asked: WhatIfOptions, log: Log) -> Span:
    until = log.clock if asked.until is None else min(asked.until, log.clock)
    span = Span(log.begin if asked.since is None else asked.since, until)
    if span.since >= span.until:
        raise click.UsageError("nothing lies between --since and --until, or scoring has not come so far")
    return span


def _compared(log: Log, name: str, question: Question) -> list[Compared]:
    account = log.accounts[name]
    return compare(name, account, log.programmes.of(name, account.program), question)
