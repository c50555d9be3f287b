"""Under which names scoring works: its topics, and the group that shares their partitions."""

from dataclasses import dataclass

from schemas.topics import EVENTS, REJECTED, SCORES, SCORING_STATE


@dataclass(frozen=True)
class Names:
    """`state` is the changelog. Events, state and scores have the same partitions."""

    events: str = EVENTS.name
    state: str = SCORING_STATE.name
    scores: str = SCORES.name
    rejected: str = REJECTED.name
    group: str = "rapport-scoring"
