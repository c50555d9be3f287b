"""The names of scoring's topics, and of the group that shares their partitions."""

from dataclasses import dataclass
from typing import Self

from schemas.topics import EVENTS, REJECTED, SCORES, SCORING_STATE


@dataclass(frozen=True)
class Topics:
    """`state` is the changelog. Events, state and scores have the same partitions, and belong to one log epoch."""

    events: str = EVENTS.name
    state: str = SCORING_STATE.name
    scores: str = SCORES.name
    rejected: str = REJECTED.name
    group: str = "rapport-scoring"
    epoch: int = 0

    @classmethod
    def at(cls, epoch: int) -> Self:
        return cls(EVENTS.at(epoch), SCORING_STATE.at(epoch), SCORES.at(epoch), epoch=epoch)
