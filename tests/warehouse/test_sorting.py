from datetime import date

from services.warehouse.domain.record import NotStored, Refused, StoredRow
from services.warehouse.domain.sorting import Block, sort_outcomes
from services.warehouse.domain.touched import months, portions

LATE = StoredRow("a", 0, 202404, ())
EARLY = StoredRow("a", 1, 202403, ())
ALSO_LATE = StoredRow("a", 3, 202404, ())
OTHER = StoredRow("b", 3, 202404, ())


def test_rows_are_sorted_by_table_and_month_and_keep_their_order_within_them() -> None:
    found = sort_outcomes([(0, (LATE,)), (1, (EARLY,)), (3, (ALSO_LATE, OTHER))])

    assert found.blocks == (
        Block("a", 202403, [EARLY]),
        Block("a", 202404, [LATE, ALSO_LATE]),
        Block("b", 202404, [OTHER]),
    )
    assert found.rows == 4


def test_refusals_keep_their_offset_and_the_rest_is_counted() -> None:
    found = sort_outcomes([(0, Refused("json_invalid")), (1, NotStored("clock")), (2, NotStored("clock"))])

    assert (found.refused, found.ignored, found.rows) == ({0: Refused("json_invalid")}, 2, 0)


def test_days_name_the_partitions_that_they_lie_in() -> None:
    days = [("acme", "spruce", date(2024, 3, 31)), ("acme", "oak", date(2024, 3, 1)), ("b", "c", date(2023, 12, 31))]

    assert months(days) == (202312, 202403)


def test_portions_lose_nothing() -> None:
    assert list(portions([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]]
    assert list(portions([], 2)) == []
