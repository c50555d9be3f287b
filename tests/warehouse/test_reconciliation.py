from collections.abc import Sequence
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from schemas.primitives import to_micros
from services.warehouse.domain.reconciliation import ExpectedRows, differing, differing_days, first_difference
from services.warehouse.domain.record import StoredRow
from services.warehouse.domain.tables import WarehouseTable
from tests.warehouse.samples import NOON

KEY = ("tenant_id", "relationship_id", "at")
COLUMNS = (*KEY, "version", "is_deleted")
TABLES = {
    "first": WarehouseTable("t", KEY, COLUMNS, "at", "first"),
    "last": WarehouseTable("t", KEY, COLUMNS, "at", "last"),
    "version": WarehouseTable("t", KEY, COLUMNS, "at", "version"),
}


def told(offset: int, pair: str, day: int, version: int = 0, *, deleted: bool = False) -> StoredRow:
    return StoredRow("t", offset, 0, ("acme", pair, to_micros(NOON + timedelta(days=day)), version, int(deleted)))


def expected(valid: str, rows: Sequence[StoredRow], *erased: tuple[object, object]) -> ExpectedRows:
    found = ExpectedRows(TABLES[valid], set(erased))
    for row in rows:
        found.add(row)
    return found


def test_of_duplicates_the_row_that_the_table_keeps_is_expected() -> None:
    rows = [told(3, "a", 0, 5), told(4, "a", 0, 7), told(5, "a", 0, 6)]

    assert [expected(valid, rows).offsets() for valid in TABLES] == [[3], [5], [4]]


def test_at_equal_versions_the_last_row_is_expected() -> None:
    assert expected("version", [told(3, "a", 0, 5), told(4, "a", 0, 5)]).offsets() == [4]


def test_deleted_and_erased_rows_are_not_expected() -> None:
    rows = [told(1, "a", 0, 1), told(2, "a", 0, 2, deleted=True), told(3, "b", 0), told(4, "c", 1)]

    found = expected("version", rows, ("acme", "b"))

    assert (found.offsets(), found.days()) == ([4], {(NOON + timedelta(days=1)).date(): 1})


def test_a_table_that_keeps_every_version_shows_deletions() -> None:
    assert expected("last", [told(2, "a", 0, 2, deleted=True)]).offsets() == [2]


def test_offsets_are_counted_by_ten_thousand() -> None:
    rows = [told(offset, "a", offset) for offset in (0, 9_999, 10_000, 25_000)]

    assert expected("last", rows).ranges() == {0: 2, 1: 1, 2: 1}


@given(st.dictionaries(st.integers(0, 5), st.integers(1, 5)), st.dictionaries(st.integers(0, 5), st.integers(1, 5)))
def test_every_difference_is_named_once_in_order(one: dict[int, int], other: dict[int, int]) -> None:
    found = list(differing(one, other))

    assert found == sorted(found)
    assert {number for number, _, _ in found} == {n for n in one | other if one.get(n) != other.get(n)}
    days = [{date(2024, 1, 1 + n): count for n, count in counts.items()} for counts in (one, other)]
    assert [(day.day - 1, *counts) for day, *counts in differing_days(*days)] == found


def test_the_first_difference_is_the_lowest_offset() -> None:
    assert first_difference([1, 2, 5], [2, 7]) == "offset 1 is not in the table"
    assert first_difference([2, 5], [0, 2]) == "offset 0 is in the table and should not be"
    assert first_difference([2], [2, 2]) == "offsets are there twice"
