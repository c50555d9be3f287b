"""Topics that are followed beside the work of a process: read to their end first, and on from there."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

from services.runtime.kafka import WAITING_FETCH_MS, Partition, Reader, Record
from services.runtime.settings import Settings

POLL_SECONDS = 0.5
"""A record ends the wait at once; a stop waits for it."""
END_SECONDS = 1.0


class Follower:
    """`apply` is called for each record in the order of its partition: by whoever begins to follow until all that was
    there is applied, then by a thread of its own. It must not raise for what a record holds."""

    def __init__(self, apply: Callable[[Record], None]) -> None:
        self._apply = apply
        self._failure: Exception | None = None

    def check(self) -> None:
        """Raises whatever ended the following: what is known would grow old without a word."""
        if self._failure is not None:
            raise self._failure

    @contextmanager
    def following(
        self, settings: Settings, topics: Sequence[str], since: Literal["beginning", "now"] | int = "beginning"
    ) -> Iterator[None]:
        """While the block runs. From the beginning of each topic all up to the end as it is at the call is applied when
        the block begins; `now`: only what comes after the call; a number: from the first record on that is not older
        than so many milliseconds since 1970. Raises KafkaError."""
        stop = threading.Event()
        reader = Reader(settings, group=None, isolation_level="read_committed", fetch_max_wait_ms=WAITING_FETCH_MS)
        try:
            partitions = reader.assign(topics)
            ends = reader.end_offsets(partitions)
            begins = ends if since == "now" else reader.beginning_offsets(partitions)
            for partition, begin in begins.items():
                at = reader.offset_at(partition, since) if isinstance(since, int) else begin
                reader.seek(partition, ends[partition] if at is None else at)
            for polled in reader.up_to(ends):
                self._take(polled)
            thread = threading.Thread(target=self._follow, args=(reader, stop), name="follower", daemon=True)
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join(END_SECONDS)
        finally:
            reader.close()

    def _follow(self, reader: Reader, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                self._take(reader.poll(POLL_SECONDS))
        except Exception as failure:  # noqa: BLE001 (raised again by `check`; a thread's end is heard by nobody)
            self._failure = failure

    def _take(self, polled: Mapping[Partition, Sequence[Record]]) -> None:
        for records in polled.values():
            for record in records:
                self._apply(record)
