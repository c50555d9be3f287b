"""One relationship read from the log: from the one partition that its key lies on."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from schemas.events import ClockReached, ProfileSet
from schemas.primitives import to_micros
from services.runtime.kafka import Partition, Record, partition_count, partition_of, read_partition
from services.runtime.settings import Settings
from services.scoring.domain.bounds import NONE
from services.scoring.domain.explaining.knowledge import Logged
from services.scoring.domain.profiles import Programmes, applied_profiles
from services.scoring.flow.log_reading import events_of, stored
from services.scoring.topics import Topics

SUGGESTIONS = 5


class UnknownRelationshipError(Exception):
    """The log does not have it, or more than one tenant does; the message names what is near."""


@dataclass(frozen=True)
class RelationshipLog:
    """All events of one relationship with their offsets, in log order. `clock`: up to which instant its score can be
    told, on the wall clock or on the log's own. `programmes`: as its partition of the log has them."""

    relationship: str
    events: Sequence[Logged]
    clock: int
    programmes: Programmes


def read_relationship(settings: Settings, names: Topics, asked: str, passed: Callable[[], object]) -> RelationshipLog:
    """`asked`: tenant/id, or the id alone; `passed` is called with every record that was read.
    Raises UnknownRelationshipError and KafkaError."""
    if "/" not in asked:
        known = _known(settings, names)
        of_that_id = [name for name in known if _id(name) == asked]
        if len(of_that_id) > 1:
            tenants = ", ".join(of_that_id)
            raise UnknownRelationshipError(f"more than one tenant has {asked}: {tenants}; name one of them")
        if not of_that_id:
            raise UnknownRelationshipError(_unknown(asked, known))
        (asked,) = of_that_id
    log = _read(settings, names, asked, passed)
    if not log.events:
        raise UnknownRelationshipError(_unknown(asked, _known(settings, names)))
    return log


def _read(settings: Settings, names: Topics, relationship: str, passed: Callable[[], object]) -> RelationshipLog:
    key, events, clock, programmes = relationship.encode(), list[Logged](), NONE, Programmes()
    partitions = partition_count(settings, names.events)

    def needed() -> Iterator[Record]:
        for record in read_partition(settings, Partition(names.events, partition_of(key, partitions))):
            passed()
            # The wall clock needs no records of others, the log's clock is the latest of all of them.
            if record.key in {key, None} or settings.clock == "log":
                yield record

    for _, place, event in events_of(needed(), names, partitions):
        clock = max(clock, to_micros(event.recordedtime))
        if isinstance(event, ProfileSet):
            programmes.apply(*applied_profiles(event, place))
        elif not isinstance(event, ClockReached) and event.partitionkey == relationship:
            events.append((place, event))
    return RelationshipLog(
        relationship, events, clock if settings.clock == "log" else time.time_ns() // 1000, programmes
    )


def _known(settings: Settings, names: Topics) -> list[str]:
    """The relationships that scoring keeps a state of."""
    return sorted(stored(settings, names).states)


def _unknown(asked: str, known: Sequence[str]) -> str:
    if not known:
        return f"there is no relationship {asked} on the log, and scoring has seen none yet"
    near = get_close_matches(_id(asked), {_id(name) for name in known}, SUGGESTIONS)
    names = [name for name in known if _id(name) in near]
    hint = f"; did you mean {' or '.join(names)}?" if names else f"; scoring knows {len(known)} others"
    return f"there is no relationship {asked} on the log{hint}"


def _id(name: str) -> str:
    return name.rpartition("/")[2]
