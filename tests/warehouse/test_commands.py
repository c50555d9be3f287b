"""`rapport warehouse ...` as a person types it."""

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

DATABASES = ("mentoring", "mentoring_mart", "mentoring_at")


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


def test_migrate_creates_every_table_with_comments_and_a_repeat_finds_them(
    local_clickhouse: LocalClickHouse, elsewhere: ClickHouse
) -> None:
    first = rapport_warehouse(local_clickhouse, "migrate")
    second = rapport_warehouse(local_clickhouse, "migrate")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "recompute" not in first.output + second.output
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


def test_an_interrupted_migration_is_completed_by_the_next_run(
    local_clickhouse: LocalClickHouse, elsewhere: ClickHouse
) -> None:
    first = rapport_warehouse(local_clickhouse, "migrate")
    assert first.exit_code == 0, first.output
    row = ["001_events", "half", "in_progress"]
    elsewhere.insert("mentoring.migrations", ["name", "checksum", "state"], [row], {})

    again = rapport_warehouse(local_clickhouse, "migrate")

    assert again.exit_code == 0
    assert again.stdout.splitlines()[-1] == "applied  001_events"


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

    for statement in found:
        assert elsewhere.query(f"EXPLAIN AST {statement}"), statement
    if cluster:
        assert all("ON CLUSTER 'main'" in statement for statement in found)
        assert all("/clickhouse/tables/{shard}/mentoring/" in s for s in found if "ENGINE" in s)
        assert all("ReplicatedReplacingMergeTree" in s for s in found if "ENGINE" in s)


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
    printed = rapport_warehouse(local_clickhouse, "queries", "bands_now", "--sql")
    unknown = rapport_warehouse(local_clickhouse, "queries", "nothing")

    assert "bands_now         How healthy is each programme now" in listed.output
    assert printed.stdout.startswith("SELECT\n")
    assert "How healthy is each programme now" in printed.stderr
    assert (unknown.exit_code, "there is no query 'nothing'" in unknown.output) == (1, True)


def test_docs_describe_every_table_and_column(warehouse_server: LocalClickHouse) -> None:
    markdown = rapport_warehouse(warehouse_server, "docs")
    html = rapport_warehouse(warehouse_server, "docs", "--format", "html")

    with closing(ClickHouse(Settings(clickhouse=warehouse_server.url))) as clickhouse:
        columns = clickhouse.query(
            "SELECT concat(database, '.', table), name, comment FROM system.columns "
            "WHERE database IN ('mentoring', 'mentoring_mart')"
        )
    assert (markdown.exit_code, html.exit_code) == (0, 0)
    for table, name, comment in columns:
        assert f"### {table}\n" in markdown.output
        assert f"| `{name}` |" in markdown.output
        assert comment.replace("|", "\\|") in markdown.output
        assert f"<code>{name}</code>" in html.output
    assert "Key: `tenant_id`, `program_id`, `week`" in markdown.output
    assert markdown.output.index("## mentoring_mart") < markdown.output.index("### mentoring.events")
