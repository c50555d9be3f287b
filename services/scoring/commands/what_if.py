"""`rapport scoring what-if --profile FILE`: which relationships would have alerted with another profile, and when; as
tables, or as one JSON document."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from schemas.alerts import Urgency
from schemas.rule_faults import faults, unwatched
from schemas.rules import LEVELLED_RULES, Rule, Tier
from services.scoring.commands.console import (
    command_settings,
    explained,
    instant,
    minute,
    output,
    progress,
    rfc3339,
    section,
    table,
)
from services.scoring.domain.what_if import (
    RuleComparison,
    TrialAlert,
    TrialQuestion,
    TrialSpan,
    balance,
    compare,
    summaries,
)
from services.scoring.flow.what_if import NothingScoredError, ProfileFileError, read_candidates, read_log
from services.scoring.topics import Topics

URGENCIES: tuple[Urgency, ...] = ("P3", "P2")
"""For the levels tried: a trial notifies nobody, so only their order counts."""


@dataclass(frozen=True)
class TriedLevel:
    """A level that must hold for a time."""

    level: float
    hold: timedelta


class LevelForHours(click.ParamType):
    """`40:24` is a level of 40 for 24 hours."""

    name = "LEVEL:HOURS"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> TriedLevel:
        level, _, hours = value.partition(":")
        try:
            return TriedLevel(float(level), timedelta(hours=float(hours)))
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no LEVEL:HOURS such as 40:24", param, ctx)


def tried_rules(name: str | None, fires: Sequence[TriedLevel], clears: TriedLevel | None) -> tuple[Rule, ...]:
    """`name` None: all rules unchanged. Raises click.UsageError if a rule is invalid."""
    if name is None:
        if fires or clears:
            raise click.UsageError("--fires and --clears need --rule: they are levels of one measure")
        return LEVELLED_RULES
    rule = next(rule for rule in LEVELLED_RULES if rule.name == name)
    if fires:
        urgencies = (*URGENCIES, *[URGENCIES[-1]] * len(fires))
        tiers = tuple(Tier(one.level, one.hold, of) for one, of in zip(fires, urgencies, strict=False))
        rule = replace(rule, tiers=tiers)
    if clears:
        rule = replace(rule, clear_level=clears.level, clear_hold=clears.hold)
    if problems := faults(rule):
        raise click.UsageError(f"{rule.name}: {'; '.join(problems)}")
    return (rule,)


@click.command("what-if")
@click.option(
    "--profile",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML or JSON: programmes, as `rapport programs apply` takes them, or the fields of one profile.",
)
@click.option("--since", callback=instant, help="Alerts from then on count, ISO 8601. Default: the first fact.")
@click.option("--until", callback=instant, help="Alerts up to then count. Default: the lowest stored clock.")
@click.option("--rule", type=click.Choice([rule.name for rule in LEVELLED_RULES]), help="Default: both.")
@click.option("--fires", multiple=True, type=LevelForHours(), help="Instead of the rule's.")
@click.option("--clears", type=LevelForHours(), help="Instead of the rule's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of tables.")
def what_if_(profile: Path, rule: str | None, *, as_json: bool, **asked: Any) -> None:  # noqa: ANN401
    """Try another profile on the history of all relationships.

    Each is scored twice, by the present profiles of its programme and by that of FILE (the newest version of its
    programme there, or the one profile) as if it had held from the beginning, and judged by the rules of notify:
    health_low fires at 40 for 24 h or at 25 for 6 h and clears above 50 for 48 h; disengaging fires at 0.7 for 24 h and
    clears below 0.55 for 48 h. With --rule, other levels can be tried: --fires 45:24 --fires 25:6 --clears 55:48."""
    rules = tried_rules(rule, asked["fires"], asked["clears"])
    try:
        candidates = read_candidates(profile)
    except ProfileFileError as fault:
        raise click.UsageError(str(fault)) from fault
    settings = command_settings()
    with explained("what-if", NothingScoredError, ProfileFileError), progress() as bar:
        task = bar.add_task("reading the log", total=None)
        log, scored = read_log(settings, Topics.at(settings.log_epoch))
        bar.remove_task(task)
        # What was scored, or as much of it as is asked for.
        since, until = asked["since"], asked["until"]
        span = TrialSpan(
            scored.since if since is None else since, scored.until if until is None else min(until, scored.until)
        )
        if span.since >= span.until:
            raise click.UsageError("nothing lies between --since and --until, or scoring has not come so far")
        question = TrialQuestion(candidates, rules, span)
        compared = []
        for name in bar.track(sorted(log.histories), description="scoring relationships twice"):
            history = log.histories[name]
            compared += compare(name, history, log.profiles_of(name, history.program), question)
        if not compared:
            raise ProfileFileError(
                f"no relationship is of {', '.join(candidates.of_program)}, which the file describes"
            )
    if as_json:
        click.echo(json.dumps(document(question, compared), indent=2))
    else:
        report(output(), question, compared)


Document = dict[str, Any]


def report(console: Console, question: TrialQuestion, compared: Sequence[RuleComparison]) -> None:
    span = question.span
    console.print(Text(verdict(question, compared), style="bold"), soft_wrap=True)
    console.print(Text(f"{minute(span.since)} to {minute(span.until)} UTC, {span.weeks:.1f} weeks"))
    for note in _notes(question):
        console.print(Text(f"Note: {note}"))
    console.print()
    rows: list[tuple[object, ...]] = []
    for one in summaries(compared):
        rates = (_rate(one.now, span), _rate(one.then, span), _rate(one.then - one.now, span, "+"))
        rows.append((one.program, one.rule, one.relationships, *rates, one.more, one.fewer))
    numbers = ("pairs", "now", "with_it", "difference", "pairs_only_with_it", "pairs_only_now")
    made = table(rows, programme="wrap", rule="left", **dict.fromkeys(numbers, "right"))
    section(console, "By programme, alerts a week", made)
    alerting = [
        (one.relationship, one.rule, _change(one), _fired(one.now), _fired(one.then))
        for one in compared
        if one.now or one.then
    ]
    in_turn = sorted(alerting, key=lambda row: (row[2], row[0], row[1]))
    made = table(in_turn, pair="left", rule="left", change="left", now="wrap", with_it="wrap")
    section(console, "When they fired (UTC)", made)


def verdict(question: TrialQuestion, compared: Sequence[RuleComparison]) -> str:
    """Relationships first: a rate of alerts hides which relationships are gained and lost."""
    span, pairs = question.span, balance(compared)
    now, then = (sum(len(alerts) for alerts in side) for side in zip(*((o.now, o.then) for o in compared), strict=True))
    versions = " and ".join(profile.version for profile in question.candidates.profiles)
    many = "1 relationship" if pairs.gained == 1 else f"{pairs.gained} relationships"
    return (
        f"With {versions} {many} would alert that do not now, and {pairs.lost} no longer would; {pairs.kept} do either "
        f"way. That is {_rate(then, span)} alerts a week instead of {_rate(now, span)}."
    )


def document(question: TrialQuestion, compared: Sequence[RuleComparison]) -> Document:
    span = question.span
    return {
        "verdict": verdict(question, compared),
        "profiles": {
            **{name: profile.model_dump(mode="json") for name, profile in question.candidates.of_program.items()},
            **({"*": question.candidates.of_all.model_dump(mode="json")} if question.candidates.of_all else {}),
        },
        "relationships_gained": balance(compared).gained,
        "relationships_lost": balance(compared).lost,
        "since": rfc3339(span.since),
        "until": rfc3339(span.until),
        "weeks": span.weeks,
        "notes": _notes(question),
        "programmes": [
            {**one._asdict(), "now_a_week": one.now / span.weeks, "then_a_week": one.then / span.weeks}
            for one in summaries(compared)
        ],
        "relationships": [
            {**one._asdict(), "now": list(map(_alert, one.now)), "then": list(map(_alert, one.then))}
            for one in compared
            if one.now or one.then
        ],
    }


def _change(one: RuleComparison) -> str:
    if one.now and one.then:
        return "on both sides"
    return "no longer" if one.now else "newly"


def _fired(alerts: Sequence[TrialAlert]) -> str:
    return ", ".join(minute(alert.fired) for alert in alerts) or "never"


def _notes(question: TrialQuestion) -> list[str]:
    profiles = question.candidates.profiles
    return [
        "the profile is tried as if it had held from the beginning, and everything had been known in time",
        *(f"the risk of {profile.version} is {profile.certainty}" for profile in profiles),
        *(
            f"with {profile.version} notify would not start: {rule.name}: {gap}"
            for profile in profiles
            for rule in question.rules
            for gap in unwatched(rule, profile.watch)
        ),
    ]


def _rate(count: int, span: TrialSpan, sign: str = "") -> str:
    return f"{count / span.weeks:{sign}.2f}"


def _alert(alert: TrialAlert) -> Document:
    return {"fired": rfc3339(alert.fired), "resolved": None if alert.resolved is None else rfc3339(alert.resolved)}
