"""What another profile would have changed, as tables and as one JSON document."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.rule_faults import unwatched
from services.scoring.commands.console import cells, minute, rfc3339, section, table
from services.scoring.domain.what_if.alerts import TrialAlert
from services.scoring.domain.what_if.trial import Compared, Summary, TrialQuestion, TrialSpan, balance, summaries

Document = dict[str, Any]


def report(console: Console, question: TrialQuestion, compared: Sequence[Compared]) -> None:
    span, found = question.span, summaries(compared)
    console.print(Text(verdict(question, compared), style="bold"), soft_wrap=True)
    console.print(Text(f"{minute(span.since)} to {minute(span.until)} UTC, {span.weeks:.1f} weeks"))
    for note in _notes(question):
        console.print(Text(f"Note: {note}"))
    console.print()
    section(console, "By programme, alerts a week", _programmes(found, span))
    alerting = [one for one in compared if one.now or one.then]
    section(console, "When they fired (UTC)", _pairs(alerting))


def verdict(question: TrialQuestion, compared: Sequence[Compared]) -> str:
    """The pairs first: a rate of alerts hides which people somebody would call and which no longer."""
    span, pairs = question.span, balance(compared)
    now, then = (sum(len(alerts) for alerts in side) for side in zip(*((o.now, o.then) for o in compared), strict=True))
    versions = " and ".join(profile.version for profile in question.candidates.profiles)
    many = "1 relationship" if pairs.gained == 1 else f"{pairs.gained} relationships"
    return (
        f"With {versions} {many} would alert that do not now, and {pairs.lost} no longer would; {pairs.kept} do either "
        f"way. That is {_rate(then, span)} alerts a week instead of {_rate(now, span)}."
    )


def document(question: TrialQuestion, compared: Sequence[Compared]) -> Document:
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


def _programmes(found: Sequence[Summary], span: TrialSpan) -> Table:
    made = table(
        programme="wrap",
        rule="left",
        pairs="right",
        now="right",
        with_it="right",
        difference="right",
        pairs_only_with_it="right",
        pairs_only_now="right",
    )
    for one in found:
        rates = (_rate(one.now, span), _rate(one.then, span), _rate(one.then - one.now, span, "+"))
        made.add_row(*cells(one.program, one.rule, one.relationships, *rates, one.more, one.fewer))
    return made


def _pairs(alerting: Sequence[Compared]) -> Table:
    made = table(pair="left", rule="left", change="left", now="wrap", with_it="wrap")
    for one in sorted(alerting, key=lambda one: (_change(one), one.relationship, one.rule)):
        made.add_row(*cells(one.relationship, one.rule, _change(one), _fired(one.now), _fired(one.then)))
    return made


def _change(one: Compared) -> str:
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
