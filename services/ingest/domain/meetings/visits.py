"""From comings and goings to the time that people were there, and that both sides were there together."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal, NamedTuple, Protocol, TypeVar

from schemas.primitives import Side

NOTHING = timedelta(0)

AnyMovement = TypeVar("AnyMovement", bound="Movement")


class Seen(NamedTuple):
    """Somebody came or left. `visitor` tells people of one side apart; empty where nobody says who it was."""

    role: Side
    visitor: str
    verb: Literal["joined", "left"]
    time: datetime


class Movement(Protocol):
    """Somebody came or left."""

    @property
    def verb(self) -> Literal["joined", "left"]: ...

    @property
    def time(self) -> datetime: ...


class Span(NamedTuple):
    begin: datetime
    end: datetime


class Stay(NamedTuple):
    """`since`: still there, as far as is known."""

    spans: tuple[Span, ...]
    since: datetime | None = None


def stay(seen: Iterable[Movement]) -> Stay:
    """Of one visitor, in any order. Somebody may come with two devices, or come again without having left; then the
    last that left was they. To leave without having come tells nothing."""
    spans: list[Span] = []
    begin, devices, left = None, 0, None
    for one in _in_order(seen):
        if one.verb == "joined":
            begin, devices, left = begin or one.time, devices + 1, None
        elif begin is not None:
            devices, left = devices - 1, one.time
            if devices == 0:
                spans.append(Span(begin, one.time))
                begin = None
    if begin is not None and left is not None:
        return Stay((*spans, Span(begin, left)))
    return Stay(tuple(spans), begin)


def is_there(seen: Iterable[Movement]) -> bool:
    """Whether one visitor has come more often than they have left."""
    devices = 0
    for one in _in_order(seen):
        devices = _counted(devices, one)
    return devices > 0


def together(one: Iterable[Span], other: Iterable[Span]) -> tuple[Span, ...]:
    """When both were there, in order, without overlaps."""
    theirs = joined(other)
    both = (Span(max(mine.begin, their.begin), min(mine.end, their.end)) for mine in joined(one) for their in theirs)
    return tuple(span for span in both if span.begin < span.end)


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same time without overlaps, in order."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.begin <= found[-1].end:
            found[-1] = Span(found[-1].begin, max(found[-1].end, span.end))
        else:
            found.append(span)
    return tuple(found)


def length(spans: Iterable[Span]) -> timedelta:
    return sum((span.end - span.begin for span in spans), NOTHING)


def _counted(devices: int, one: Movement) -> int:
    return devices + 1 if one.verb == "joined" else max(0, devices - 1)


def _in_order(seen: Iterable[AnyMovement]) -> Iterator[AnyMovement]:
    """At one instant somebody who is there leaves first, somebody who is not there comes first."""
    devices = 0
    for _, same in groupby(sorted(seen, key=lambda one: one.time), key=lambda one: one.time):
        instant = sorted(same, key=lambda one: one.verb, reverse=devices > 0)
        for one in instant:
            devices = _counted(devices, one)
            yield one
