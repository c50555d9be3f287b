"""The single registry of topics: what they carry, how they are keyed and kept, who writes and who reads them."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

DEFAULT_PARTITIONS = 12
FOREVER = timedelta(days=-1)
# Of a record with all that Kafka adds. It is what Kafka takes unless it is told otherwise, and is said for each topic
# all the same: what is valid under the schemas fits, whatever the cluster's own limit.
USUAL_BYTES = 1_048_588
# A payload of 1 MiB, as it is taken over HTTP, and what Kafka adds to it.
PAYLOAD_BYTES = 2 * 2**20
# A state of the most facts that are kept, each by a source and under a name of its own, those of full length.
STATE_BYTES = 16 * 2**20
PROGRAMME_BYTES = 2 * 2**20
TOOLS = (
    *("zoom", "google_calendar", "microsoft_graph", "calendly", "calcom"),
    *("slack", "typeform", "xapi", "caliper", "hr", "mapping"),
)

DAY_MS = str(24 * 3_600_000)
# Of topics that every start reads to their end: Kafka compacts no segment that is written to, one of 1 GiB unless it is
# told otherwise, so that a start would read each version of each record. A fifth that is new is compacted.
READ_AT_STARTS = (("segment.bytes", str(8 * 2**20)), ("min.cleanable.dirty.ratio", "0.2"))


@dataclass(frozen=True)
class Topic:
    """`partitions` None: as many as the log has, so that a relationship lives on the same number everywhere.
    `grows`: what it holds belongs to partitions of the log, so that a log with more of them has another such topic.
    `most_bytes`: of a record, with its key, its headers and what Kafka adds."""

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
    most_bytes: int = USUAL_BYTES

    def at(self, epoch: int) -> str:
        """Its name in that epoch of the log; the first has number 0."""
        return f"{self.name}.epoch{epoch}" if self.grows and epoch else self.name

    def options(self, partitions: int, replication: int) -> dict[str, Any]:
        """How it is created, where the log has so many partitions."""
        retention = round(self.retention.total_seconds() * 1000) if self.retention.days >= 0 else -1
        configs = {"cleanup.policy": self.cleanup, "max.message.bytes": str(self.most_bytes), **dict(self.config)}
        if self.cleanup == "delete":
            configs |= {"retention.ms": str(retention), "retention.bytes": "-1"}
        if self.cleanup == "delete" and retention >= 0:
            # Whole segments are deleted, by their newest record.
            configs["segment.ms"] = DAY_MS
        return {
            "num_partitions": self.partitions or partitions,
            "replication_factor": replication,
            "configs": configs,
        }


def position(epoch: int, offset: int) -> int:
    """The place of a record on the log, whatever number of partitions it had: it grows within a relationship."""
    return epoch << 48 | offset


def raw_of(tool: str) -> str:
    """The topic on which a tool's payloads come as they are."""
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
        name=raw_of(tool),
        payload="a payload of the tool; headers say of which connection",
        key="connection",
        cleanup="delete",
        # Enough for several gateways; one connection stays on one, in the order in which its tool spoke.
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
    key="tenant/relationship; none where every partition has a copy",
    cleanup="delete",
    producers=("ingest", "operators"),
    consumers=("ingest", "scoring", "warehouse"),
    grows=True,
)
REJECTED = Topic(
    name="mentoring.rejected",
    payload="the original bytes; headers say reason, path and where they came from",
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
    # One order over all feeds: what is merged is merged in it.
    partitions=1,
    retention=timedelta(days=14),
    producers=("ingest", "operators"),
    consumers=("ingest",),
)
DIRECTORY = Topic(
    name="mentoring.directory",
    payload="Participant",
    key="tenant/participant, or how far the statements are merged",
    cleanup="compact",
    # What an erasure replaces lies on for so long.
    config=(("max.compaction.lag.ms", DAY_MS),),
    partitions=1,
    producers=("ingest",),
    consumers=("ingest", "notify"),
)
ROSTER = Topic(
    name="mentoring.roster",
    payload="who is paired with whom and since when, as ingest's projector folds it from the log",
    key="tenant/relationship, or how far the partition of the log is folded",
    cleanup="compact",
    config=READ_AT_STARTS,
    producers=("ingest",),
    consumers=("ingest", "notify"),
    grows=True,
)
BOOKINGS = Topic(
    name="mentoring.bookings",
    payload="which sessions are booked for when, as ingest's projector folds it from the log",
    key="tenant/relationship, or how far the partition of the log is folded",
    cleanup="compact",
    config=READ_AT_STARTS,
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
    # Scoring reads it when it calibrates only: what it scores by stands on the log.
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
    # A zombie's late record of an older generation must stay readable until recovery has merged it.
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
    # What an erasure replaces lies on for so long.
    config=(("max.compaction.lag.ms", DAY_MS),),
    producers=("notify", "operators"),
    consumers=("notify",),
)
ALERT_COMMANDS = Topic(
    name="mentoring.alert-commands",
    payload="AlertCommand",
    key="tenant/subject, or the silence",
    cleanup="delete",
    # One order over all acts.
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
    # All versions that ever held, in one order.
    partitions=1,
    producers=("operators", "notify"),
    consumers=("notify",),
)
NOTIFY_STATE = Topic(
    name="mentoring.notify-state",
    payload="AlertSilence",
    key="tenant/silence/id",
    cleanup="compact",
    # What belongs to no partition of the log.
    partitions=1,
    producers=("notify",),
    consumers=("notify",),
)
SUBJECT_STATE = Topic(
    name="mentoring.subject-state",
    payload="notify's state of the rules of one programme or source",
    key="tenant/programme/id or tenant/source/id",
    cleanup="compact",
    # They live by the lowest clock of all partitions.
    partitions=1,
    producers=("notify",),
    consumers=("notify",),
)
NOTIFY_LEADER = Topic(
    name="mentoring.notify-leader",
    payload="nothing: the instance of notify that owns the partition works, the others stand by",
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
