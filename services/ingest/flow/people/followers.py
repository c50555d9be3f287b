"""What is known follows the log of events and the directory: read from the beginning, and followed from then on."""

import re
import threading
import time
from collections.abc import Mapping

from pydantic import ValidationError

from schemas.directory import Participant
from schemas.events import MENTORING_EVENT
from schemas.topics import DIRECTORY, EVENTS
from services.ingest.domain.tools.knowledge import Knowledge
from services.ingest.flow.unexpected import UnexpectedFailures
from services.runtime import log
from services.runtime.health import Health
from services.runtime.kafka import KafkaError, Partition, Reader, Record, reading
from services.runtime.settings import Settings
from services.validation_errors import places

POLL_SECONDS = 0.5
PROBE_SECONDS = 5.0
PROBE_TIMEOUT_SECONDS = 1.0
# In the bytes of an event: what tells nothing of people or of booked sessions is not parsed. Nine in ten do not.
TELLING = re.compile(rb'"mentoring\.(?:relationship|session\.(?:scheduled|rescheduled|cancelled)|event\.retracted)\.')
OF_TOOLS = b'"source":"urn:rapport:'
RECENT = 20_000
"""Records at the end of each partition among which the past words of tools are remembered."""


class KnowledgeFollower:
    """`run` is for one thread, `caught_up` for any."""

    def __init__(self, settings: Settings, knowledge: Knowledge, health: Health) -> None:
        self._settings, self._knowledge, self._health = settings, knowledge, health
        self._caught_up = threading.Event()
        self._unexpected = UnexpectedFailures()
        self._log = log.get(__name__)

    @property
    def is_caught_up(self) -> bool:
        return self._caught_up.is_set()

    def caught_up(self, stop: threading.Event) -> None:
        """Returns when all that was written before `run` began is known, or when `stop` is set."""
        while not self._caught_up.wait(POLL_SECONDS) and not stop.is_set():
            pass

    def run(self, stop: threading.Event) -> None:
        """Returns when `stop` is set. Raises KafkaError when the broker is away at the beginning, and BadDeployError
        when an error of ours met too many records in a row."""
        with reading(self._settings, [DIRECTORY.name, EVENTS.at(self._settings.log_epoch)]) as reader:
            self._read(reader, reader.end_offsets(sorted(reader.assignment())), stop)

    def _read(self, reader: Reader, ends: Mapping[Partition, int], stop: threading.Event) -> None:
        probe_at = began = time.monotonic()
        while not stop.is_set():
            if not self._caught_up.is_set() and all(reader.position(one) >= end for one, end in ends.items()):
                self._log.info("caught_up", records=sum(ends.values()), seconds=round(time.monotonic() - began, 3))
                self._caught_up.set()
            for partition, records in reader.poll(POLL_SECONDS).items():
                for record in records:
                    self._take(record, ends[partition])
            if self._caught_up.is_set() and time.monotonic() >= probe_at:
                self._probe(reader)
                probe_at = time.monotonic() + PROBE_SECONDS

    def _take(self, record: Record, end: int) -> None:
        try:
            if record.topic == DIRECTORY.name:
                self._person(record)
            elif record.value and _tells(record.value, is_recent=record.offset >= end - RECENT):
                self._knowledge.hear(MENTORING_EVENT.validate_json(record.value))
        except ValidationError as invalid:
            self._log.error("unreadable", topic=record.topic, offset=record.offset, places=places(invalid))
        except Exception as failure:  # noqa: BLE001 (told and counted; it counts for nothing, as with scoring)
            self._unexpected.rejected(record, failure)
        else:
            self._unexpected.passed()

    def _person(self, record: Record) -> None:
        """What cannot be read any more counts as forgotten: nobody shall be resolved by what once was."""
        tenant, _, participant = (record.key or b"").decode(errors="replace").partition("/")
        if record.value is None:
            self._knowledge.forget(tenant, participant)
            return
        try:
            known = Participant.model_validate_json(record.value)
        except ValidationError:
            self._knowledge.forget(tenant, participant)
            raise
        for conflict in self._knowledge.learn(known):
            self._log.warning("identity_of_several", **conflict._asdict())

    def _probe(self, reader: Reader) -> None:
        """Asks the broker something, because a reader without a broker reads nothing and says nothing."""
        try:
            reader.end_offsets(sorted(reader.assignment()), PROBE_TIMEOUT_SECONDS)
        except KafkaError as away:
            self._health.tell("degraded", f"the broker does not answer: {away}")
        else:
            self._health.tell("ready", f"caught up, lag {reader.lag()}")


def _tells(value: bytes, *, is_recent: bool) -> bool:
    return TELLING.search(value) is not None or (is_recent and OF_TOOLS in value)
