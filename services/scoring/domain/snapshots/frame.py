"""What all ages depend on: the expected cadence, the pauses, the end."""

from collections.abc import Sequence
from typing import NamedTuple

from services.scoring.domain.bounds import DAY, FOREVER, UNSET
from services.scoring.domain.kinds import FactKind
from services.scoring.domain.snapshots.index import IndexedFact, View

GROUPS = ("started", "status")


class Pauses(NamedTuple):
    """`spans`: begin and end (bounds.FOREVER: open) of each pause, by begin. `union`: the time in any of them.

    Active time stands still in pauses. On the active clock, an instant is the time itself minus all pauses before it,
    so the active time between two instants is their difference."""

    spans: tuple[tuple[int, int], ...] = ()
    union: tuple[tuple[int, int], ...] = ()

    def active(self, at: int) -> int:
        """An instant on the active clock, in microseconds."""
        passed = 0
        for begin, end in self.union:
            if begin >= at:
                break
            passed += min(end, at) - begin
        return at - passed

    def reached(self, active: int) -> int:
        """The first instant at which the active clock shows this value; FOREVER if an open pause comes before it."""
        at = active
        for begin, end in self.union:
            if at <= begin:
                break
            if end == FOREVER:
                return FOREVER
            at += end - begin
        return at

    def holds(self, at: int) -> bool:
        """Whether the relationship is paused at this instant."""
        return bool(self.spans) and any(begin <= at < end for begin, end in self.spans)


class Frame(NamedTuple):
    """`started`: when a start was reported, None: never. `boundaries`: the instants that pauses name."""

    started: int | None
    cadence: float
    pauses: Pauses
    boundaries: frozenset[int]
    ended: int | None


def frame(view: View, cadence: float) -> Frame:
    """`cadence`: days between sessions that the profile expects where the start names none."""
    starts, status = view.standing("started"), view.standing("status")
    if starts and starts[-1].first != UNSET:
        cadence = starts[-1].first / DAY
    named = (time for entry in status if entry.kind == FactKind.PAUSED for time in (entry.first, entry.second))
    return Frame(
        started=starts[-1].time if starts else None,
        cadence=cadence,
        pauses=_pauses(status),
        boundaries=frozenset(named) - {UNSET},
        ended=next((entry.time for entry in status if entry.kind == FactKind.ENDED), None),
    )


def _pauses(status: Sequence[IndexedFact]) -> Pauses:
    """A resume closes the pause it names, or all that are open."""
    spans, union = list[tuple[int, int]](), list[tuple[int, int]]()
    for ordinal, pause in enumerate(status):
        if pause.kind == FactKind.PAUSED:
            end, refs = FOREVER if pause.second == UNSET else pause.second, {0, pause.ref}
            resumed = (e.time for e in status[ordinal + 1 :] if e.kind == FactKind.RESUMED and e.ref in refs)
            spans.append((pause.time if pause.first == UNSET else pause.first, min(end, next(resumed, end))))
    for begin, end in sorted(spans):
        if union and begin <= union[-1][1]:
            union[-1] = (union[-1][0], max(end, union[-1][1]))
        elif begin < end:
            union.append((begin, end))
    return Pauses(tuple(sorted(spans)), tuple(union))
