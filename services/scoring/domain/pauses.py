"""Pauses and active time: ages, gaps and silences do not grow while a relationship is paused."""

from collections.abc import Sequence
from typing import NamedTuple

from services.scoring.domain.bounds import UNSET
from services.scoring.domain.facts import Fact, Key, Kind


class Pause(NamedTuple):
    """From `begin` up to, not including, `end`; open without one. `boundaries` are the instants its event named."""

    begin: int
    end: int | None
    boundaries: tuple[int, ...]


def pauses_of(status: Sequence[tuple[Key, Fact]]) -> tuple[Pause, ...]:
    """From the standing status facts in order; a resume closes the pause it names, or all open ones."""
    resumed = [(key.time, fact.ref) for key, fact in status if key.kind == Kind.RESUMED]
    found = [_pause(key, fact, resumed) for key, fact in status if key.kind == Kind.PAUSED]
    return tuple(sorted(found, key=lambda pause: pause.begin))


def is_paused(pauses: Sequence[Pause], at: int) -> bool:
    return any(pause.begin <= at and (pause.end is None or at < pause.end) for pause in pauses)


def active_time(pauses: Sequence[Pause], begin: int, end: int) -> int:
    """Microseconds between two instants that lie in no pause."""
    total, reach = end - begin, begin
    for pause in pauses:
        low = max(pause.begin, reach)
        high = end if pause.end is None else min(pause.end, end)
        if low < high:
            total -= high - low
            reach = high
    return total


def _pause(key: Key, fact: Fact, resumed: Sequence[tuple[int, int]]) -> Pause:
    closes = [time for time, ref in resumed if time >= key.time and ref in {0, fact.ref}]
    ends = closes if fact.second == UNSET else [fact.second, *closes]
    begin = key.time if fact.first == UNSET else fact.first
    named = tuple(time for time in (fact.first, fact.second) if time != UNSET)
    return Pause(begin, min(ends) if ends else None, named)
