"""Why a health is no better: what each part lacks, in points and plain words. About the relationship, never about a
person."""

from collections.abc import Mapping
from typing import NamedTuple

from services.scoring.domain.evaluation import SILENCE, PartValue
from services.scoring.domain.explaining.cause_words import since_words
from services.scoring.domain.explaining.shown import shown_points
from services.scoring.domain.row import Row

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


def missing(at: int, row: Row, last_held: int | None) -> tuple[Missing, ...]:
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


def full(row: Row, part: PartValue) -> int:
    """The points that the part has at the best, in tenths."""
    total = sum(one.weight for one in row.evaluation.parts)
    return round(1000 * part.weight / total) if total else 0


def capped_by(row: Row) -> tuple[str, ...]:
    """What caps the band, in words."""
    return tuple(CAPS[code] for code in row.evaluation.caps)
