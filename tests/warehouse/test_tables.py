"""The registry of tables is what the engine has."""

from services.warehouse.domain.target import DERIVED, STORED, TABLES, tables_of
from services.warehouse.flow.statements import statement
from tests.warehouse.conftest import Warehouse

# Of what they hold nothing is erased: that it was erased is what they remember.
NO_TABLES_OF_THE_REGISTRY = {
    "mentoring.erased",
    "mentoring.migrations",
    "mentoring.recomputed",
    "mentoring.filled",
    "mentoring.backup_offsets",
}
WRITTEN_BY_HAND = {"mentoring.dead_letter", "mentoring.erasure_log"}


def test_every_table_of_the_engine_is_in_the_registry_under_its_key(warehouse: Warehouse) -> None:
    found = warehouse.ask(
        "SELECT concat(database, '.', name), splitByString(', ', sorting_key) FROM system.tables "
        "WHERE database = 'mentoring' AND engine LIKE '%MergeTree'"
    )
    keys = {name: tuple(key) for name, key in found if name not in NO_TABLES_OF_THE_REGISTRY | WRITTEN_BY_HAND}

    assert keys == {table.name: table.key for table in TABLES.values()}


def test_every_column_that_the_sink_writes_is_there(warehouse: Warehouse) -> None:
    found = warehouse.ask("SELECT concat(database, '.', table), name FROM system.columns WHERE database = 'mentoring'")
    there = {(table, column) for table, column in found}

    assert {(table.name, column) for table in STORED for column in table.columns} <= there


def test_whatever_has_relationships_is_erased(warehouse: Warehouse) -> None:
    found = warehouse.ask(
        "SELECT DISTINCT concat(database, '.', table) FROM system.columns "
        "WHERE database = 'mentoring' AND name = 'relationship_id' "
        "AND table NOT IN ('erased', 'standing_events', 'to_events_by_type', 'to_recorded_monthly')"
    )

    assert {name for (name,) in found} == {table.name for table in TABLES.values() if table.erasable}


def test_every_derived_table_has_its_statement_and_every_stored_one_its_columns() -> None:
    for table in DERIVED:
        assert f"INSERT INTO {table.name}" in statement(table.short)
    assert all(table.columns for table in STORED)
    assert not any(table.columns for table in DERIVED)
    assert [*tables_of("relationship"), *tables_of("day")] == list(DERIVED)
