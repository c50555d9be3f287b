"""Many random relationships in one log, in the order in which they were recorded."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random

from schemas.events import ClockReached, MentoringEvent, OfRelationship, to_json
from schemas.payloads import EventRetracted, KnownUntil
from tests.scoring.random_logs import random_log

Keyed = tuple[bytes, bytes]


def long_log(seed: int, random_logs: int) -> list[OfRelationship]:
    """Of so many random logs, each of one or two relationships; late, doubled, retracted and paused as they are."""
    rng = Random(seed)
    events = [_of(f"{key[2:]}{number}", event) for number in range(random_logs) for key, event in random_log(rng)]
    return sorted(events, key=lambda event: event.recordedtime)


def moved(events: Sequence[OfRelationship], by: timedelta) -> list[OfRelationship]:
    """The same log at another time, but for the bookings and pauses that events name."""
    return [_moved(event, by) for event in events]


def keyed(events: Sequence[OfRelationship]) -> list[Keyed]:
    return [(event.partitionkey.encode(), to_json(event)) for event in events]


def clock_reached(time: datetime) -> bytes:
    """Ends a log: silence is judged up to here."""
    event = ClockReached(
        source="/test",
        id=f"clock-{time}",
        type="mentoring.clock.reached.v1",
        time=time,
        recordedtime=time,
        tenant="t",
        data=KnownUntil(time=time),
    )
    return to_json(event)


def end_of(events: Sequence[MentoringEvent]) -> datetime:
    return max(event.recordedtime for event in events) + timedelta(days=2)


def slices(records: Sequence[Keyed], count: int) -> Iterator[Sequence[Keyed]]:
    for begin in range(0, len(records), count):
        yield records[begin : begin + count]


def _of(relationship: str, event: OfRelationship) -> OfRelationship:
    return event.model_copy(update={"subject": relationship, "partitionkey": f"t/{relationship}"})


def _moved(event: OfRelationship, by: timedelta) -> OfRelationship:
    change: dict[str, object] = {"time": event.time + by, "recordedtime": event.recordedtime + by}
    if isinstance(event.data, EventRetracted):
        change["data"] = event.data.model_copy(update={"time": event.data.time + by})
    return event.model_copy(update=change)
