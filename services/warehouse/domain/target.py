"""Which table each topic goes into, and by which reading."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.topics import ALERTS, EVENTS, SCORES
from services.warehouse.domain import alerts, events, scores
from services.warehouse.domain.record import Outcome, Place


@dataclass(frozen=True)
class Target:
    """`plain`: the topic has no holes, so that a range of it can be counted."""

    table: str
    columns: tuple[str, ...]
    read: Callable[[bytes, Place], Outcome]
    plain: bool


EVENT_LOG = Target(events.TABLE, events.COLUMNS, events.event_row, plain=True)
SCORE_HISTORY = Target(scores.TABLE, scores.COLUMNS, scores.score_row, plain=True)
# notify writes in transactions: their markers, and what was aborted, are holes.
ALERT_LOG = Target(alerts.TABLE, alerts.COLUMNS, alerts.alert_row, plain=False)


@dataclass(frozen=True)
class Feed:
    """Which topics are read, by which consumer group, and which table each goes into."""

    group: str
    targets: Mapping[str, Target]


FEED = Feed("rapport-warehouse", {EVENTS.name: EVENT_LOG, SCORES.name: SCORE_HISTORY, ALERTS.name: ALERT_LOG})
