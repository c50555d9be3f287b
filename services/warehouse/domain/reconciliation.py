"""The rows that a table should hold of one partition, folded from the log, and how the table's content differs."""

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from schemas.primitives import from_micros
from services.warehouse.domain.record import StoredRow
from services.warehouse.domain.tables import WarehouseTable

RANGE = 10_000
"""Offsets per compared range."""


@dataclass(frozen=True, slots=True)
class ValidRow:
    """The valid row of a key: its offset and its day."""

    order: tuple[int, int]
    offset: int
    day: date
    deleted: bool


@dataclass
class ExpectedRows:
    """Rows by key, after duplicates and corrections. `erased`: (tenant, relationship) pairs without any rows. `since`:
    older rows are subject to retention and ignored."""

    table: WarehouseTable
    erased: Container[tuple[object, object]]
    since: datetime | None = None
    standing: dict[tuple[object, ...], ValidRow] = field(default_factory=dict)

    def add(self, row: StoredRow) -> None:
        values = dict(zip(self.table.columns, row.values, strict=True))
        if (values["tenant_id"], values["relationship_id"]) in self.erased:
            return
        time = from_micros(int(str(values[self.table.time])))
        if self.since is not None and time < self.since:
            return
        key = tuple(values[name] for name in self.table.key)
        order = {"first": (-row.offset, 0), "last": (row.offset, 0)}.get(self.table.valid)
        found = ValidRow(
            order or (int(str(values["version"])), row.offset),
            row.offset,
            time.date(),
            # A replacing table hides deleted rows; a table of all versions shows them.
            self.table.valid == "version" and bool(values["is_deleted"]),
        )
        held = self.standing.get(key)
        if held is None or held.order < found.order:
            self.standing[key] = found

    def offsets(self) -> list[int]:
        return sorted(one.offset for one in self.standing.values() if not one.deleted)

    def ranges(self) -> Counter[int]:
        return Counter(offset // RANGE for offset in self.offsets())

    def days(self) -> Counter[date]:
        return Counter(one.day for one in self.standing.values() if not one.deleted)


def differing(expected: Mapping[int, int], found: Mapping[int, int]) -> Iterator[tuple[int, int, int]]:
    """Yield (range, rows on the log, rows in the table), lowest first."""
    for number in sorted(expected.keys() | found.keys()):
        if expected.get(number, 0) != found.get(number, 0):
            yield number, expected.get(number, 0), found.get(number, 0)


def differing_days(expected: Mapping[date, int], found: Mapping[date, int]) -> Iterator[tuple[date, int, int]]:
    """Yield (day, rows on the log, rows in the table), earliest first."""
    for day in sorted(expected.keys() | found.keys()):
        if expected.get(day, 0) != found.get(day, 0):
            yield day, expected.get(day, 0), found.get(day, 0)


def first_difference(expected: list[int], found: list[int]) -> str:
    """Compare the sorted offsets of one range."""
    missing, surplus = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing and (not surplus or missing[0] < surplus[0]):
        return f"offset {missing[0]} is not in the table"
    return f"offset {surplus[0]} is in the table and should not be" if surplus else "offsets are there twice"
