"""The tables of an explanation: parts, terms, story, and what single acts would do."""

from rich.table import Table

from services.scoring.commands.console import cells, table
from services.scoring.commands.figures import hundredths, minute, signed, spaced, tenths
from services.scoring.domain.explaining.explanation import Explanation
from services.scoring.domain.explaining.missing import full
from services.scoring.domain.explaining.shown import HUNDREDTH, TENTH, shares, shown_points, whole
from services.scoring.domain.explaining.story import Change

SINGLES = 8
WIDE = 110
"""Columns that the whole story needs side by side."""


def parts(found: Explanation) -> Table:
    """The points add up to the health as it is shown."""
    row, made = found.row, table(part="left", value="right", weight="right", points="right", of="right")
    points = shown_points(row.evaluation)
    for part, shown in zip(row.evaluation.parts, points, strict=True):
        best = tenths(full(row, part)) if part.weight else ""
        made.add_row(*cells(spaced(part.name), hundredths(part.value), f"{part.weight:g}", tenths(shown), best))
    weights = sum(part.weight for part in row.evaluation.parts)
    made.add_row(*cells("health", "", f"{weights:g}", tenths(sum(points)), "100.0"))
    return made


def terms(found: Explanation) -> Table:
    """They add up to L as it is shown."""
    made, evaluation = table(term="left", value="right"), found.row.evaluation
    values = [value for _, value in evaluation.terms]
    total = whole(sum(values), HUNDREDTH)
    for (name, _), value in zip(evaluation.terms, shares(values, HUNDREDTH, total), strict=True):
        made.add_row(*cells(spaced(name), f"{value / 100:+.2f}"))
    made.add_row(*cells("L, their sum", f"{total / 100:+.2f}"))
    made.add_row(*cells("risk = 1 / (1 + exp(-L))", hundredths(evaluation.risk)))
    return made


def story(found: Explanation, width: int) -> Table:
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


def singles(found: Explanation) -> Table:
    made = table(act="wrap", health="right", band="left")
    for trial in found.remedies.singles[:SINGLES]:
        made.add_row(*cells(" and ".join(trial.steps), tenths(whole(trial.health, TENTH)), trial.band))
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
