"""Under which names notify works: its topics, and the identity that lets one instance work at a time."""

from dataclasses import dataclass
from typing import Self

from schemas.topics import ALERT_STATE, ALERTS, DELIVERIES, SCORES


@dataclass(frozen=True)
class Names:
    """`identity` is the transactional id, which fences a predecessor, and the group of the committed offsets."""

    scores: str = SCORES.name
    alerts: str = ALERTS.name
    alert_state: str = ALERT_STATE.name
    deliveries: str = DELIVERIES.name
    identity: str = "rapport-notify"

    @classmethod
    def at(cls, epoch: int) -> Self:
        """For that epoch of the log."""
        return cls(scores=SCORES.at(epoch), alert_state=ALERT_STATE.at(epoch))
