"""What grows into what, under which names; and whether it may now: everybody has read the log to its end, and nobody is
at work."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Self

from schemas.topics import ALERT_STATE, BOOKINGS, EVENTS, ROSTER, SCORES, SCORING_STATE, Topic
from services.runtime.kafka import Reader, open_reader
from services.runtime.settings import Settings
from services.scoring.domain.changelog import Recovery
from services.scoring.domain.maintenance import is_finished
from services.scoring.flow.maintenance import members_after
from services.scoring.topics import Topics

WAREHOUSE, NOTIFY = "rapport-warehouse", "rapport-notify"

Passed = Callable[[int], object]
"""Learns that so much more is done."""
Tracked = Callable[[str, int], Passed]
"""Learns what is begun and how much it is, and says whom to tell of progress."""


class NotRepartitionedError(Exception):
    """The log does not grow; the message says why, and what to do."""


@dataclass(frozen=True)
class Epoch:
    """The topics of one epoch of the log. All have as many partitions as the log.

    `projections`: the topics that ingest folds from the log. They are created with the log, and are not copied: the
    projector folds the grown log from its beginning."""

    names: Topics
    alert_state: str
    projections: Mapping[str, Topic] = field(default_factory=dict)

    @classmethod
    def at(cls, epoch: int) -> Self:
        return cls(Topics.at(epoch), ALERT_STATE.at(epoch), {topic.at(epoch): topic for topic in (ROSTER, BOOKINGS)})

    @property
    def topics(self) -> Mapping[str, Topic]:
        """Those that repartitioning fills, by name, with what the registry says of each."""
        return {
            self.names.state: SCORING_STATE,
            self.names.scores: SCORES,
            self.alert_state: ALERT_STATE,
            self.names.events: EVENTS,
        }

    def options(self, partitions: int, replicas: int) -> dict[str, dict[str, Any]]:
        topics = {**self.projections, **self.topics}
        return {name: topic.options(partitions, replicas) for name, topic in topics.items()}


@dataclass(frozen=True)
class Repartitioning:
    """`readers`: by consumer group the topics of the old epoch that it must have read to the end. Whoever has read the
    old log does not read the copy again. `check` raises where maintenance is no more ours."""

    old: Epoch
    new: Epoch
    readers: Mapping[str, Sequence[str]]
    check: Callable[[], object] = lambda: None

    @classmethod
    def of(cls, epoch: int) -> Self:
        """The repartitioning of the log of this epoch."""
        old = Epoch.at(epoch)
        readers = {WAREHOUSE: (old.names.events, old.names.scores), NOTIFY: (old.names.scores,)}
        return cls(old, Epoch.at(epoch + 1), readers)


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
    with open_reader(settings, [topic]) as reader:
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
            places = reader.assign([topic])
            ends, begins = reader.end_offsets(places), reader.beginning_offsets(places)
            read = {place: mark.offset for place in places if (mark := reader.committed(place))}
            behind = sum(ends[place] - max(begins[place], read.get(place, 0)) for place in places) if read else 0
            if behind:
                yield f"{group} has {behind} records of {topic} before it: let it read to the end, then stop it"
