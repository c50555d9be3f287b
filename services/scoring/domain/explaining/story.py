"""The story of a relationship: every change of its score in order, with its cause and the points of each part."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from services.scoring.domain.bounds import ONE
from services.scoring.domain.explaining.points import TENTH, shares, shown_health
from services.scoring.domain.explaining.words import cause_words, passing
from services.scoring.domain.row import SILENCE, Evaluation, HistoryRow
from services.scoring.domain.timeline import MIDNIGHT

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


def story(rows: Mapping[int, HistoryRow], words: Mapping[int, tuple[str, ...]]) -> Iterator[Change]:
    """`rows` in order; `words`: what events say happened at each instant."""
    for quiet, stretch in groupby(rows.items(), key=lambda item: item[1].causes == (MIDNIGHT,)):
        if quiet:
            midnights = list(stretch)
            yield _change(midnights, (passing(*midnights[-1]),))
        else:
            yield from (_change([(at, row)], cause_words(at, row, words.get(at, ()))) for at, row in stretch)


def _change(stretch: Sequence[tuple[int, HistoryRow]], words: tuple[str, ...]) -> Change:
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
        # What raises the risk most; where nothing does, what lowers it least.
        term=max((value, name) for name, value in now.terms if name != _OF_ALL)[1],
    )


def _moved(before: Evaluation | None, now: Evaluation) -> tuple[tuple[str, int], ...]:
    """Where a factor begins or ceases to count, the weights of all others are shared anew: what that does to them is
    told with it, so that none of them seems to get worse."""
    if before is None:
        points = {part.name: part.contribution for part in now.parts}
        total = shown_health(now)
    else:
        points = _differences(before, now)
        total = shown_health(now) - shown_health(before)
    moved = shares(list(points.values()), TENTH, total)
    return tuple((name, tenth) for name, tenth in zip(points, moved, strict=True) if tenth)


def _differences(before: Evaluation, now: Evaluation) -> dict[str, int]:
    """By part, in millionths; what new weights do is one entry of its own."""
    was, points = {part.name: part for part in before.parts}, {part.name: part for part in now.parts}
    began, ceased = [name for name in points if name not in was], [name for name in was if name not in points]
    found = {name: part.contribution - was[name].contribution for name, part in points.items() if name in was}
    if not began and not ceased:
        return found
    old, new = (sum(part.weight for part in of.parts) for of in (before, now))
    anew = {
        name: round(100.0 * (part.weight / new - was[name].weight / old) * was[name].value)
        for name, part in points.items()
        if name in was and part.weight
    }
    shared = sum(anew.values()) + sum(points[name].contribution for name in began)
    shared -= sum(was[name].contribution for name in ceased)
    # Silence takes its share of what the weights moved, too.
    anew[SILENCE] = -round(shared * was[SILENCE].value / ONE)
    rest = {name: value - anew.get(name, 0) for name, value in found.items()}
    return {_count_words(began, ceased): shared + anew[SILENCE], **rest}


def _count_words(began: Sequence[str], ceased: Sequence[str]) -> str:
    """`goals now count`, `support no longer counts`."""
    told = []
    for names, when in ((began, "now"), (ceased, "no longer")):
        if names:
            is_plural = len(names) > 1 or (names[0].endswith("s") and names[0] != "responsiveness")
            told.append(f"{' and '.join(names)} {when} {'count' if is_plural else 'counts'}")
    return ", ".join(told)
