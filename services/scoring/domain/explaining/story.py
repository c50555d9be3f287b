"""The story of a relationship: every change of its score in order, with its cause and the points of each part."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from services.scoring.domain.causes import MIDNIGHT
from services.scoring.domain.evaluation import Evaluation
from services.scoring.domain.explaining.cause_words import cause_words, passing
from services.scoring.domain.explaining.shown import TENTH, shares, shown_health
from services.scoring.domain.row import Row

_OF_ALL = "base"
"""The term of the risk that is the same for every relationship."""


class Change(NamedTuple):
    """One row, or a stretch of midnights. Health in tenths, `before` None where nothing was; `moved`: the parts that
    changed, in tenths that sum to the change shown. `risk` in millionths, `term`: what drives it most."""

    begin: int
    end: int
    rows: int
    words: tuple[str, ...]
    before: int | None
    health: int
    band: str
    moved: tuple[tuple[str, int], ...]
    risk: int
    term: str


def story(rows: Mapping[int, Row], words: Mapping[int, tuple[str, ...]]) -> Iterator[Change]:
    """`rows` in order; `words`: what events say happened at each instant."""
    for quiet, stretch in groupby(rows.items(), key=lambda item: item[1].causes == (MIDNIGHT,)):
        if quiet:
            midnights = list(stretch)
            yield _change(midnights, (passing(*midnights[-1]),))
        else:
            yield from (_change([(at, row)], cause_words(at, row, words.get(at, ()))) for at, row in stretch)


def largest_term(evaluation: Evaluation) -> str:
    """What raises the risk most; where nothing does, what lowers it least."""
    return max((value, name) for name, value in evaluation.terms if name != _OF_ALL)[1]


def _change(stretch: Sequence[tuple[int, Row]], words: tuple[str, ...]) -> Change:
    (begin, first), (end, last) = stretch[0], stretch[-1]
    before, now = first.before.evaluation if first.before else None, last.evaluation
    return Change(
        begin=begin,
        end=end,
        rows=len(stretch),
        words=words,
        before=shown_health(before) if before else None,
        health=shown_health(now),
        band=now.band,
        moved=_moved(before, now),
        risk=now.risk,
        term=largest_term(now),
    )


def _moved(before: Evaluation | None, now: Evaluation) -> tuple[tuple[str, int], ...]:
    """A part that was not there before counts from 0, as one does that has gone."""
    was = {part.name: part.contribution for part in before.parts} if before else {}
    points = {part.name: part.contribution for part in now.parts}
    names = [*points, *(name for name in was if name not in points)]
    total = shown_health(now) - (shown_health(before) if before else 0)
    moved = shares([points.get(name, 0) - was.get(name, 0) for name in names], TENTH, total)
    return tuple((name, tenth) for name, tenth in zip(names, moved, strict=True) if tenth)
