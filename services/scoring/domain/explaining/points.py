"""Points as people see them: rounded and still adding up to their rounded sum, and what each part lacks of its best.
About the relationship, never about a person."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.scoring.domain.bounds import ONE
from services.scoring.domain.explaining.words import since_words
from services.scoring.domain.row import SILENCE, Evaluation, HistoryRow, PartValue

TENTH = ONE // 10
HUNDREDTH = ONE // 100


def shown_health(evaluation: Evaluation) -> int:
    """In tenths."""
    return whole(evaluation.health, TENTH)


def shown_points(evaluation: Evaluation) -> list[int]:
    """The points of the parts in tenths that sum exactly to the shown health."""
    return tenths([part.contribution for part in evaluation.parts])


def whole(value: int, unit: int) -> int:
    """Millionths in units, halves rounded up: so that equal steps stay equal, which rounding to even would not keep."""
    return (2 * value + unit) // (2 * unit)


def tenths(values: Sequence[int]) -> list[int]:
    """Each value of millionths in tenths, summing to their sum rounded to tenths."""
    return shares(values, TENTH, whole(sum(values), TENTH))


def shares(values: Sequence[int], unit: int, total: int) -> list[int]:
    """Each value of millionths in units such that they sum to `total`, which is their sum or next to it, by largest
    remainder; ties to the earlier. A value that needs no rounding keeps what it is."""
    out = [value // unit for value in values]
    by_remainder = sorted(range(len(out)), key=lambda i: out[i] * unit - values[i])
    for i in by_remainder[: total - sum(out)]:
        out[i] += 1
    return out


NOTABLE = 20
"""Tenths of a point; fewer are no reason."""
WORDS: Mapping[str, str] = {
    "reliability": "sessions missed, cancelled, or few so far",
    "goals": "goals have not moved, or are not SMART",
    "feedback": "ratings below the full mark, or few so far",
    "mutual": "messages mostly from one side",
    "responsiveness": "replies take long",
    "support": "well-being rated below the full mark, or seldom so far",
    "growth": "no recent step of learning",
    "expectations": "expectations or preparation still open",
}
CAPS: Mapping[str, str] = {
    "support_open": "an immediate support request is open",
    "fit_not_good": "the fit is called not good",
}


class Missing(NamedTuple):
    """`points` that the part is short of its best, in tenths, negative."""

    part: str
    points: int
    words: str


def missing(at: int, row: HistoryRow, last_held: int | None) -> tuple[Missing, ...]:
    """What is worth telling, the heaviest first. `last_held`: when the last session was held."""
    told = {
        **WORDS,
        SILENCE: since_words("contact", row.last_contact, row.started, at),
        "rhythm": f"{since_words('session', last_held, row.started, at)}, due every {row.cadence:g}",
    }
    lacks = [
        Missing(part.name, points - full(row, part), told.get(part.name, part.name))
        for part, points in zip(row.evaluation.parts, shown_points(row.evaluation), strict=True)
    ]
    return tuple(sorted((lack for lack in lacks if lack.points <= -NOTABLE), key=lambda lack: lack.points))


def full(row: HistoryRow, part: PartValue) -> int:
    """The points that the part has at the best, in tenths."""
    total = sum(one.weight for one in row.evaluation.parts)
    return round(1000 * part.weight / total) if total else 0


def capped_by(row: HistoryRow) -> tuple[str, ...]:
    """What caps the band, in words."""
    return tuple(CAPS[code] for code in row.evaluation.caps)
