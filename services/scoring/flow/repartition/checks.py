"""Whether the log may grow now: everybody has read it to its end, and nobody is at work."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

from services.runtime.kafka import Partition, Reader, reading
from services.runtime.settings import Settings
from services.scoring.domain.changelog import Recovery
from services.scoring.domain.repartition import is_finished
from services.scoring.flow.maintenance import members_after
from services.scoring.flow.repartition.plan import Repartitioning

FORGOTTEN_WITHIN = 20
"""Seconds: a member with a name of its own stays in its group until its session ends, also when it was stopped."""


def problems(settings: Settings, repartitioning: Repartitioning, recovered: Mapping[int, Recovery]) -> list[str]:
    """Each with what to do; empty when nothing is in the way. Raises KafkaError."""
    names = repartitioning.old.names
    return [
        *(
            f"{group} is at work ({len(found)} members): stop it"
            for group in (names.group, *repartitioning.readers)
            if (found := members_after(settings, group, FORGOTTEN_WITHIN))
        ),
        *_unscored(settings, repartitioning, recovered),
        *(problem for group, topics in repartitioning.readers.items() for problem in _unread(settings, group, topics)),
    ]


def _unscored(settings: Settings, repartitioning: Repartitioning, recovered: Mapping[int, Recovery]) -> Iterator[str]:
    topic = repartitioning.old.names.events
    with reading(settings, [topic]) as reader:
        places = sorted(reader.assignment())
        begins, ends = reader.beginning_offsets(places), reader.end_offsets(places)
    for place in places:
        mark = recovered[place.number].watermark
        wanted = mark.offset + 1
        if begins[place] > wanted and mark.offset >= 0:
            yield f"{place.topic} {place.number} has a gap before {begins[place]}: see `rapport scoring accept-gap`"
        elif ends[place] > max(wanted, begins[place]):
            behind = ends[place] - max(wanted, begins[place])
            yield (
                f"{place.topic} {place.number} has {behind} records that are not scored: stop every producer, "
                "let `rapport scoring serve` read to the end, then stop it"
            )
        elif not is_finished(mark):
            yield f"{place.topic} {place.number}: scoring died while time passed: start it once more, then stop it"


def _unread(settings: Settings, group: str, topics: Sequence[str]) -> Iterator[str]:
    """A group that has never read a topic is not in use."""
    with closing(Reader(settings, group)) as reader:
        for topic in topics:
            behind = _behind(reader, reader.assign([topic]))
            if behind:
                yield f"{group} has {behind} records of {topic} before it: let it read to the end, then stop it"


def _behind(reader: Reader, places: Sequence[Partition]) -> int:
    ends, begins = reader.end_offsets(places), reader.beginning_offsets(places)
    committed = {place: reader.committed(place) for place in places}
    if not any(committed.values()):
        return 0
    return sum(ends[p] - max(begins[p], mark.offset if (mark := committed[p]) else 0) for p in places)
