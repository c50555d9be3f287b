"""An explanation as text. Whoever is called in the morning reads three lines: how it is, why, and what
to do."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.scoring.commands.console import (
    cells,
    hundredths,
    minute,
    section,
    signed,
    spaced,
    table,
    tenths,
)
from services.scoring.domain.bounds import DAY, ONE
from services.scoring.domain.explaining.explanation import Explanation
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
from services.scoring.domain.explaining.story import Change
from services.scoring.domain.explaining.words import spell
from services.scoring.domain.row import HistoryRow

REASONS = 3
SINGLES = 8
WIDE = 110
"""Columns that the whole story needs side by side."""
LOW_CONFIDENCE = ONE // 4
"""Below it a health rests on too few facts to call somebody for."""


def report(console: Console, found: Explanation, clock: int) -> None:
    """`clock`: up to which instant scores can be told."""
    to_do, horizon = _to_do(found), spell(found.profile.horizon_days)
    for line in (_how(found), f"Why:  {_why(found)}", f"Do:   {to_do}"):
        console.print(Text(line, style="bold"))
    console.print()
    section(console, "", _facts(found, clock))
    section(console, "Health, in points", _parts(found))
    section(console, f"Risk of no contact in the next {horizon}, in log-odds", _terms(found))
    section(console, "The story", _story(found, console.width))
    if found.remedies.singles:
        section(console, "What one act would do now", _singles(found))
    console.print(Text(f"What to do: {to_do}", style="bold"))


def _how(found: Explanation) -> str:
    row, now = found.row, found.row.evaluation
    status = "" if row.status == "active" else f"{row.status}, "
    health = f"health {tenths(shown_health(now))}, {now.band} ({_trend(row)})"
    return f"{found.known.relationship}: {status}{health}; risk {hundredths(now.risk)} ({found.profile.certainty})"


def _why(found: Explanation) -> str:
    caps = [f"{cap}, so no better than strained" for cap in capped_by(found.row)]
    lacks = [f"{one.words} {signed(one.points)}" for one in found.missing]
    return "; ".join([*caps, *lacks][:REASONS]) or "no part lacks much"


def _to_do(found: Explanation) -> str:
    """What answers the costliest cause, and what it would do to health and risk."""
    first, now = found.remedies.first, found.row.evaluation
    if first is None:
        return f"nothing: {found.remedies.reason}"
    health = f"{tenths(shown_health(now))} -> {tenths(whole(first.health, TENTH))}, {first.band}"
    risk = f"{hundredths(now.risk)} -> {hundredths(first.risk)} ({found.profile.certainty.split(';')[0]})"
    return f"{' and '.join(first.steps)}: health {health}; risk {risk}"


def _facts(found: Explanation, clock: int) -> Table:
    made = table(name="left", said="wrap")
    made.show_header = False
    for pair in _said(found, clock):
        made.add_row(*cells(*pair))
    return made


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


def _singles(found: Explanation) -> Table:
    made = table(act="wrap", health="right", band="left", risk="right")
    for trial in found.remedies.singles[:SINGLES]:
        numbers = tenths(whole(trial.health, TENTH)), trial.band, hundredths(trial.risk)
        made.add_row(*cells(" and ".join(trial.steps), *numbers))
    return made


def _told(change: Change) -> tuple[str, str, str, str, str, str]:
    """When, what, points moved, health, band, risk."""
    before = change.health if change.before is None else change.before
    return (
        _when(change),
        "; ".join(change.words),
        ", ".join(f"{spaced(name)} {signed(points)}" for name, points in change.moved),
        f"{'' if before == change.health else f'{tenths(before)} -> '}{tenths(change.health)}",
        change.band,
        f"{hundredths(change.risk)} {spaced(change.term)}",
    )


def _when(change: Change) -> str:
    """A stretch of midnights by its first and last day."""
    return (
        minute(change.begin)
        if change.begin == change.end
        else f"{minute(change.begin)[:10]} to {minute(change.end)[5:10]}"
    )
