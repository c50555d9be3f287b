import re

from services.warehouse.domain.migration import Changed, Migration, Pending, Recorded, Topology, decide, statements
from services.warehouse.flow.migrator import migrations

_COMMENT_OF_A_TABLE = re.compile(r"ALTER TABLE [\w.]+ \{on_cluster\} MODIFY COMMENT '(?:[^']|'')*'")
_COMMENTS = re.compile(r"COMMENT COLUMN|MODIFY COMMENT")
FIRST = Migration("001_first", "CREATE TABLE a;\n")
SECOND = Migration("002_second", "CREATE TABLE b;\n")


def test_unrecorded_migrations_are_pending_in_order() -> None:
    assert decide([FIRST, SECOND], {}) == Pending((FIRST, SECOND))


def test_a_completed_migration_is_not_applied_again() -> None:
    assert decide([FIRST, SECOND], {FIRST.name: Recorded(FIRST.checksum, "completed")}) == Pending((SECOND,))


def test_a_file_that_was_changed_after_it_was_applied_is_refused() -> None:
    assert decide([FIRST], {FIRST.name: Recorded("another", "completed")}) == Changed("001_first")


def test_an_interrupted_migration_is_applied_again_even_if_it_was_repaired() -> None:
    assert decide([FIRST], {FIRST.name: Recorded("another", "in_progress")}) == Pending((FIRST,))


def test_a_newer_schema_than_this_code_knows_needs_nothing() -> None:
    ledger = {FIRST.name: Recorded(FIRST.checksum, "completed"), "003_later": Recorded("x", "completed")}

    assert decide([FIRST], ledger) == Pending(())


def test_one_server_has_no_cluster_and_plain_engines() -> None:
    assert Topology().fill("CREATE TABLE t {on_cluster} ENGINE = {engine}MergeTree") == (
        "CREATE TABLE t  ENGINE = MergeTree"
    )


def test_a_cluster_has_replicated_engines_that_name_their_paths() -> None:
    first = "CREATE TABLE IF NOT EXISTS mentoring.t {on_cluster} ENGINE = {engine}ReplacingMergeTree(version)"
    second = "CREATE TABLE IF NOT EXISTS mentoring.u {on_cluster} ENGINE = {engine}MergeTree"

    assert Topology("main").fill(f"{first};\n{second}") == (
        "CREATE TABLE IF NOT EXISTS mentoring.t ON CLUSTER 'main' ENGINE = "
        "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/mentoring/t/1', '{replica}', version);\n"
        "CREATE TABLE IF NOT EXISTS mentoring.u ON CLUSTER 'main' ENGINE = "
        "ReplicatedMergeTree('/clickhouse/tables/{shard}/mentoring/u/1', '{replica}')"
    )


def test_statements_end_with_a_semicolon_at_the_end_of_a_line() -> None:
    assert statements("-- why\nSELECT ';', 1;\n\nSELECT 2;") == ("-- why\nSELECT ';', 1", "SELECT 2")


def test_the_files_are_numbered_without_gaps_and_every_statement_can_be_repeated() -> None:
    found = migrations()

    assert [int(m.name.split("_")[0]) for m in found] == list(range(len(found)))
    for migration in found:
        for statement in statements(migration.sql):
            code = " ".join(line for line in statement.splitlines() if not line.startswith("--"))
            repeatable = (
                "IF NOT EXISTS" in code,
                "IF EXISTS" in code,
                code.strip().startswith("CREATE OR REPLACE"),
                # ALTER has no IF EXISTS for its table; the same comment may be set again.
                _COMMENT_OF_A_TABLE.fullmatch(code.strip()) is not None,
            )
            assert any(repeatable), migration.name
            assert "{on_cluster}" in code


def test_a_replicated_table_gets_the_comments_of_its_columns_apart_from_its_own() -> None:
    """ON CLUSTER runs an ALTER with both kinds of comments on one replica only, and the others keep the old ones."""
    for migration in migrations():
        for statement in statements(migration.sql):
            code = " ".join(line for line in statement.splitlines() if not line.startswith("--"))
            if code.startswith("ALTER TABLE mentoring."):
                assert len(set(_COMMENTS.findall(code))) <= 1, statement


def test_every_table_says_why_it_is_ordered_partitioned_and_made_as_it_is() -> None:
    for migration in migrations():
        if "ENGINE =" in migration.sql:
            comment = " ".join(line for line in migration.sql.splitlines() if line.startswith("--")).lower()
            assert "order by" in comment, migration.name
            assert "partition" in comment, migration.name
            assert "engine" in comment, migration.name
