"""The programmes as the compact topic holds them: read to its end before the first run, and followed from then on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter

from services.runtime import log
from services.runtime.kafka import Reader, Record, read_to_end, reading
from services.runtime.settings import Settings
from services.scoring.domain.profiles import Programmes
from services.scoring.domain.programme_record import Unreadable, read_record
from services.scoring.domain.told_programmes import ProgrammeTable
from services.scoring.names import Names

POLL_SECONDS = 0.9
"""A record ends the wait at once; a stop waits for it."""
END_SECONDS = 1.0


class UnreadableProgrammeError(Exception):
    """Nobody can say by which profiles a programme is to be scored."""


class ProgrammeFollower:
    """Applies records on a thread of its own; whoever asks for the table may do so from any thread."""

    def __init__(self, unreadable: Counter) -> None:
        self._table, self._unreadable = ProgrammeTable(), unreadable
        self._problem: Exception | None = None

    @property
    def table(self) -> ProgrammeTable:
        """Raises whatever ended the following: a partition that is told nothing more would be silently wrong."""
        if self._problem:
            raise self._problem
        return self._table

    @contextmanager
    def following(self, settings: Settings, names: Names) -> Iterator[None]:
        """Follows the topic while the block runs, from its end as it is at the call: all up to there is known when the
        block begins. Raises KafkaError."""
        stop = threading.Event()
        with reading(settings, [names.programs], fetch_max_wait_ms=round(POLL_SECONDS * 1000)) as reader:
            self._catch_up(reader)
            thread = threading.Thread(target=self._follow, args=(reader, stop), name="programmes", daemon=True)
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join(END_SECONDS)

    def _catch_up(self, reader: Reader) -> None:
        ends = reader.end_offsets(sorted(reader.assignment()))
        while any(reader.position(partition) < end for partition, end in ends.items()):
            self._poll(reader)

    def _follow(self, reader: Reader, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                self._poll(reader)
        except Exception as problem:  # noqa: BLE001 (raised again by `table`; a thread's end is heard by nobody)
            self._problem = problem

    def _poll(self, reader: Reader) -> None:
        for records in reader.poll(POLL_SECONDS).values():
            for record in records:
                self._apply(record)

    def _apply(self, record: Record) -> None:
        read = read_record(record.key, record.value, record.offset)
        if isinstance(read, Unreadable):
            self._unreadable.inc()
            log.get(__name__).error("programme_unreadable", **read._asdict())
        self._table.apply(read)


def programmes(settings: Settings, names: Names) -> Programmes:
    """The profiles of all programmes as of now, for commands that recompute. Raises KafkaError, and
    UnreadableProgrammeError where the last record of a programme cannot be read: the truth would be a guess."""
    table = ProgrammeTable()
    for record in read_to_end(settings, [names.programs]):
        table.apply(read_record(record.key, record.value, record.offset))
    for name, offset, reason in table.unreadable:
        raise UnreadableProgrammeError(
            f"{names.programs}, offset {offset}: programme {name} cannot be read: {reason}; apply it again"
        )
    return table.programmes()
