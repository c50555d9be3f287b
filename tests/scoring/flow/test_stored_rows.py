"""A row comes back from the real engine as it was computed, and a difference in any column is detected."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from deploy.local.clickhouse import LocalClickHouse
from services.runtime.clickhouse import ClickHouse
from services.runtime.settings import Settings
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.partition import Emission
from services.scoring.domain.profiles import DEFAULT
from services.scoring.domain.serialization import MODEL
from services.scoring.domain.verification import ComparableRow, RowsDigest, Verdict, comparable
from services.scoring.flow.replay.shadow import INSERT, TABLE
from services.scoring.flow.replay.work import columns
from services.scoring.flow.sink import stored_digests, stored_rows
from services.scoring.flow.verify import mismatches, stored_labels
from tests.scoring.building import booked, facts, feedback, held, micros, requested, started
from tests.scoring.readers import digest, verdict

NAME, AT, POSITION = "stored/r", micros(2), 7
FIRST = 2 * POSITION
"""The version of its row; greater ones take its place."""
TOLD = facts(started(0), held(1), feedback(1.1, "mentor", 4), requested(1.2), booked(1.3, "s", 9))
ROW = ScoreHistory(TOLD, DEFAULT).rows(-1, AT)[AT]
CHANGES = {
    **{name: f"arrayPushBack({name}, 'x')" for name in ("causes", "caps", "open_requests", "sources")},
    **{name: f"{name} + 1" for name in ("health", "risk", "before_health", "before_risk")},
    **{name: f"{name} + 1" for name in ("confidence", "trend", "cadence_days")},
    **{name: f"addMicroseconds({name}, 1)" for name in ("before_as_of", "started", "last_contact", "next_session")},
    **{name: f"mapApply((k, v) -> (k, v + (k = 'silence')), {name})" for name in ("factors", "factor_values")},
    **{name: f"mapApply((k, v) -> (k, v + (k = 'silence')), {name})" for name in ("weights", "deltas", "risk_terms")},
    **dict.fromkeys(("band", "before_band"), "'critical'"),
    "status": "'paused'",
    **{name: f"concat({name}, 'x')" for name in ("profile", "calibration")},
}
ONE_MORE = "CAST(map('x', 0), 'Map(LowCardinality(String), Int32)')"
OF_PARTS = ("factors", "factor_values", "weights", "deltas")


@pytest.fixture
def clickhouse(migrated_clickhouse: LocalClickHouse) -> Iterator[ClickHouse]:
    """Has one row of the relationship."""
    with closing(ClickHouse(Settings(clickhouse=migrated_clickhouse.url))) as found:
        found.command(f"TRUNCATE TABLE {TABLE}")
        emission = Emission(NAME, "p", AT, POSITION, ROW, changed=True, trigger=None)
        found.insert_columns(TABLE, columns([(0, emission)]), INSERT)
        yield found
        found.command(f"TRUNCATE TABLE {TABLE}")


def _store(clickhouse: ClickHouse, version: int, changed: str) -> None:
    """`changed`: of the row as it was inserted first."""
    first = f"(SELECT * FROM {TABLE} WHERE version = {FIRST})"
    clickhouse.command(f"INSERT INTO {TABLE} SELECT * REPLACE ({changed}, {version} AS version) FROM {first}")


def _stored_with(clickhouse: ClickHouse, version: int, changed: str) -> Verdict:
    _store(clickhouse, version, changed)
    assert stored_digests(clickhouse, [NAME], AT) == {NAME: RowsDigest(1, digest(NAME, _stored(clickhouse)))}
    return verdict(NAME, {AT: comparable(ROW)}, _stored(clickhouse))


def _stored(clickhouse: ClickHouse) -> dict[int, ComparableRow]:
    return stored_rows(clickhouse, [NAME], AT)[NAME]


def test_a_stored_row_is_the_one_that_was_computed(clickhouse: ClickHouse) -> None:
    assert _stored(clickhouse) == {AT: comparable(ROW)}
    assert stored_digests(clickhouse, [NAME, "stored/none"], AT) == {
        NAME: RowsDigest(1, digest(NAME, {AT: comparable(ROW)}))
    }


def test_each_column_that_says_something_else_is_noticed(clickhouse: ClickHouse) -> None:
    unnoticed = [
        name
        for version, (name, other) in enumerate(CHANGES.items(), FIRST + 1)
        if _stored_with(clickhouse, version, f"{other} AS {name}").equal
    ]

    assert unnoticed == []


def test_a_part_that_one_column_has_too_many_or_too_few_is_noticed(clickhouse: ClickHouse) -> None:
    others = [
        f"{other} AS {name}"
        for name in OF_PARTS
        for other in (f"mapUpdate({name}, {ONE_MORE})", f"mapFilter((k, v) -> k != 'silence', {name})")
    ]

    unnoticed = [
        other for version, other in enumerate(others, FIRST + 1) if _stored_with(clickhouse, version, other).equal
    ]

    assert unnoticed == []


def test_what_all_rows_say_alike_is_noticed_where_it_is_not_the_truth(clickhouse: ClickHouse) -> None:
    output = {"": list(mismatches(stored_labels(clickhouse, AT)[NAME], "p"))}
    others = {"model": "'silence-0'", "calibrated": "NOT calibrated", "program_id": "'another'"}
    for version, (name, other) in enumerate(others.items(), FIRST + 1):
        _store(clickhouse, version, f"{other} AS {name}")
        output[name] = list(mismatches(stored_labels(clickhouse, AT)[NAME], "p"))

    assert output == {
        "": [],
        "model": [f"model is silence-0 in the table, {MODEL} in truth"],
        "calibrated": ["calibrated contradicts the calibration in 1 rows"],
        # Of two programmes there are two rows: the one before it is there still.
        "program_id": [
            "program_id is another, p in the table, p in truth",
            "calibrated contradicts the calibration in 1 rows",
        ],
    }
    assert list(mismatches(None, "p")) == [], "there are no rows"
