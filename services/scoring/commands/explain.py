"""`rapport scoring explain RELATIONSHIP`: how it is, why, how it came to be, and what to do; as text, or as one JSON
document."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.scoring.commands.console import (
    cells,
    command_settings,
    explained,
    hundredths,
    instant,
    minute,
    output,
    progress,
    rfc3339,
    section,
    signed,
    spaced,
    table,
    tenths,
)
from services.scoring.domain.bounds import DAY, ONE
from services.scoring.domain.explaining.explanation import Explanation, Untold, explain
from services.scoring.domain.explaining.knowledge import knowledge_of
from services.scoring.domain.explaining.points import (
    HUNDREDTH,
    TENTH,
    capped_by,
    full,
    shares,
    shown_health,
    shown_points,
    whole,
)
from services.scoring.domain.explaining.remedies import Trial
from services.scoring.domain.explaining.story import Change
from services.scoring.domain.explaining.words import spell
from services.scoring.domain.row import HistoryRow
from services.scoring.flow.one_relationship import UnknownRelationshipError, read_relationship
from services.scoring.topics import Topics

Document = dict[str, Any]


@click.command("explain")
@click.argument("relationship")
@click.option("--as-of", callback=instant, help="The story up to then, ISO 8601; UTC without a zone. Default: now.")
@click.option("--known-at", callback=instant, help="As known then: events recorded later are left out.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")
def explain_(relationship: str, as_of: int | None, known_at: int | None, *, as_json: bool) -> None:
    """Explain the score of RELATIONSHIP (tenant/id, or the id where only one tenant has it).

    With --known-at alone the story ends there too; with both, it is the story up to --as-of as it was known at
    --known-at."""
    settings = command_settings()
    names = Topics.at(settings.log_epoch)
    with explained("explain", UnknownRelationshipError), progress() as bar:
        task = bar.add_task("reading the log", total=None)
        log = read_relationship(settings, names, relationship, lambda: bar.advance(task))
    known = knowledge_of(log.relationship, log.events, known_at)
    upto = as_of if as_of is not None else known_at if known_at is not None else log.clock
    found = explain(known, log.programmes.of(log.relationship, known.program), upto)
    if isinstance(found, Untold):
        sys.exit(f"rapport scoring explain: {log.relationship}: {found.reason}")
    if as_json:
        click.echo(json.dumps(document(found), indent=2))
    else:
        report(output(), found, log.clock)


def document(found: Explanation) -> Document:
    """Instants in RFC 3339, points as they are shown: they add up."""
    known, row, evaluation = found.known, found.row, found.row.evaluation
    return {
        "relationship": known.relationship,
        "program": known.program,
        "as_of": _time(found.as_of),
        "known_at": _time(known.known_at),
        "events_left_out": known.later,
        "scored_at": _time(found.at),
        "status": row.status,
        "started": _time(row.started),
        "cadence_days": row.cadence,
        "last_contact": _time(row.last_contact),
        "next_session": _time(row.next_session),
        "open_requests": row.open_requests,
        "profile": found.profile.version,
        "calibration": found.profile.calibration,
        "certainty_of_risk": found.profile.certainty,
        "health": shown_health(evaluation) / 10,
        "band": evaluation.band,
        "capped_by": capped_by(row),
        "confidence": evaluation.confidence / ONE,
        "trend": row.trend / ONE,
        "why": [{"part": one.part, "points": one.points / 10, "words": one.words} for one in found.missing],
        "parts": [
            {"name": part.name, "value": part.value / ONE, "weight": part.weight, "points": points / 10}
            for part, points in zip(evaluation.parts, shown_points(evaluation), strict=True)
        ],
        "risk": evaluation.risk / ONE,
        "risk_terms": [{"name": name, "value": value / ONE} for name, value in evaluation.terms],
        "story": [_change(change) for change in found.story],
        "to_do": {
            "first": _trial(found.remedies.first) if found.remedies.first else None,
            "cause": found.remedies.cause,
            "reason": found.remedies.reason,
            "singles": [_trial(trial) for trial in found.remedies.singles],
        },
    }


def _change(change: Change) -> Document:
    return {
        "from": _time(change.begin),
        "to": _time(change.end),
        "rows": change.rows,
        "what": change.words,
        "before": None if change.before is None else change.before / 10,
        "health": change.health / 10,
        "band": change.band,
        "moved": {name: points / 10 for name, points in change.moved},
        "risk": change.risk / ONE,
        "risk_term": change.term,
    }


def _trial(trial: Trial) -> Document:
    health = whole(trial.health, TENTH) / 10
    return {"steps": trial.steps, "health": health, "band": trial.band, "risk": trial.risk / ONE}


def _time(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)


REASONS = 3
SINGLES = 8
WIDE = 110
"""Columns that the whole story needs side by side."""
LOW_CONFIDENCE = ONE // 4
"""Below it a health rests on too few facts to call somebody for."""


def report(console: Console, found: Explanation, clock: int) -> None:
    """`clock`: up to which instant scores can be told."""
    to_do, horizon = _to_do(found), spell(found.profile.horizon_days)
    caps = [f"{cap}, so no better than strained" for cap in capped_by(found.row)]
    lacks = [f"{one.words} {signed(one.points)}" for one in found.missing]
    why = "; ".join([*caps, *lacks][:REASONS]) or "no part lacks much"
    for line in (_how(found), f"Why:  {why}", f"Do:   {to_do}"):
        console.print(Text(line, style="bold"))
    console.print()
    facts = table(name="left", said="wrap")
    facts.show_header = False
    for pair in _said(found, clock):
        facts.add_row(*cells(*pair))
    section(console, "", facts)
    section(console, "Health, in points", _parts(found))
    section(console, f"Risk of no contact in the next {horizon}, in log-odds", _terms(found))
    section(console, "The story", _story(found, console.width))
    if found.remedies.singles:
        made = table(act="wrap", health="right", band="left", risk="right")
        for trial in found.remedies.singles[:SINGLES]:
            numbers = tenths(whole(trial.health, TENTH)), trial.band, hundredths(trial.risk)
            made.add_row(*cells(" and ".join(trial.steps), *numbers))
        section(console, "What one act would do now", made)
    console.print(Text(f"What to do: {to_do}", style="bold"))


def _how(found: Explanation) -> str:
    row, now = found.row, found.row.evaluation
    status = "" if row.status == "active" else f"{row.status}, "
    health = f"health {tenths(shown_health(now))}, {now.band} ({_trend(row)})"
    return f"{found.known.relationship}: {status}{health}; risk {hundredths(now.risk)} ({found.profile.certainty})"


def _to_do(found: Explanation) -> str:
    """What answers the costliest cause, and what it would do to health and risk."""
    first, now = found.remedies.first, found.row.evaluation
    if first is None:
        return f"nothing: {found.remedies.reason}"
    health = f"{tenths(shown_health(now))} -> {tenths(whole(first.health, TENTH))}, {first.band}"
    risk = f"{hundredths(now.risk)} -> {hundredths(first.risk)} ({found.profile.certainty.split(';')[0]})"
    return f"{' and '.join(first.steps)}: health {health}; risk {risk}"


def _said(found: Explanation, clock: int) -> Iterator[tuple[str, str]]:
    known, row, now, caps = found.known, found.row, found.row.evaluation, capped_by(found.row)
    ahead = ", ahead of the clock: as if nothing more happened" if found.as_of > clock else ""
    yield "as of", f"{minute(found.as_of)}{ahead}; scored {minute(found.at)}; all times in UTC"
    if known.known_at is not None:
        yield "known at", f"{minute(known.known_at)}; recorded later and left out: {known.later} events"

    yield "status", f"{row.status}, since {minute(row.started)}, a session expected every {spell(row.cadence)}"
    yield "programme", f"{found.known.program}, profile {found.profile.version}"
    yield "band", f"{now.band}, capped: {'; '.join(caps)}" if caps else now.band
    low = ", low" if now.confidence < LOW_CONFIDENCE else ""
    yield "confidence", f"{hundredths(now.confidence)} of 1{low}"
    yield "trend", _trend(row)
    ago = "" if row.last_contact is None else f", {spell((found.as_of - row.last_contact) // DAY)} ago"
    yield "last contact", "none" if row.last_contact is None else f"{minute(row.last_contact)}{ago}"
    if row.open_requests:
        yield "support", f"open requests: {', '.join(row.open_requests)}"
    yield "next session", "none booked" if row.next_session is None else minute(row.next_session)


def _trend(row: HistoryRow) -> str:
    points = whole(row.trend, TENTH)
    return f"{signed(points)} in 4 weeks" if points else "level for 4 weeks"


def _parts(found: Explanation) -> Table:
    """The points add up to the health as it is shown."""
    row, made = found.row, table(part="left", value="right", weight="right", points="right", of="right")
    points = shown_points(row.evaluation)
    for part, shown in zip(row.evaluation.parts, points, strict=True):
        best = tenths(full(row, part)) if part.weight else ""
        made.add_row(*cells(spaced(part.name), hundredths(part.value), f"{part.weight:g}", tenths(shown), best))
    weights = sum(part.weight for part in row.evaluation.parts)
    made.add_row(*cells("health", "", f"{weights:g}", tenths(sum(points)), "100.0"))
    return made


def _terms(found: Explanation) -> Table:
    """They add up to L as it is shown."""
    made, evaluation = table(term="left", value="right"), found.row.evaluation
    values = [value for _, value in evaluation.terms]
    total = whole(sum(values), HUNDREDTH)
    for (name, _), value in zip(evaluation.terms, shares(values, HUNDREDTH, total), strict=True):
        made.add_row(*cells(spaced(name), f"{value / 100:+.2f}"))
    made.add_row(*cells("L, their sum", f"{total / 100:+.2f}"))
    made.add_row(*cells("risk = 1 / (1 + exp(-L))", hundredths(evaluation.risk)))
    return made


def _story(found: Explanation, width: int) -> Table:
    """Where it is narrow the points stand below what moved them."""
    if width >= WIDE:
        made = table(when="left", what="wrap", points_moved="wrap", health="right", band="left", risk="left")
        rows: list[tuple[str, ...]] = list(map(_told, found.story))
    else:
        made = table(when="left", what="wrap", health="right", risk="left")
        told = map(_told, found.story)
        rows = [(when, f"{what}\n{moved}".strip(), health, risk) for when, what, moved, health, _, risk in told]
    for row in rows:
        made.add_row(*cells(*row))
    return made


def _told(change: Change) -> tuple[str, str, str, str, str, str]:
    """When (a stretch of midnights by its first and last day), what, points moved, health, band, risk."""
    before, begin = change.health if change.before is None else change.before, minute(change.begin)
    return (
        begin if change.begin == change.end else f"{begin[:10]} to {minute(change.end)[5:10]}",
        "; ".join(change.words),
        ", ".join(f"{spaced(name)} {signed(points)}" for name, points in change.moved),
        f"{'' if before == change.health else f'{tenths(before)} -> '}{tenths(change.health)}",
        change.band,
        f"{hundredths(change.risk)} {spaced(change.term)}",
    )
