"""`rapport warehouse ...` as a person types it."""

import re
from collections.abc import Iterator
from contextlib import closing

import pytest
from click.testing import CliRunner, Result

from deploy.local.clickhouse import LocalClickHouse
from services.runtime.clickhouse import ClickHouse
from services.runtime.settings import Settings
from services.warehouse.__main__ import main
from services.warehouse.domain.migration import Topology, statements
from services.warehouse.flow.migrator import migrations
from services.warehouse.roles import LIMITS, reader_statements

DATABASES = ("mentoring", "mentoring_mart")


@pytest.fixture
def elsewhere(local_clickhouse: LocalClickHouse) -> Iterator[ClickHouse]:
    """A server without our databases."""
    with closing(ClickHouse(Settings(clickhouse=local_clickhouse.url))) as clickhouse:
        for database in DATABASES:
            clickhouse.command(f"DROP DATABASE IF EXISTS {database}")
        yield clickhouse
        for database in DATABASES:
            clickhouse.command(f"DROP DATABASE IF EXISTS {database}")


def rapport_warehouse(server: LocalClickHouse, *arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(main, arguments, env={"RAPPORT_CLICKHOUSE": server.url, **environ})


def test_migrate_makes_every_table_with_comments_and_a_repeat_finds_them_there(
    local_clickhouse: LocalClickHouse, elsewhere: ClickHouse
) -> None:
    first = rapport_warehouse(local_clickhouse, "migrate")
    second = rapport_warehouse(local_clickhouse, "migrate")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.output.count("applied") == second.output.count("is there") == len(migrations()) - 1
    assert (
        elsewhere.query(
            "SELECT table, name FROM system.columns WHERE database IN ('mentoring', 'mentoring_mart') AND comment = ''"
        )
        == []
    )
    assert (
        elsewhere.query(
            "SELECT name FROM system.tables WHERE database IN ('mentoring', 'mentoring_mart') AND comment = ''"
        )
        == []
    )


def test_a_migration_that_broke_off_is_finished_by_the_next(
    local_clickhouse: LocalClickHouse, elsewhere: ClickHouse
) -> None:
    rapport_warehouse(local_clickhouse, "migrate")
    row = ["001_events", "half", "in_progress"]
    elsewhere.insert("mentoring.migrations", ["name", "checksum", "state"], [row], {})

    again = rapport_warehouse(local_clickhouse, "migrate")

    assert again.exit_code == 0
    assert again.output.splitlines()[-1] == "applied  001_events"


def test_a_migration_that_was_changed_afterwards_is_refused(
    local_clickhouse: LocalClickHouse, elsewhere: ClickHouse
) -> None:
    rapport_warehouse(local_clickhouse, "migrate")
    row = ["002_score_history", "another", "completed"]
    elsewhere.insert("mentoring.migrations", ["name", "checksum", "state"], [row], {})

    refused = rapport_warehouse(local_clickhouse, "migrate")

    assert refused.exit_code == 1
    assert "002_score_history.sql is not the file that was applied" in refused.output


def test_migrate_without_a_server_says_so_in_one_line(local_clickhouse: LocalClickHouse) -> None:
    refused = rapport_warehouse(local_clickhouse, "migrate", RAPPORT_CLICKHOUSE="http://127.0.0.1:1")

    assert refused.exit_code == 1
    assert refused.output.startswith("Error: ClickHouse: ")


@pytest.mark.parametrize("cluster", ["", "main"])
def test_every_statement_is_understood_by_the_engine_also_as_it_is_for_a_cluster(
    elsewhere: ClickHouse, cluster: str
) -> None:
    topology = Topology(cluster)
    found = [s for migration in migrations() for s in statements(topology.fill(migration.sql))]
    found += reader_statements(topology, "secret")

    for statement in found:
        assert elsewhere.query(f"EXPLAIN AST {statement}"), statement
    if cluster:
        assert all("ON CLUSTER 'main'" in statement for statement in found)
        assert all("ReplicatedReplacingMergeTree" in s for s in found if "ENGINE" in s)


def test_a_readers_limits_are_constraints_and_nothing_else_may_be_changed(local_clickhouse: LocalClickHouse) -> None:
    profile, *others = reader_statements(Topology(), "secret")

    with closing(ClickHouse(Settings(clickhouse=local_clickhouse.url))) as clickhouse:
        (understood,) = clickhouse.query("SELECT formatQuerySingleLine({sql:String})", {"sql": profile})

    assert "readonly = 1 CONST" in understood[0]
    for name in LIMITS:
        assert re.search(rf"\b{name} = (\d+) MIN 1 MAX \1 CHANGEABLE_IN_READONLY", understood[0]), understood[0]
    assert "max_concurrent_queries_for_user = 8 CONST" in understood[0]
    assert any(one.startswith("CREATE QUOTA OR REPLACE rapport_reader") for one in others)
    assert not any("secret" in one for one in others)


def test_the_readers_password_is_never_sent() -> None:
    assert not any("my secret" in statement for statement in reader_statements(Topology(), "my secret"))


def test_a_server_that_keeps_no_users_in_sql_is_explained(local_clickhouse: LocalClickHouse) -> None:
    refused = rapport_warehouse(local_clickhouse, "roles", "--reader-password", "secret")

    assert refused.exit_code == 1
    assert "does not let us create users in SQL" in refused.output
    assert "the local stack has the login `reader` already" in refused.output


def test_serve_check_prints_the_settings_and_hides_secrets(local_clickhouse: LocalClickHouse) -> None:
    checked = rapport_warehouse(local_clickhouse, "serve", "--check", RAPPORT_CLICKHOUSE_PASSWORD="secret")

    assert checked.exit_code == 0
    assert "RAPPORT_WAREHOUSE_FLUSH_SECONDS=1.0  (default)" in checked.output
    assert "secret" not in checked.output


def test_serve_check_names_the_variable_that_is_wrong(local_clickhouse: LocalClickHouse) -> None:
    checked = rapport_warehouse(local_clickhouse, "serve", "--check", RAPPORT_WAREHOUSE_FLUSH_SECONDS="soon")

    assert checked.exit_code == 2
    assert "RAPPORT_WAREHOUSE_FLUSH_SECONDS: Input should be a valid number" in checked.output


def test_queries_are_listed_with_their_questions_and_printed_by_name(local_clickhouse: LocalClickHouse) -> None:
    listed = rapport_warehouse(local_clickhouse, "queries")
    printed = rapport_warehouse(local_clickhouse, "queries", "bands_now")
    unknown = rapport_warehouse(local_clickhouse, "queries", "nothing")

    assert "bands_now      How healthy is each programme now" in listed.output
    assert printed.output.splitlines()[0].startswith("-- How healthy is each programme now")
    assert (unknown.exit_code, "there is no query 'nothing'" in unknown.output) == (1, True)
