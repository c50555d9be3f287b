"""`rapport scoring explain RELATIONSHIP`: its score, the reasons, its story, and what to do; as text, or as one JSON
document."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from services.scoring.commands.console import (
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
from services.scoring.domain.explaining.explanation import Explanation, NothingToExplain, Trial, explain
from services.scoring.domain.explaining.known_history import known_history
from services.scoring.domain.explaining.story import (
    HUNDREDTH,
    TENTH,
    Change,
    capped_by,
    full,
    rounded,
    shares,
    shown_health,
    shown_points,
    spell,
)
from services.scoring.domain.row import HistoryRow
from services.scoring.flow.log_reading import UnknownRelationshipError, read_relationship
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
    topics = Topics.at(settings.log_epoch)
    with explained("explain", UnknownRelationshipError), progress() as bar:
        task = bar.add_task("reading the log", total=None)
        log = read_relationship(settings, topics, relationship, lambda: bar.advance(task))
    history = known_history(log.relationship, log.events, known_at)
    upto = as_of if as_of is not None else known_at if known_at is not None else log.clock
    found = explain(history, log.programmes.of(log.relationship, history.program), upto)
    if isinstance(found, NothingToExplain):
        sys.exit(f"rapport scoring explain: {log.relationship}: {found.reason}")
    if as_json:
        click.echo(json.dumps(document(found), indent=2))
    else:
        report(output(), found, log.clock)


def document(found: Explanation) -> Document:
    """Instants in RFC 3339; points as displayed, so they add up."""
    history, row, evaluation = found.history, found.row, found.row.evaluation
    return {
        "relationship": history.relationship,
        "program": history.program,
        "as_of": _time(found.as_of),
        "known_at": _time(history.known_at),
        "events_left_out": history.later,
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
        "story": [
            {
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
            for change in found.story
        ],
        "to_do": {
            "first": _trial(found.remedies.first) if found.remedies.first else None,
            "cause": found.remedies.cause,
            "reason": found.remedies.reason,
            "singles": [_trial(trial) for trial in found.remedies.singles],
        },
    }


def _trial(trial: Trial) -> Document:
    health = rounded(trial.health, TENTH) / 10
    return {"steps": trial.steps, "health": health, "band": trial.band, "risk": trial.risk / ONE}


def _time(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)


REASONS = 3
SINGLES = 8
WIDE = 110
"""Columns needed to show the whole story side by side."""
LOW_CONFIDENCE = ONE // 4
"""Below it, a health rests on too few facts to act on."""


def report(console: Console, found: Explanation, clock: int) -> None:
    """`clock`: the instant up to which scores can be computed."""
    row, now, first, certainty = found.row, found.row.evaluation, found.remedies.first, found.profile.certainty
    # 1. The score, the reasons, and the act that answers the costliest cause with its effect on health and risk.
    status, health = "" if row.status == "active" else f"{row.status}, ", tenths(shown_health(now))
    how = f"{status}health {health}, {now.band} ({_trend(row)}); risk {hundredths(now.risk)} ({certainty})"
    caps = [f"{cap}, so no better than strained" for cap in capped_by(row)]
    lacks = [f"{one.words} {signed(one.points)}" for one in found.missing]
    why = "; ".join([*caps, *lacks][:REASONS]) or "no part lacks much"
    to_do = f"nothing: {found.remedies.reason}"
    if first is not None:
        lifted = f"health {health} -> {tenths(rounded(first.health, TENTH))}, {first.band}"
        risk = f"risk {hundredths(now.risk)} -> {hundredths(first.risk)} ({certainty.split(';')[0]})"
        to_do = f"{' and '.join(first.steps)}: {lifted}; {risk}"
    for line in (f"{found.history.relationship}: {how}", f"Why:  {why}", f"Do:   {to_do}"):
        console.print(Text(line, style="bold"))
    console.print()
    # 2. The details.
    facts = table(_facts_to_show(found, clock), name="left", said="wrap")
    facts.show_header = False
    section(console, "", facts)
    _print_sums(console, found)
    _print_story(console, found)
    console.print(Text(f"What to do: {to_do}", style="bold"))


def _facts_to_show(found: Explanation, clock: int) -> Iterator[tuple[str, str]]:
    history, row, now, caps = found.history, found.row, found.row.evaluation, capped_by(found.row)
    ahead = ", ahead of the clock: as if nothing more happened" if found.as_of > clock else ""
    yield "as of", f"{minute(found.as_of)}{ahead}; scored {minute(found.at)}; all times in UTC"
    if history.known_at is not None:
        yield "known at", f"{minute(history.known_at)}; recorded later and left out: {history.later} events"

    yield "status", f"{row.status}, since {minute(row.started)}, a session expected every {spell(row.cadence)}"
    yield "programme", f"{found.history.program}, profile {found.profile.version}"
    yield "band", f"{now.band}, capped: {'; '.join(caps)}" if caps else now.band
    low = ", low" if now.confidence < LOW_CONFIDENCE else ""
    yield "confidence", f"{hundredths(now.confidence)} of 1{low}"
    yield "trend", _trend(row)
    ago = "" if row.last_contact is None else f", {spell((found.as_of - row.last_contact) // DAY)} ago"
    yield "last contact", "none" if row.last_contact is None else f"{minute(row.last_contact)}{ago}"
    if row.open_requests:
        yield "support", f"open requests: {', '.join(row.open_requests)}"
    yield "next session", "none booked" if row.next_session is None else minute(row.next_session)


def _print_sums(console: Console, found: Explanation) -> None:
    """Points that add up to the health as displayed, and terms that add up to L as displayed."""
    evaluation, points = found.row.evaluation, shown_points(found.row.evaluation)
    parts = [
        (
            spaced(part.name),
            hundredths(part.value),
            f"{part.weight:g}",
            tenths(shown),
            tenths(full(found.row, part)) if part.weight else "",
        )
        for part, shown in zip(evaluation.parts, points, strict=True)
    ]
    weights = sum(part.weight for part in evaluation.parts)
    parts.append(("health", "", f"{weights:g}", tenths(sum(points)), "100.0"))
    numbers = dict.fromkeys(("value", "weight", "points", "of"), "right")
    section(console, "Health, in points", table(parts, part="left", **numbers))
    total = rounded(sum(evaluation.effects), HUNDREDTH)
    values = zip(evaluation.term_names, shares(evaluation.effects, HUNDREDTH, total), strict=True)
    terms = [(spaced(name), f"{value / 100:+.2f}") for name, value in values]
    terms.append(("L, their sum", f"{total / 100:+.2f}"))
    terms.append(("risk = 1 / (1 + exp(-L))", hundredths(evaluation.risk)))
    title = f"Risk of no contact in the next {spell(found.profile.horizon_days)}, in log-odds"
    section(console, title, table(terms, term="left", value="right"))


def _print_story(console: Console, found: Explanation) -> None:
    """On a narrow console the points stand below what moved them."""
    cells = list(map(_change_cells, found.story))
    made = table(cells, when="left", what="wrap", points_moved="wrap", health="right", band="left", risk="left")
    if console.width < WIDE:
        rows = ((when, f"{what}\n{moved}".strip(), health, risk) for when, what, moved, health, _, risk in cells)
        made = table(rows, when="left", what="wrap", health="right", risk="left")
    section(console, "The story", made)
    singles = [
        (" and ".join(one.steps), tenths(rounded(one.health, TENTH)), one.band, hundredths(one.risk))
        for one in found.remedies.singles[:SINGLES]
    ]
    if singles:
        made = table(singles, act="wrap", health="right", band="left", risk="right")
        section(console, "What one act would do now", made)


def _trend(row: HistoryRow) -> str:
    points = rounded(row.trend, TENTH)
    return f"{signed(points)} in 4 weeks" if points else "level for 4 weeks"


def _change_cells(change: Change) -> tuple[str, str, str, str, str, str]:
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
