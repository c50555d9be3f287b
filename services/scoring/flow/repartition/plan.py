"""The plan of a repartition: old and new topics, and whether it may start: every consumer has read the log to its end,
and none is running."""

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

Advance = Callable[[int], object]
"""Reports that this much more is done."""
StartProgress = Callable[[str, int], Advance]
"""Reports a step and its total; returns the function that reports its progress."""


class NotRepartitionedError(Exception):
    """The log is not repartitioned; the message states the reason and the remedy."""


@dataclass(frozen=True)
class Epoch:
    """The topics of one epoch of the log. All have as many partitions as the log.

    `projections`: the topics that ingest folds from the log. They are created with the log, and not copied: the
    projector folds the new log from its beginning."""

    topics: Topics
    alert_state: str
    projections: Mapping[str, Topic] = field(default_factory=dict)

    @classmethod
    def at(cls, epoch: int) -> Self:
        return cls(Topics.at(epoch), ALERT_STATE.at(epoch), {topic.at(epoch): topic for topic in (ROSTER, BOOKINGS)})

    @property
    def target_topics(self) -> Mapping[str, Topic]:
        """The topics that repartitioning fills, by name, with their registry entries."""
        return {
            self.topics.state: SCORING_STATE,
            self.topics.scores: SCORES,
            self.alert_state: ALERT_STATE,
            self.topics.events: EVENTS,
        }

    def options(self, partitions: int, replicas: int) -> dict[str, dict[str, Any]]:
        all_topics = {**self.projections, **self.target_topics}
        return {name: topic.options(partitions, replicas) for name, topic in all_topics.items()}


@dataclass(frozen=True)
class Repartitioning:
    """`readers`: by consumer group, the topics of the old epoch that it must have read to the end, so that it need not
    read the copy again. `check` raises if exclusive maintenance is lost."""

    old: Epoch
    new: Epoch
    readers: Mapping[str, Sequence[str]]
    check: Callable[[], object] = lambda: None

    @classmethod
    def of(cls, epoch: int) -> Self:
        """The repartitioning of the log of this epoch."""
        old = Epoch.at(epoch)
        readers = {WAREHOUSE: (old.topics.events, old.topics.scores), NOTIFY: (old.topics.scores,)}
        return cls(old, Epoch.at(epoch + 1), readers)


SESSION_TIMEOUT = 20
"""Seconds. A static member stays in its group until its session ends, even after it was stopped."""


def problems(settings: Settings, repartitioning: Repartitioning, recovered: Mapping[int, Recovery]) -> list[str]:
    """Each with its remedy; empty if nothing prevents the repartition. Raises KafkaError."""
    topics = repartitioning.old.topics
    return [
        *(
            f"{group} is running ({len(found)} members): stop it"
            for group in (topics.group, *repartitioning.readers)
            if (found := members_after(settings, group, SESSION_TIMEOUT))
        ),
        *_unscored_problems(settings, repartitioning, recovered),
        *(
            problem
            for group, topics in repartitioning.readers.items()
            for problem in _unread_problems(settings, group, topics)
        ),
    ]


def _unscored_problems(
    settings: Settings, repartitioning: Repartitioning, recovered: Mapping[int, Recovery]
) -> Iterator[str]:
    topic = repartitioning.old.topics.events
    with open_reader(settings, [topic]) as reader:
        partitions = sorted(reader.assignment())
        begins, ends = reader.beginning_offsets(partitions), reader.end_offsets(partitions)
    for tp in partitions:
        committed = recovered[tp.number].watermark
        wanted = committed.offset + 1
        if begins[tp] > wanted and committed.offset >= 0:
            yield f"{tp.topic} {tp.number} has a gap before {begins[tp]}: see `rapport scoring accept-gap`"
        elif ends[tp] > max(wanted, begins[tp]):
            behind = ends[tp] - max(wanted, begins[tp])
            yield (
                f"{tp.topic} {tp.number} has {behind} records that are not scored: stop every producer, "
                "let `rapport scoring serve` read to the end, then stop it"
            )
        elif not is_finished(committed):
            yield f"{tp.topic} {tp.number}: scoring died while time passed: start it once more, then stop it"


def _unread_problems(settings: Settings, group: str, topics: Sequence[str]) -> Iterator[str]:
    """A group that has never read a topic is not in use."""
    with closing(Reader(settings, group)) as reader:
        for topic in topics:
            partitions = reader.assign([topic])
            ends, begins = reader.end_offsets(partitions), reader.beginning_offsets(partitions)
            read = {tp: committed.offset for tp in partitions if (committed := reader.committed(tp))}
            behind = sum(ends[tp] - max(begins[tp], read.get(tp, 0)) for tp in partitions) if read else 0
            if behind:
                yield f"{group} has {behind} records of {topic} before it: let it read to the end, then stop it"
