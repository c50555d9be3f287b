"""What another profile would have changed, as tables and as one JSON document."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.primitives import from_micros, to_rfc3339
from services.scoring.commands.console import cells, section, table
from services.scoring.commands.figures import minute
from services.scoring.domain.what_if.alerts import Alert
from services.scoring.domain.what_if.rules import unwatched
from services.scoring.domain.what_if.trial import Compared, Question, Span, Summary, summaries

Document = dict[str, Any]


def report(console: Console, question: Question, compared: Sequence[Compared]) -> None:
    span, found = question.span, summaries(compared)
    now, then = sum(one.now for one in found), sum(one.then for one in found)
    console.print(
        Text(
            f"Profile {question.candidate.version}: {_rate(then, span)} alerts a week instead of {_rate(now, span)} "
            f"({_rate(then - now, span, '+')})",
            style="bold",
        )
    )
    console.print(Text(f"{minute(span.since)} to {minute(span.until)} UTC, {span.weeks:.1f} weeks"))
    for note in _notes(question):
        console.print(Text(f"Note: {note}"))
    console.print()
    section(console, "By programme, alerts a week", _programmes(found, span))
    alerting = [one for one in compared if one.now or one.then]
    section(console, "When they fired (UTC)", _pairs(alerting))


def document(question: Question, compared: Sequence[Compared]) -> Document:
    span = question.span
    return {
        "profile": question.candidate.model_dump(mode="json"),
        "since": _time(span.since),
        "until": _time(span.until),
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


def _programmes(found: Sequence[Summary], span: Span) -> Table:
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


def _fired(alerts: Sequence[Alert]) -> str:
    return ", ".join(minute(alert.fired) for alert in alerts) or "never"


def _notes(question: Question) -> list[str]:
    return [
        "the profile is tried as if it had held from the beginning, and everything had been known in time",
        *(
            f"with this profile notify would not start: {gap}"
            for gap in unwatched(question.rules, question.candidate.watch)
        ),
    ]


def _rate(count: int, span: Span, sign: str = "") -> str:
    return f"{count / span.weeks:{sign}.2f}"


def _alert(alert: Alert) -> Document:
    return {"fired": _time(alert.fired), "resolved": None if alert.resolved is None else _time(alert.resolved)}


def _time(at: int) -> str:
    return to_rfc3339(from_micros(at))
