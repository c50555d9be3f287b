"""The single registry of topics: what they carry, how they are keyed and kept, who writes and who reads them."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

DEFAULT_PARTITIONS = 12
FOREVER = timedelta(days=-1)


@dataclass(frozen=True)
class Topic:
    """`partitions` None: as many as the log has, so that a relationship lives on the same number everywhere."""

    name: str
    payload: str
    key: str
    cleanup: Literal["delete", "compact"]
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    partitions: int | None = None
    retention: timedelta = FOREVER
    config: tuple[tuple[str, str], ...] = field(default=())


RAW_CLOUDEVENTS = Topic(
    name="mentoring.raw.cloudevents",
    payload="a CloudEvent of the catalogue in structured mode, not yet trusted",
    key="any",
    cleanup="delete",
    retention=timedelta(days=14),
    producers=("enterprises",),
    consumers=("ingest",),
)
EVENTS = Topic(
    name="mentoring.events",
    payload="MentoringEvent",
    key="tenant/relationship",
    cleanup="delete",
    producers=("ingest",),
    consumers=("scoring", "warehouse"),
)
REJECTED = Topic(
    name="mentoring.rejected",
    payload="the original bytes; headers say reason, path and where they came from",
    key="origin",
    cleanup="delete",
    retention=timedelta(days=30),
    producers=("ingest", "scoring"),
    consumers=("operators",),
)
PROGRAMS = Topic(
    name="mentoring.programs",
    payload="Programme",
    key="tenant/program",
    cleanup="compact",
    partitions=1,
    producers=("operators",),
    consumers=("ingest",),
)
TOKENS = Topic(
    name="mentoring.tokens",
    payload="Token",
    key="token id",
    cleanup="compact",
    partitions=1,
    producers=("operators",),
    consumers=("ingest",),
)
SCORING_STATE = Topic(
    name="mentoring.scoring-state",
    payload="a relationship's state in scoring's binary layout, or the partition's watermark",
    key="tenant/relationship or watermark, and the generation of its writer",
    cleanup="compact",
    # A zombie's late record of an older generation must stay readable until recovery has merged it.
    config=(("min.compaction.lag.ms", "86400000"),),
    producers=("scoring",),
    consumers=("scoring",),
)
SCORES = Topic(
    name="mentoring.scores",
    payload="ScoreEvent",
    key="tenant/relationship",
    cleanup="delete",
    retention=timedelta(days=90),
    producers=("scoring",),
    consumers=("warehouse", "notify"),
)
ALERTS = Topic(
    name="mentoring.alerts",
    payload="AlertEvent",
    key="tenant/relationship",
    cleanup="delete",
    producers=("notify",),
    consumers=("warehouse",),
)
ALERT_STATE = Topic(
    name="mentoring.alert-state",
    payload="notify's state of one relationship's rules, or of one partition",
    key="tenant/relationship",
    cleanup="compact",
    producers=("notify",),
    consumers=("notify",),
)
DELIVERIES = Topic(
    name="mentoring.deliveries",
    payload="Delivery",
    key="delivery id",
    cleanup="compact",
    producers=("notify",),
    consumers=("notify",),
)

TOPICS = (
    RAW_CLOUDEVENTS,
    EVENTS,
    REJECTED,
    PROGRAMS,
    TOKENS,
    SCORING_STATE,
    SCORES,
    ALERTS,
    ALERT_STATE,
    DELIVERIES,
)
