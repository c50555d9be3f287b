"""Gaps of the log: the partitions that stand before one, and their acceptance by an operator."""

import asyncio
import time
from contextlib import closing

from services.runtime import log
from services.runtime.kafka import Partition, Producer, open_reader, read_partition
from services.runtime.settings import Settings
from services.scoring.domain.changelog import WATERMARK, Recovery, watermark_entry
from services.scoring.domain.layout import PartitionWatermark
from services.scoring.domain.maintenance import Gap, GapAccepted, GapRefused, accept, gap_of
from services.scoring.topics import Topics

POLL_SECONDS = 5.0
"""Interval at which the changelog is checked for the acceptance of a gap."""


class NoSuchPartitionError(Exception):
    """The log has no partition of this number."""


class Gaps:
    """Of the assigned partitions."""

    def __init__(self, settings: Settings, topics: Topics) -> None:
        self._settings, self._topics = settings, topics
        self._open: dict[int, Gap] = {}
        self._polled_at = 0.0
        self._log = log.get(__name__)

    @property
    def numbers(self) -> list[int]:
        return sorted(self._open)

    def lost(self, number: int) -> int:
        """The number of lost records; 0 without a gap."""
        return self._open[number].lost if number in self._open else 0

    def forget_all(self) -> None:
        self._open.clear()

    def report_if_found(self, number: int, wanted: int, begin: int) -> bool:
        """Whether there is a gap; if so, the partition stands until it is accepted."""
        gap = gap_of(PartitionWatermark(offset=wanted - 1), begin)
        if gap is not None:
            self._open[number] = gap
            self._log.error("log_gap", partition=number, wanted=wanted, earliest=begin, lost=gap.lost)
        return gap is not None

    async def accepted(self) -> dict[int, int]:
        """{partition: the offset that an operator has accepted}. Called often; reads the changelog only every
        POLL_SECONDS."""
        if not self._open or time.monotonic() - self._polled_at < POLL_SECONDS:
            return {}
        self._polled_at = time.monotonic()
        waiting = dict(self._open)
        watermarks = {n: await asyncio.to_thread(watermark_of, self._settings, self._topics, n) for n in waiting}
        accepted_offsets = {
            n: watermarks[n].offset + 1 for n, gap in waiting.items() if watermarks[n].offset + 1 >= gap.begin
        }
        for number, offset in accepted_offsets.items():
            if self._open.pop(number, None):
                self._log.warning("log_gap_accepted", partition=number, offset=offset, lost=waiting[number].lost)
        return accepted_offsets


def watermark_of(settings: Settings, topics: Topics, number: int) -> PartitionWatermark:
    """From the changelog, whichever generation wrote it. Raises KafkaError."""
    recovery = Recovery()
    for record in read_partition(settings, Partition(topics.state, number)):
        if (record.key or b"").startswith(WATERMARK.encode()):
            recovery.add(record.key, record.value)
    return recovery.finish().watermark


def accept_gap(settings: Settings, topics: Topics, number: int, offset: int) -> GapAccepted | GapRefused:
    """Write the acceptance into the changelog, under a generation of its own. Raises NoSuchPartitionError and
    KafkaError."""
    tp = Partition(topics.events, number)
    with open_reader(settings, [topics.events]) as reader:
        partitions = reader.assignment()
        if tp not in partitions:
            raise NoSuchPartitionError(f"{topics.events} has {len(partitions)} partitions, from 0 on")
        begin = reader.beginning_offsets([tp])[tp]
    verdict = accept(watermark_of(settings, topics, number), begin, offset)
    if isinstance(verdict, GapAccepted):
        entry = watermark_entry(time.time_ns(), verdict.watermark)
        with closing(Producer(settings)) as producer:
            producer.send(topics.state, entry.key, entry.value, partition=number).get(30)
    return verdict
