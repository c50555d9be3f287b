"""The registry of topics: their payloads, keys, retention, producers and consumers."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

DEFAULT_PARTITIONS = 12
FOREVER = timedelta(days=-1)
# Kafka's default, in bytes of a record with Kafka's overhead. It is set explicitly for each topic, so that every
# message that the schemas allow fits, whatever the cluster's default.
DEFAULT_MAX_BYTES = 1_048_588
# A payload of 1 MiB, the limit over HTTP, and Kafka's overhead.
PAYLOAD_BYTES = 2 * 2**20
# A state with the maximum number of facts, each with its own source and id of maximum length.
STATE_BYTES = 16 * 2**20
PROGRAMME_BYTES = 2 * 2**20
TOOLS = (
    *("zoom", "google_calendar", "microsoft_graph", "calendly", "calcom"),
    *("slack", "typeform", "xapi", "caliper", "hr", "mapping"),
)

DAY_MS = str(24 * 3_600_000)
# For topics that every start reads to their end. Kafka does not compact the active segment, of 1 GiB by default, so
# that a start would read every version of every record. Compaction starts at a fifth of new records.
COMPACTED_SOON = (("segment.bytes", str(8 * 2**20)), ("min.cleanable.dirty.ratio", "0.2"))


@dataclass(frozen=True)
class Topic:
    """`partitions` None: as many as the log, so that a relationship has the same partition number everywhere. `grows`:
    its content belongs to partitions of the log, so that a log with more partitions gets a new topic. `most_bytes`: the
    maximum of a record with its key, its headers and Kafka's overhead."""

    name: str
    payload: str
    key: str
    cleanup: Literal["delete", "compact"]
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    partitions: int | None = None
    retention: timedelta = FOREVER
    config: tuple[tuple[str, str], ...] = field(default=())
    grows: bool = False
    most_bytes: int = DEFAULT_MAX_BYTES

    def at(self, epoch: int) -> str:
        """Return the topic's name in that epoch of the log; the first epoch is 0."""
        return f"{self.name}.epoch{epoch}" if self.grows and epoch else self.name

    def options(self, partitions: int, replication: int) -> dict[str, Any]:
        """Return the creation options for a log of this many partitions."""
        retention = round(self.retention.total_seconds() * 1000) if self.retention.days >= 0 else -1
        configs = {"cleanup.policy": self.cleanup, "max.message.bytes": str(self.most_bytes), **dict(self.config)}
        if self.cleanup == "delete":
            configs |= {"retention.ms": str(retention), "retention.bytes": "-1"}
        if self.cleanup == "delete" and retention >= 0:
            # Retention deletes whole segments, by their newest record.
            configs["segment.ms"] = DAY_MS
        return {
            "num_partitions": self.partitions or partitions,
            "replication_factor": replication,
            "configs": configs,
        }


def position(epoch: int, offset: int) -> int:
    """Return a record's position across epochs of the log. It increases within a relationship, also after a
    repartition."""
    return epoch << 48 | offset


def raw_topic(tool: str) -> str:
    """Return the topic for a tool's unmodified payloads."""
    return f"mentoring.raw.{tool}"


RAW_CLOUDEVENTS = Topic(
    name="mentoring.raw.cloudevents",
    payload="a CloudEvent of the catalogue in structured or binary mode, not yet trusted",
    key="any",
    cleanup="delete",
    retention=timedelta(days=14),
    producers=("enterprises",),
    consumers=("ingest",),
)
RAW_TOOLS = tuple(
    Topic(
        name=raw_topic(tool),
        payload="a payload of the tool; a header names its connection",
        key="connection",
        cleanup="delete",
        # Enough for several gateways; a connection stays on one partition, in the order in which its tool sent.
        partitions=3,
        retention=timedelta(days=14),
        most_bytes=PAYLOAD_BYTES,
        producers=("ingest", "enterprises"),
        consumers=("ingest",),
    )
    for tool in TOOLS
)
EVENTS = Topic(
    name="mentoring.events",
    payload="MentoringEvent",
    key="tenant/relationship; none for events that every partition has a copy of",
    cleanup="delete",
    producers=("ingest", "operators"),
    consumers=("ingest", "scoring", "warehouse"),
    grows=True,
)
REJECTED = Topic(
    name="mentoring.rejected",
    payload="the original bytes; headers state the reason, the path and the origin",
    key="origin",
    cleanup="delete",
    retention=timedelta(days=30),
    producers=("ingest", "scoring"),
    consumers=("operators", "warehouse"),
)
DIRECTORY_STATEMENTS = Topic(
    name="mentoring.directory-statements",
    payload="DirectoryStatement",
    key="tenant/participant",
    cleanup="delete",
    # One partition: statements of all feeds are merged in one order.
    partitions=1,
    retention=timedelta(days=14),
    producers=("ingest", "operators"),
    consumers=("ingest",),
)
DIRECTORY = Topic(
    name="mentoring.directory",
    payload="Participant",
    key="tenant/participant, or the offset up to which the statements are merged",
    cleanup="compact",
    # An erased record stays on the topic at most this long.
    config=(("max.compaction.lag.ms", DAY_MS),),
    partitions=1,
    producers=("ingest",),
    consumers=("ingest", "notify"),
)
ROSTER = Topic(
    name="mentoring.roster",
    payload="the relationships, their participants and start times, as ingest's projector derives them from the log",
    key="tenant/relationship, or the offset up to which a partition of the log is projected",
    cleanup="compact",
    config=COMPACTED_SOON,
    producers=("ingest",),
    consumers=("ingest", "notify"),
    grows=True,
)
BOOKINGS = Topic(
    name="mentoring.bookings",
    payload="the booked sessions and their times, as ingest's projector derives them from the log",
    key="tenant/relationship, or the offset up to which a partition of the log is projected",
    cleanup="compact",
    config=COMPACTED_SOON,
    producers=("ingest",),
    consumers=("ingest",),
    grows=True,
)
PROGRAMS = Topic(
    name="mentoring.programs",
    payload="Programme",
    key="tenant/program",
    cleanup="compact",
    partitions=1,
    producers=("operators",),
    # Scoring reads it only for calibration: the profiles that it scores by are on the log.
    consumers=("ingest", "scoring", "notify", "warehouse"),
    most_bytes=PROGRAMME_BYTES,
)
SOURCES = Topic(
    name="mentoring.sources",
    payload="SourceWatermark",
    key="tenant/source",
    cleanup="compact",
    partitions=1,
    producers=("ingest",),
    consumers=("notify",),
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
BOARD_TOKENS = Topic(
    name="mentoring.board-tokens",
    payload="BoardToken",
    key="token id",
    cleanup="compact",
    partitions=1,
    producers=("operators",),
    consumers=("notify",),
)
SYNC_TOKENS = Topic(
    name="mentoring.sync-tokens",
    payload="SyncToken",
    key="tenant/tool/connection/digest of the calendar",
    cleanup="compact",
    partitions=1,
    producers=("ingest",),
    consumers=("ingest",),
)
SCORING_STATE = Topic(
    name="mentoring.scoring-state",
    payload="a relationship's state in scoring's binary layout, the partition's watermark, or a programme's profiles",
    key="tenant/relationship, watermark or programme, and the generation of its writer",
    cleanup="compact",
    # A late record of a fenced generation must stay readable until recovery has merged it.
    config=(("min.compaction.lag.ms", "86400000"),),
    most_bytes=STATE_BYTES,
    producers=("scoring",),
    consumers=("scoring",),
    grows=True,
)
SCORES = Topic(
    name="mentoring.scores",
    payload="ScoreEvent",
    key="tenant/relationship",
    cleanup="delete",
    retention=timedelta(days=90),
    producers=("scoring",),
    consumers=("warehouse", "notify"),
    grows=True,
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
    grows=True,
)
DELIVERIES = Topic(
    name="mentoring.deliveries",
    payload="Delivery",
    key="delivery id",
    cleanup="compact",
    # An erased record stays on the topic at most this long.
    config=(("max.compaction.lag.ms", DAY_MS),),
    producers=("notify", "operators"),
    consumers=("notify",),
)
ALERT_COMMANDS = Topic(
    name="mentoring.alert-commands",
    payload="AlertCommand",
    key="tenant/subject, or the silence",
    cleanup="delete",
    # One partition: one order of all commands.
    partitions=1,
    # Notes are free text.
    retention=timedelta(days=14),
    producers=("notify", "operators"),
    consumers=("notify",),
)
ALERT_RULES = Topic(
    name="mentoring.alert-rules",
    payload="RuleEvent",
    key="tenant/program",
    cleanup="delete",
    # One partition: all versions that were ever valid, in one order.
    partitions=1,
    producers=("operators", "notify"),
    consumers=("notify",),
)
NOTIFY_STATE = Topic(
    name="mentoring.notify-state",
    payload="AlertSilence",
    key="tenant/silence/id",
    cleanup="compact",
    # It belongs to no partition of the log.
    partitions=1,
    producers=("notify",),
    consumers=("notify",),
)
SUBJECT_STATE = Topic(
    name="mentoring.subject-state",
    payload="notify's state of the rules of one programme or source",
    key="tenant/programme/id or tenant/source/id",
    cleanup="compact",
    # The rules advance with the lowest clock of all partitions.
    partitions=1,
    producers=("notify",),
    consumers=("notify",),
)
NOTIFY_LEADER = Topic(
    name="mentoring.notify-leader",
    payload="no records: the instance of notify that owns the partition is active, the others are on standby",
    key="none",
    cleanup="delete",
    partitions=1,
    retention=timedelta(days=1),
    producers=("notify",),
    consumers=("notify",),
)

TOPICS = (
    *(RAW_CLOUDEVENTS, *RAW_TOOLS, EVENTS, REJECTED, DIRECTORY_STATEMENTS, DIRECTORY, ROSTER, BOOKINGS, PROGRAMS),
    *(SOURCES, TOKENS, BOARD_TOKENS, SYNC_TOKENS, SCORING_STATE, SCORES, ALERTS, ALERT_STATE, DELIVERIES),
    *(ALERT_COMMANDS, ALERT_RULES, NOTIFY_STATE, SUBJECT_STATE, NOTIFY_LEADER),
)
