"""Outcomes of meetings: one per meeting, however many tools told of it, the strongest evidence winning."""

from collections.abc import Sequence
from typing import NamedTuple

from services.scoring.domain.bounds import MINUTE, UNSET
from services.scoring.domain.facts import Fact, Key, Kind

REPLACED_WITHIN = 10 * MINUTE
"""A cancellation with another booking this close is a reschedule: the tools tell it as a cancel plus a create."""

# On a tie of evidence the better outcome wins.
_RANK = {Kind.HELD.value: 2, Kind.MISSED.value: 1, Kind.CANCELLED.value: 0}


class Told(NamedTuple):
    """One fact about one meeting; `span` is the time the meeting took or was booked for, if known."""

    key: Key
    fact: Fact
    span: tuple[int, int] | None

    @property
    def strength(self) -> tuple[int, int, Key]:
        return self.fact.evidence, _RANK[self.key.kind], self.key


def outcomes_of(told: Sequence[tuple[Key, Fact]], bookings: Sequence[tuple[Key, Fact]]) -> tuple[int, ...]:
    """The kinds (HELD, MISSED, CANCELLED) of the meetings, in the order of their deciding facts. A cancellation that
    another booking replaced counts as nothing."""
    spans = {fact.ref: (fact.first, fact.second) for _, fact in bookings}
    meetings = _meetings([Told(key, fact, _span(key, fact, spans)) for key, fact in told])
    winners = sorted(max(meeting, key=lambda one: one.strength) for meeting in meetings)
    return tuple(winner.key.kind for winner in winners if not _replaced(winner, bookings))


def _span(key: Key, fact: Fact, booked: dict[int, tuple[int, int]]) -> tuple[int, int] | None:
    return (fact.first, fact.second) if key.kind == Kind.HELD else booked.get(fact.ref)


def _meetings(told: list[Told]) -> list[list[Told]]:
    """Facts are of one meeting if they share its session id or overlap in time, directly or through a third."""
    meeting = {one.fact.ref: one.fact.ref for one in told}

    def root(ref: int) -> int:
        while meeting[ref] != ref:
            ref = meeting[ref]
        return ref

    reach, last = UNSET, 0
    for begin, end, ref in sorted((*one.span, one.fact.ref) for one in told if one.span is not None):
        if begin < reach:
            meeting[root(ref)] = root(last)
        if end > reach:
            reach, last = end, ref
    grouped: dict[int, list[Told]] = {}
    for one in told:
        grouped.setdefault(root(one.fact.ref), []).append(one)
    return list(grouped.values())


def _replaced(winner: Told, bookings: Sequence[tuple[Key, Fact]]) -> bool:
    if winner.key.kind != Kind.CANCELLED:
        return False
    return any(
        key.kind == Kind.SCHEDULED
        and fact.ref != winner.fact.ref
        and abs(key.time - winner.key.time) <= REPLACED_WITHIN
        for key, fact in bookings
    )
