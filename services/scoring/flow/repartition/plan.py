"""What grows into what, under which names, and who has to have read it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from schemas.topics import ALERT_STATE, BOOKINGS, EVENTS, ROSTER, SCORES, SCORING_STATE, Topic
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
