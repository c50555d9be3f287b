"""Inserts rows, one partition of one table at a time; a row that ClickHouse refuses is found by bisection and
dead-lettered."""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from queue import SimpleQueue
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

from services.runtime.clickhouse import INVALID_DATA, ClickHouse, ClickHouseError
from services.runtime.partition_buffer import Batch
from services.runtime.unexpected import Breaker
from services.warehouse.domain.record import Outcome, Refused, StoredRow
from services.warehouse.domain.sorting import Block
from services.warehouse.domain.tables import WarehouseTable
from services.warehouse.domain.target import TABLES

# Explicit, whatever the server's defaults: an asynchronous insert would be acknowledged before it is stored.
INSERT = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
}
DEAD_LETTERS = "mentoring.dead_letter"
DEAD_LETTER_COLUMNS = ("topic", "log_partition", "log_offset", "reason", "path", "size", "sha256")


class Meters:
    """The metrics of the warehouse service."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rows = Counter(
            "rapport_warehouse_rows", "Rows stored, repeats after a crash included", ["table"], registry=registry
        )
        self.dead_letters = Counter(
            "rapport_warehouse_dead_letters", "Records that could not be stored", ["topic"], registry=registry
        )
        self.put_seconds = Histogram(
            "rapport_warehouse_put_seconds", "Time to store one batch", ["table"], registry=registry
        )


Insert = Callable[[str, Sequence[str], Sequence[tuple[Any, ...]], str], None]


class Store:
    """Each of `clickhouse` is used by one thread at a time: as many may store at the same time."""

    def __init__(self, clickhouse: Sequence[ClickHouse], breaker: Breaker, meters: Meters) -> None:
        self.clients, self._breaker, self._meters = len(clickhouse), breaker, meters
        self._free = SimpleQueue[ClickHouse]()
        for one in clickhouse:
            self._free.put(one)

    def collect(self, outcomes: Iterable[tuple[int, Outcome]]) -> list[tuple[int, Outcome]]:
        """Collect the outcomes of a batch in offset order. Raises BadDeployError when too many in a row are refused:
        then nothing of the batch is stored, and the rest is not read."""
        found, breaker = [], self._breaker.of_batch()
        for one in outcomes:
            outcome = one[1]
            if isinstance(outcome, Refused):
                breaker.refused(f"{outcome.reason} {outcome.path}")
            elif breaker.in_a_row or self._breaker.in_a_row:
                breaker.passed()
            found.append(one)
        return found

    def put(self, batch: Batch, blocks: Sequence[Block]) -> dict[int, Refused]:
        """Store the rows and return those that ClickHouse refused, by offset. After ClickHouseAwayError some rows may
        be stored; repeating the call stores all of them, each once."""
        refused, insert = dict[int, Refused](), _BlockInsert(self._insert, self._breaker.of_batch())
        for block in blocks:
            with self._meters.put_seconds.labels(block.table).time():
                found = insert.put(TABLES[block.table], block.rows, _token(block, batch))
            self._meters.rows.labels(block.table).inc(len(block.rows) - len(found))
            refused |= found
        return refused

    def store_dead_letters(self, batch: Batch, refused: Mapping[int, Refused]) -> None:
        """Store hash and size of the refused records, never their bytes, which may be personal data."""
        records = [record for record in batch.records if record.offset in refused]
        rows = [
            (
                record.topic,
                record.partition,
                record.offset,
                refused[record.offset].reason,
                refused[record.offset].path,
                len(record.value or b""),
                hashlib.sha256(record.value or b"").hexdigest(),
            )
            for record in records
        ]
        if rows:
            self._meters.dead_letters.labels(batch.partition.topic).inc(len(rows))
            self._insert(DEAD_LETTERS, DEAD_LETTER_COLUMNS, rows, f"dead:{secrets.token_hex(8)}")

    def _insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], token: str) -> None:
        block = dict(zip(columns, zip(*rows, strict=True), strict=True))
        clickhouse = self._free.get()
        try:
            clickhouse.insert_columns(table, block, {**INSERT, "insert_deduplication_token": token})
        finally:
            self._free.put(clickhouse)


class _BlockInsert:
    """Inserts the blocks of one batch, and finds the rows that ClickHouse refuses."""

    def __init__(self, insert: Insert, breaker: Breaker) -> None:
        self._insert, self._breaker = insert, breaker

    def put(self, table: WarehouseTable, rows: Sequence[StoredRow], token: str) -> dict[int, Refused]:
        try:
            self._insert(table.name, table.columns, [row.values for row in rows], token)
        except ClickHouseError as error:
            if error.code not in INVALID_DATA:
                raise
            return self._bisect(table, rows, token, error.code)
        self._breaker.passed()
        return {}

    def _bisect(self, table: WarehouseTable, rows: Sequence[StoredRow], token: str, code: int) -> dict[int, Refused]:
        if len(rows) == 1:
            refused = Refused(f"clickhouse_{code}")
            self._breaker.refused(refused.reason)
            return {rows[0].offset: refused}
        half = len(rows) // 2
        return self.put(table, rows[:half], f"{token}:0") | self.put(table, rows[half:], f"{token}:1")


def _token(block: Block, batch: Batch) -> str:
    """A new token for every attempt. A token alone does not deduplicate safely across a crash of a server without
    replicas, which may remember the token of a block that it lost. The table's engine removes duplicates."""
    attempt = secrets.token_hex(8)
    where = f"{batch.partition.topic}:{batch.partition.number}:{batch.first}:{batch.last}"
    return f"{block.table}:{where}:{block.month}:{attempt}"
