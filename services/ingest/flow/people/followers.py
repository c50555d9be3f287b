"""Follows the projected topics of the log and of the directory: restores the projection from them to their ends, and
applies new records from then on."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from itertools import chain

from pydantic import ValidationError

from schemas.directory import Participant
from schemas.topics import DIRECTORY, DIRECTORY_STATEMENTS
from services.ingest.domain.people.roster import Roster
from services.ingest.domain.tools.projection import Projection
from services.ingest.flow.in_flight import UnexpectedFailures
from services.ingest.flow.log_reading import event_at
from services.ingest.flow.people.partition_projection import restore
from services.ingest.flow.people.projected_topics import PROGRESS_KEY, ProgressRecord, SnapshotCache, load, topics_of
from services.runtime import log
from services.runtime.health import Health, State
from services.runtime.kafka import WAITING_FETCH_MS, KafkaError, Partition, Reader, Record
from services.runtime.key_placement import Misplaced
from services.runtime.progress import note_progress
from services.runtime.settings import Settings
from services.validation_errors import field_errors

POLL_SECONDS = 0.2
PROBE_SECONDS = 1.0
PROBE_TIMEOUT_SECONDS = 1.5
"""The response may come after that of a long-polling fetch."""
FRESH_SECONDS = 10.0
"""A projection that has not reached the end of the log for so long turns readiness red and is not used: a pair that
began meanwhile would not be recognised."""
STATEMENTS = Partition(DIRECTORY_STATEMENTS.name, 0)
"""It has one partition."""
TOOL_SOURCE = b'"source":"urn:rapport:'
RECENT = 5_000
"""Records at the end of each partition from which the statements of tools are remembered; the warehouse has all."""


class ProjectionFollower:
    """`run` is for one thread, the others for any."""

    def __init__(
        self, settings: Settings, projection: Projection, health: Health, *, roster_only: bool = False
    ) -> None:
        """`roster_only`: the histories of relationships, without bookings, directory and statements of tools."""
        self._settings, self._projection, self._health = settings, projection, health
        self._topics, self._roster_only = topics_of(settings), roster_only
        all_topics = (self._topics.roster, self._topics.bookings, DIRECTORY.name)
        self._compacted = (self._topics.roster,) if roster_only else all_topics
        self._sources = (self._topics.events,) if roster_only else (self._topics.events, STATEMENTS.topic)
        self.snapshots = SnapshotCache(settings, self._compacted)
        self._caught_up = threading.Event()
        self.fresh_until = 0.0
        """On the clock of `time.monotonic`: until then the projection reflects all that was on the log, and on the
        topic of directory statements, a few seconds ago."""
        self._progress: dict[tuple[str, int], int] = {}
        self._targets: Mapping[Partition, int] = {}
        self._partitions = 0
        self._unexpected = UnexpectedFailures()
        self._log = log.get(__name__)

    @property
    def behind(self) -> int:
        """The lag: records of the log and directory statements that the projection does not reflect, as of the last
        probe."""
        folded = (self._topics.roster,) if self._roster_only else (self._topics.roster, self._topics.bookings)
        behind = 0
        for partition, end in self._targets.items():
            projected_to = (DIRECTORY.name,) if partition == STATEMENTS else folded
            behind += max(0, end - min(self._progress.get((topic, partition.number), 0) for topic in projected_to))
        return behind

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() < self.fresh_until

    def wait_until_caught_up(self, stop: threading.Event) -> None:
        """Returns when the projection reflects all that was written before `run` began, or when `stop` is set."""
        while not self._caught_up.wait(POLL_SECONDS) and not stop.is_set():
            pass

    def mark_idle(self) -> None:
        """Reports that the projection is not needed yet."""
        self._health.report("ready", "not read: nobody here asks for relationships")

    def run(self, stop: threading.Event) -> None:
        """Returns when `stop` is set. Raises KafkaError when the broker is away at the beginning, and BadDeployError
        when an error of ours met too many records in a row."""
        self._health.report("starting", "relationships are being read")
        self._follow(stop.is_set)

    def read_once(self, seconds: float) -> bool:
        """Reads up to the end as it is at the call; False if that takes longer. Raises KafkaError."""
        deadline = time.monotonic() + seconds
        self._follow(lambda: self._caught_up.is_set() or time.monotonic() > deadline)
        return self._caught_up.is_set()

    def _follow(self, done: Callable[[], bool]) -> None:
        began = time.monotonic()
        waits = WAITING_FETCH_MS
        reader = Reader(self._settings, group=None, isolation_level="read_committed", fetch_max_wait_ms=waits)
        with closing(reader), self._health.loop("projection"):
            ends = self._begin(reader, done)
            if ends is not None:
                self._read_on(reader, ends, done, began)

    def _begin(self, reader: Reader, done: Callable[[], bool]) -> Mapping[Partition, int] | None:
        """Applies the snapshot, and seeks `reader` to where it ends, and to the last records of the log. Returns the
        end offsets of partitions without progress records; None if `done` becomes true before."""
        snapshot = self.snapshots.snapshot(done)
        if snapshot is None:
            return None
        partitions = reader.assign((*self._compacted, *self._sources))
        # Only the end offsets of the last source are needed; kafka-python returns those of assigned partitions alone.
        unread = self._sources[-1]
        reader.pause([one for one in partitions if one.topic == unread])
        self._partitions = reader.partition_count(self._topics.events)
        self._targets = self._ends(reader, 15)
        people = reader.end_offsets([one for one in partitions if one.topic == DIRECTORY.name])
        log_ = {one: end for one, end in self._targets.items() if one.topic != unread}
        for partition, begin in reader.beginning_offsets(partitions).items():
            recent = self._targets.get(partition, 0) - RECENT
            reader.seek(partition, max(begin, recent, snapshot.reached.get(partition, 0)))
        for record in chain(*snapshot.records.values()):
            self._apply(record)
        return {**people, **log_}

    def _read_on(self, reader: Reader, ends: Mapping[Partition, int], done: Callable[[], bool], began: float) -> None:
        asked_at = probed_at = began
        while not done():
            note_progress()
            for found in reader.poll(POLL_SECONDS).values():
                for record in found:
                    self._apply(record)
            if self.behind == 0 and all(reader.position(one) >= end for one, end in ends.items()):
                self.fresh_until = probed_at + FRESH_SECONDS
                if not self._caught_up.is_set():
                    self._log.info("caught_up", seconds=round(time.monotonic() - began, 3))
                    self._caught_up.set()
            if time.monotonic() - asked_at >= PROBE_SECONDS:
                asked_at = time.monotonic()
                if self.is_fresh:
                    self._health.report("ready", f"caught up, lag {self.behind}")
                else:
                    state: State = "degraded" if self._caught_up.is_set() else "starting"
                    self._health.report(state, f"the projection is {self.behind} records behind the log")
                self.snapshots.expire()
                # New targets only when the last ones are reached: otherwise a busy log is never caught up with.
                if self.behind == 0 and (now := self._probe(reader)):
                    self._targets, probed_at = now, asked_at

    def _apply(self, record: Record) -> None:
        """Skips a record that meets an error of ours, as scoring does."""
        try:
            self._unexpected.attempt(record, partial(self._apply_record, record), ValidationError)
        except ValidationError as invalid:
            self._log.error("unreadable", topic=record.topic, offset=record.offset, places=field_errors(invalid))

    def _apply_record(self, record: Record) -> None:
        if record.topic == self._topics.events:
            if TOOL_SOURCE in (record.value or b""):
                event = event_at(record, self._partitions)
                if not isinstance(event, Misplaced):  # the projector logs it
                    self._projection.recall(event)
        elif record.key == PROGRESS_KEY:
            progress = load(ProgressRecord, record.value or b"")
            self._progress[record.topic, record.partition] = progress.next_offset
        elif record.topic == DIRECTORY.name:
            self._apply_participant(record)
        else:
            restore(self._projection, record, self._topics)

    def _apply_participant(self, record: Record) -> None:
        """A record that cannot be read removes the participant: nobody may be resolved by an outdated record."""
        tenant, _, participant = (record.key or b"").decode(errors="replace").partition("/")
        if record.value is None:
            self._projection.forget(tenant, participant)
            return
        try:
            read = Participant.model_validate_json(record.value)
        except ValidationError:
            self._projection.forget(tenant, participant)
            raise
        for conflict in self._projection.upsert(read):
            self._log.warning("identity_of_several", **conflict._asdict())

    def _ends(self, reader: Reader, timeout: float) -> dict[Partition, int]:
        """The end offsets of the log and of the directory statements, which are not read here: the directory reflects
        them."""
        return reader.end_offsets(sorted(one for one in reader.assignment() if one.topic in self._sources), timeout)

    def _probe(self, reader: Reader) -> dict[Partition, int] | None:
        """The end offsets now; None if the broker does not answer: a reader without a broker reads nothing and raises
        nothing."""
        try:
            return self._ends(reader, PROBE_TIMEOUT_SECONDS)
        except KafkaError as away:
            self._health.report("degraded", f"the broker does not answer: {away}")
            return None


CATCH_UP_SECONDS = 60.0


class ProjectionBehindError(Exception):
    """The message says what to do."""


def projection_now(settings: Settings, digest_key: str = "") -> Projection:
    """The projection as of now. `digest_key` is that of ids that may be text in payloads. Raises KafkaError, and
    ProjectionBehindError if nothing projects the log."""
    projection = Projection(Roster(digest_key))
    follower = ProjectionFollower(settings, projection, Health())
    if not follower.read_once(CATCH_UP_SECONDS):
        raise ProjectionBehindError(
            "the roster or the directory is behind the log: "
            "start `rapport ingest work`, or run `rapport ingest project` once"
        )
    return projection
