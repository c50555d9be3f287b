"""What all ages depend on: the expected cadence, the pauses, the end."""

from collections.abc import Iterable
from typing import NamedTuple

from services.scoring.domain.bounds import DAY, FOREVER, UNSET
from services.scoring.domain.kinds import FactKind
from services.scoring.domain.snapshots.index import IndexedFact, View

GROUPS = ("started", "status")


class Pauses(NamedTuple):
    """`spans`: begin and end (bounds.FOREVER: open) of each pause, by begin. `union`: the time in any of them.

    Active time stands still in pauses. On the active clock an instant is the time itself less all pauses before it,
    so the active time between two instants is the difference of the two."""

    spans: tuple[tuple[int, int], ...] = ()
    union: tuple[tuple[int, int], ...] = ()

    def active(self, at: int) -> int:
        """An instant on the active clock, microseconds."""
        passed = 0
        for begin, end in self.union:
            if begin >= at:
                break
            passed += min(end, at) - begin
        return at - passed

    def reached(self, active: int) -> int:
        """The first instant at which the active clock shows so much; FOREVER: an open pause comes before it."""
        at = active
        for begin, end in self.union:
            if at <= begin:
                break
            if end == FOREVER:
                return FOREVER
            at += end - begin
        return at

    def holds(self, at: int) -> bool:
        """Whether the relationship is paused."""
        return bool(self.spans) and any(begin <= at < end for begin, end in self.spans)


class Frame(NamedTuple):
    """`started`: when a start was reported, None: never. `boundaries`: the instants that pauses name."""

    started: int | None
    cadence: float
    pauses: Pauses
    boundaries: frozenset[int]
    ended: int | None


def frame(view: View, cadence: float) -> Frame:
    """`cadence`: days between sessions that the profile expects, where the start names none."""
    starts, status = view.standing("started"), view.standing("status")
    if starts and starts[-1].first != UNSET:
        cadence = starts[-1].first / DAY
    paused = [(place, entry) for place, entry in enumerate(status) if entry.kind == FactKind.PAUSED]
    return Frame(
        started=starts[-1].time if starts else None,
        cadence=cadence,
        pauses=_pauses(_span(entry, status[place + 1 :]) for place, entry in paused),
        boundaries=frozenset({time for _, entry in paused for time in (entry.first, entry.second)} - {UNSET}),
        ended=next((entry.time for entry in status if entry.kind == FactKind.ENDED), None),
    )


def _span(pause: IndexedFact, later: Iterable[IndexedFact]) -> tuple[int, int]:
    """A resume closes the pause it names, or all that are open."""
    begin = pause.time if pause.first == UNSET else pause.first
    end = FOREVER if pause.second == UNSET else pause.second
    resumed = (entry.time for entry in later if entry.kind == FactKind.RESUMED and entry.ref in {0, pause.ref})
    return begin, min(end, next(resumed, end))


def _pauses(spans: Iterable[tuple[int, int]]) -> Pauses:
    ordered = tuple(sorted(spans))
    union: list[tuple[int, int]] = []
    for begin, end in ordered:
        if union and begin <= union[-1][1]:
            union[-1] = (union[-1][0], max(end, union[-1][1]))
        elif begin < end:
            union.append((begin, end))
    return Pauses(ordered, tuple(union))
