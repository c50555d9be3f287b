"""Inserts rows, one partition of one table at a time; a row that ClickHouse refuses is found by bisection and
dead-lettered."""

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

from services.runtime.clickhouse import INVALID_DATA, ClickHouse, ClickHouseError
from services.runtime.loop import Batch
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


class Store:
    def __init__(self, clickhouse: ClickHouse, breaker: Breaker, meters: Meters) -> None:
        self._clickhouse, self._breaker, self._meters = clickhouse, breaker, meters

    def collect(self, outcomes: Iterable[tuple[int, Outcome]]) -> list[tuple[int, Outcome]]:
        """Collect the outcomes of a batch in offset order. Raises BadDeployError when too many in a row are refused:
        then nothing of the batch is stored, and the rest is not read."""
        found = []
        for one in outcomes:
            outcome = one[1]
            if isinstance(outcome, Refused):
                self._breaker.refused(f"{outcome.reason} {outcome.path}")
            elif self._breaker.in_a_row:
                self._breaker.passed()
            found.append(one)
        return found

    def put(self, batch: Batch, blocks: Sequence[Block]) -> dict[int, Refused]:
        """Store the rows and return those that ClickHouse refused, by offset. After ClickHouseAwayError some rows may
        be stored; repeating the call stores all of them, each once."""
        refused: dict[int, Refused] = {}
        for block in blocks:
            with self._meters.put_seconds.labels(block.table).time():
                found = self._put(TABLES[block.table], block.rows, _token(block, batch))
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

    def _put(self, table: WarehouseTable, rows: Sequence[StoredRow], token: str) -> dict[int, Refused]:
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
        return self._put(table, rows[:half], f"{token}:0") | self._put(table, rows[half:], f"{token}:1")

    def _insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], token: str) -> None:
        block = dict(zip(columns, zip(*rows, strict=True), strict=True))
        self._clickhouse.insert_columns(table, block, {**INSERT, "insert_deduplication_token": token})


def _token(block: Block, batch: Batch) -> str:
    """A new token for every attempt. A token alone does not deduplicate safely across a crash of a server without
    replicas, which may remember the token of a block that it lost. The table's engine removes duplicates."""
    attempt = secrets.token_hex(8)
    where = f"{batch.partition.topic}:{batch.partition.number}:{batch.first}:{batch.last}"
    return f"{block.table}:{where}:{block.month}:{attempt}"
