"""Which table each topic goes into, and by which reading."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.topics import ALERTS, EVENTS, SCORES
from services.warehouse.domain import alerts, events, scores
from services.warehouse.domain.record import Outcome, Place, Row


@dataclass(frozen=True)
class Target:
    """`plain`: the topic has no holes, so that a range of it can be counted. `key_of` a row: the key that its record
    must have, and by which its partition follows; None where nobody but we writes the topic."""

    table: str
    columns: tuple[str, ...]
    read: Callable[[bytes, Place], Outcome]
    plain: bool
    key_of: Callable[[Row], str] | None = None


EVENT_LOG = Target(events.TABLE, events.COLUMNS, events.event_row, plain=True, key_of=events.key_of)
SCORE_HISTORY = Target(scores.TABLE, scores.COLUMNS, scores.score_row, plain=True)
# notify writes in transactions: their markers, and what was aborted, are holes.
ALERT_LOG = Target(alerts.TABLE, alerts.COLUMNS, alerts.alert_row, plain=False)


@dataclass(frozen=True)
class Feed:
    """Which topics are read, by which consumer group, and which table each goes into; of which epoch of the log."""

    group: str
    targets: Mapping[str, Target]
    epoch: int = 0


def feed_of(epoch: int) -> Feed:
    targets = {EVENTS: EVENT_LOG, SCORES: SCORE_HISTORY, ALERTS: ALERT_LOG}
    return Feed("rapport-warehouse", {topic.at(epoch): target for topic, target in targets.items()}, epoch)
