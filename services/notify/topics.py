"""The topics of notify, and the identity that lets only one instance work at a time."""

from dataclasses import dataclass
from typing import Self

from schemas.topics import (
    ALERT_COMMANDS,
    ALERT_RULES,
    ALERT_STATE,
    ALERTS,
    BOARD_TOKENS,
    DELIVERIES,
    DIRECTORY,
    NOTIFY_LEADER,
    NOTIFY_STATE,
    PROGRAMS,
    ROSTER,
    SCORES,
    SOURCES,
    SUBJECT_STATE,
)


@dataclass(frozen=True)
class NotifyTopics:
    """`identity` is the transactional id, which fences a predecessor, and the consumer group of the committed offsets.
    The instance that owns the partition of `leader` works."""

    scores: str = SCORES.name
    alerts: str = ALERTS.name
    alert_state: str = ALERT_STATE.name
    deliveries: str = DELIVERIES.name
    directory: str = DIRECTORY.name
    programs: str = PROGRAMS.name
    roster: str = ROSTER.name
    sources: str = SOURCES.name
    commands: str = ALERT_COMMANDS.name
    rules: str = ALERT_RULES.name
    shared_state: str = NOTIFY_STATE.name
    board_tokens: str = BOARD_TOKENS.name
    subject_state: str = SUBJECT_STATE.name
    leader: str = NOTIFY_LEADER.name
    identity: str = "rapport-notify"

    @classmethod
    def at(cls, epoch: int) -> Self:
        """The topics of this epoch of the log."""
        return cls(scores=SCORES.at(epoch), alert_state=ALERT_STATE.at(epoch), roster=ROSTER.at(epoch))
