"""Follow topics beside the main work of a process: read them to their current end, then tail them on a thread."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

from services.runtime.kafka import WAITING_FETCH_MS, Partition, Reader, Record
from services.runtime.progress import LoopWatch
from services.runtime.settings import Settings

POLL_SECONDS = 0.5
"""Bounds how long the thread needs to notice a stop; a record ends the poll at once."""
END_SECONDS = 1.0


class Follower:
    """Calls `apply` for each record, in the order of its partition: first on the calling thread up to the current end,
    then on a thread of its own, whose loop is watched. `apply` must not raise because of a record's content."""

    def __init__(self, apply: Callable[[Record], None], loops: LoopWatch | None = None) -> None:
        self._apply, self._loops = apply, loops or LoopWatch()
        self._failure: Exception | None = None

    def check(self) -> None:
        """Raise the failure that ended the following, if any: otherwise the projection would go stale unnoticed."""
        if self._failure is not None:
            raise self._failure

    @contextmanager
    def following(
        self, settings: Settings, topics: Sequence[str], since: Literal["beginning", "now"] | int = "beginning"
    ) -> Iterator[None]:
        """Follow the topics while the block runs. Raises KafkaError.

        `since`: "beginning" applies everything up to the current end before the block begins; "now" applies only later
        records; a number applies records that are not older than these milliseconds since 1970."""
        stop = threading.Event()
        reader = Reader(settings, group=None, isolation_level="read_committed", fetch_max_wait_ms=WAITING_FETCH_MS)
        try:
            partitions = reader.assign(topics)
            ends = reader.end_offsets(partitions)
            begins = ends if since == "now" else reader.beginning_offsets(partitions)
            for partition, begin in begins.items():
                at = reader.offset_at(partition, since) if isinstance(since, int) else begin
                reader.seek(partition, ends[partition] if at is None else at)
            for polled in reader.poll_until(ends):
                self._apply_all(polled)
            name = f"follower of {', '.join(topics)}"
            thread = threading.Thread(target=self._follow, args=(reader, stop, name), name="follower", daemon=True)
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join(END_SECONDS)
        finally:
            reader.close()

    def _follow(self, reader: Reader, stop: threading.Event, name: str) -> None:
        try:
            with self._loops.loop(name) as note_turn:
                while not stop.is_set():
                    self._apply_all(reader.poll(POLL_SECONDS))
                    note_turn()
        except Exception as failure:  # noqa: BLE001 (raised again by `check`: an exception that ends a thread is lost)
            self._failure = failure

    def _apply_all(self, polled: Mapping[Partition, Sequence[Record]]) -> None:
        for records in polled.values():
            for record in records:
                self._apply(record)
