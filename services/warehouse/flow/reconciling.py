"""Compares the log with the tables: each partition is read once, up to the committed offset, and compared by ranges of
offsets and by days."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.runtime.clickhouse import ClickHouse
from services.runtime.kafka import Partition, Reader, Record
from services.runtime.key_placement import misplaced
from services.warehouse.domain.reconciliation import RANGE, ExpectedRows, differing, differing_days, first_difference
from services.warehouse.domain.record import RecordMetadata, StoredRow
from services.warehouse.domain.target import Feed, Target
from services.warehouse.settings import WarehouseSettings

# Rows that a replay wrote have no offset on the topic of scores: only days can be compared then.
_REPLAYED = "SELECT count() FROM mentoring.score_history WHERE mode = 'replay'"


@dataclass(frozen=True)
class PartitionComparison:
    """The result for one table and partition: the number of rows on the log, and the first differences in words."""

    table: str
    partition: int
    rows: int
    differences: tuple[str, ...]


def reconcile(
    settings: WarehouseSettings, feed: Feed, clickhouse: ClickHouse, report: Callable[[str], None]
) -> Iterator[PartitionComparison]:
    """Ignores rows of erased relationships, dead letters and expired rows, and tables without days (programmes and
    rejected inputs). Raises ClickHouseError and KafkaError."""
    erased = set(clickhouse.query("SELECT tenant_id, relationship_id FROM mentoring.erased"))
    for topic, target in sorted(feed.targets.items()):
        kept = ((table, settings.retention.since(table, datetime.now(UTC))) for table in target.tables if table.time)
        expected = [ExpectedRows(table, erased, since) for table, since in kept]
        if not expected:
            continue
        # Like the service: aborted records are no rows.
        with closing(Reader(settings, feed.group, isolation_level="read_committed")) as reader:
            for partition in reader.assign([topic]):
                report(f"{topic} {partition.number}")
                log = _PartitionLog(reader, feed, target, partition)
                first = log.read(expected, _dead_letters(clickhouse, partition))
                for one in expected:
                    part = _TablePart(clickhouse, one, partition.number, first, feed.epoch)
                    found = tuple(part.differences())
                    # Queried last: a replay may exchange the table during the comparison.
                    if found and one.table.valid == "version" and clickhouse.query(_REPLAYED) != [(0,)]:
                        found = tuple(part.days())
                    yield PartitionComparison(one.table.name, partition.number, len(one.offsets()), found)
                    one.standing.clear()


@dataclass(frozen=True)
class _PartitionLog:
    """One partition of a topic, up to its stored offset."""

    reader: Reader
    feed: Feed
    target: Target
    partition: Partition

    def read(self, expected: list[ExpectedRows], dead_letters: set[int]) -> int:
        """Fold the records; `dead_letters` are the offsets of dead letters. Returns the first offset of the log."""
        self.reader.assign_partitions([self.partition])
        first = self.reader.beginning_offsets([self.partition])[self.partition]
        committed = self.reader.committed(self.partition)
        end = committed.offset if committed else first
        self.reader.seek(self.partition, first)
        by_table = {one.table.name: one for one in expected}
        for polled in self.reader.poll_until({self.partition: end}):
            for record in (one for one in polled.get(self.partition, ()) if one.offset < end):
                for row in () if record.offset in dead_letters else self._rows(record):
                    by_table[row.table].add(row)
        return first

    def _rows(self, record: Record) -> tuple[StoredRow, ...]:
        metadata = RecordMetadata(
            record.partition, record.offset, self.feed.epoch, record.timestamp_ms, record.key or b""
        )
        outcome = self.target.read(record.value or b"", metadata)
        if not isinstance(outcome, tuple):
            return ()
        key_of, count = self.target.key_of, self.reader.partition_count(self.partition.topic)
        strays = key_of is not None and misplaced(record.key, record.partition, count, key_of(outcome[0]))
        return () if strays else outcome


@dataclass(frozen=True)
class _TablePart:
    """The rows of a table that came from one partition and are still on the log."""

    clickhouse: ClickHouse
    expected: ExpectedRows
    number: int
    first: int
    epoch: int

    def differences(self) -> Iterator[str]:
        counted = self._ask(f"SELECT intDiv(log_offset, {RANGE}), count()", "GROUP BY 1")
        for number, told, held in differing(self.expected.ranges(), dict(counted)):
            low, high = number * RANGE, (number + 1) * RANGE
            offsets = self._ask("SELECT log_offset", f"AND log_offset >= {low} AND log_offset < {high} ORDER BY 1")
            wanted = [offset for offset in self.expected.offsets() if low <= offset < high]
            found = first_difference(wanted, [offset for (offset,) in offsets])
            yield f"offsets {low} to {high - 1}: the log gives {told} rows, the table has {held}; {found}"
        yield from self.days()

    def days(self) -> Iterator[str]:
        counted = self._ask(f"SELECT toDate({self.expected.table.time}), count()", "GROUP BY 1")
        for day, told, held in differing_days(self.expected.days(), dict(counted)):
            yield f"day {day}: the log gives {told} rows, the table has {held}"

    def _ask(self, select: str, rest: str) -> list[tuple[Any, ...]]:
        table = self.expected.table
        positions = f"AND bitShiftRight(position, 48) = {self.epoch}" if "position" in table.columns else ""
        kept = f"AND NOT ({table.kept})" if table.kept else ""
        since = self.expected.since
        young = f"AND {table.time} >= '{since:%Y-%m-%d %H:%M:%S}'" if since else ""
        return self.clickhouse.query(
            f"{select} FROM {table.name} FINAL WHERE log_partition = {self.number} AND log_offset >= {self.first} "
            f"{positions} {kept} {young} {rest}"
        )


def _dead_letters(clickhouse: ClickHouse, partition: Partition) -> set[int]:
    rows = clickhouse.query(
        "SELECT log_offset FROM mentoring.dead_letter WHERE topic = {topic:String} AND log_partition = {number:UInt32}",
        {"topic": partition.topic, "number": partition.number},
    )
    return {int(offset) for (offset,) in rows}
