"""Who may what, by the grants that `roles apply` gives, on the real engine; and the file that names the logins."""

import json
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr

from deploy.local.clickhouse import LocalClickHouse
from services.runtime.clickhouse import ClickHouse
from services.runtime.settings import Settings
from services.warehouse.__main__ import main
from services.warehouse.domain.marts import MARTS, OF_PROGRAMS
from services.warehouse.domain.migration import ONE_SERVER, Topology
from services.warehouse.domain.migration import statements as of_file
from services.warehouse.flow.migrator import migrations
from services.warehouse.roles import LIMITS, MartColumn, Role, ServerLogin, grants, program_views, statements

ROOT = Path(__file__).parents[2]
PASSWORD = SecretStr("my secret")
RAW = ("events", "score_history", "score_revisions", "relationships", "relationship_daily", "erased", "migrations")
DENIED = "Not enough privileges"
COLUMNS = [
    MartColumn(mart, name, "String", "A column's words") for mart in MARTS for name in ("tenant_id", "program_id")
]
# Every way to a row that is not granted, of the tables below the marts or of another programme.
ROUTES = (
    "SELECT * FROM {there}",
    "SELECT * FROM merge('{database}', '.*')",
    "SELECT * FROM merge(REGEXP('.*'), '{table}')",
    "SELECT * FROM remote('127.0.0.1', {there})",
    "SELECT * FROM cluster('default', {there})",
    "SELECT * FROM view(SELECT * FROM {there})",
    "SELECT * FROM loop({there})",
    "SELECT * FROM mergeTreeIndex('{database}', '{table}')",
    "SELECT 1 IN (SELECT tenant_id FROM {there})",
    "WITH x AS (SELECT * FROM {there}) SELECT * FROM x",
    "SELECT (SELECT count() FROM {there})",
    "SELECT * FROM viewIfPermitted(SELECT * FROM {there} ELSE null('tenant_id String'))",
    "SELECT * FROM numbers(1) WHERE number IN (SELECT 0 FROM {there})",
    "SELECT * FROM {there} SETTINGS readonly = 0",
    "SELECT * FROM {there} SETTINGS allow_ddl = 1, max_threads = 1",
    "EXPLAIN SELECT * FROM {there}",
    "EXPLAIN ESTIMATE SELECT * FROM {there}",
    "EXPLAIN QUERY TREE SELECT * FROM {there}",
    "SHOW COLUMNS FROM {table} FROM {database}",
    "SELECT joinGet('{there}', 'tenant_id', 'x')",
    "SELECT 'x' IN {there}",
    "DESCRIBE TABLE {there}",
    "SHOW CREATE TABLE {there}",
    "INSERT INTO {there} (tenant_id) VALUES ('x')",
    "ALTER TABLE {there} DELETE WHERE 1",
    "TRUNCATE TABLE {there}",
    "DROP TABLE {there}",
    "CREATE VIEW {mine}.peeping AS SELECT * FROM {there}",
    (
        "CREATE DICTIONARY {mine}.d (tenant_id String) PRIMARY KEY tenant_id "
        "SOURCE(CLICKHOUSE(DB '{database}' TABLE '{table}')) LAYOUT(DIRECT())"
    ),
    "CREATE TABLE {mine}.copy ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM {there}",
)
# Not among them: the function file(), which no grant binds. A server lets it read below its `user_files` only, and the
# local server refuses it; system.processes, in which everybody sees statements of their own; and INTO OUTFILE, which is
# done by whoever asks, here by the embedded engine: the local server refuses it.
OUTSIDE = (
    "SELECT * FROM file('/etc/hostname', 'LineAsString')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM s3('http://127.0.0.1:1/bucket/key', 'TSV')",
    "SELECT * FROM remote('127.0.0.1', 'system', 'one')",
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "SELECT dictGet('x', 'y', 1)",
    "SELECT * FROM dictionary('x')",
    "SELECT * FROM filesystem('/etc')",
    "SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM input('a String')",
    "SELECT * FROM fileCluster('default', '/etc/hostname', 'LineAsString')",
    "SELECT * FROM urlCluster('default', 'http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM system.query_log",
    "SELECT * FROM system.users",
    "SET ROLE maker",
    "SET readonly = 0",
    "SYSTEM FLUSH LOGS",
)


def login(role: Role = "reader", **more: str) -> ServerLogin:
    return ServerLogin(name="one", role=role, password_env="PASSWORD", **more)


OF_A, OF_B = (login("program", tenant="acme", program=program) for program in ("spruce", "oak"))


def prepared() -> list[str]:
    """The tables and marts as they are migrated, two programmes with a row each, and the views of both."""
    found = [statement for one in migrations() for statement in of_file(ONE_SERVER.fill(one.sql))]
    found += [
        "INSERT INTO mentoring.relationships (tenant_id, program_id, relationship_id, mentors, version) "
        f"VALUES ('acme', '{program}', 'pair of {program}', ['secret of {program}'], 1)"
        for program in ("spruce", "oak")
    ]
    columns = [
        MartColumn("relationships", name, "String", name) for name in ("tenant_id", "program_id", "relationship_id")
    ]
    for one in (OF_A, OF_B):
        database, *views = program_views(one, ONE_SERVER, columns)
        found += [
            database,
            *(
                view.replace("SELECT *", "SELECT tenant_id, program_id, relationship_id")
                for view in views
                if ".relationships " in view
            ),
        ]
    return found


def tried(folder: Path, one: ServerLogin, ask: list[str]) -> list[Any]:
    given = {"grants": grants(one), "prepare": prepared(), "ask": ask, "readonly": one.role != "sink"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/warehouse/engine_roles.py"), str(folder)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return list(json.loads(done.stdout))


def test_a_reader_reads_every_mart_and_nothing_below(tmp_path: Path) -> None:
    marts = [f"SELECT * FROM mentoring_mart.{mart}" for mart in MARTS]
    called = "SELECT * FROM mentoring_at.scores_known(known_at = '2024-01-01 00:00:00')"
    routes = [
        route.format(there=f"mentoring.{table}", database="mentoring", table=table, mine="mentoring_mart")
        for table in RAW
        for route in ROUTES
    ]

    answers = tried(tmp_path, login(), [*marts, called, *routes, *OUTSIDE])

    allowed, refused = answers[: len(marts) + 1], answers[len(marts) + 1 :]
    assert [error for _, error in allowed if error] == []
    leaks = [(sql, found) for sql, (found, _) in zip([*routes, *OUTSIDE], refused, strict=True) if found]
    assert leaks == []


def test_a_programmes_reader_gets_no_row_of_another_by_any_route(tmp_path: Path) -> None:
    own = f"SELECT relationship_id FROM {OF_A.database}.relationships"
    places = [
        (f"{OF_B.database}", "relationships"),
        ("mentoring_mart", "relationships"),
        ("mentoring_mart", "relationship_people"),
        ("mentoring", "relationships"),
    ]
    routes = [
        route.format(there=f"{database}.{table}", database=database, table=table, mine=OF_A.database)
        for database, table in places
        for route in ROUTES
    ]

    answers = tried(tmp_path, OF_A, [own, *routes, *OUTSIDE])

    assert answers[0] == ["pair of spruce\n", None]
    found = "".join(answer or "" for answer, _ in answers)
    assert "oak" not in found
    assert "secret" not in found


def test_an_analyst_reads_tables_too_and_changes_nothing(tmp_path: Path) -> None:
    changes = ["INSERT INTO mentoring.erased (tenant_id) VALUES ('x')", "TRUNCATE TABLE mentoring.events"]

    read = [f"SELECT * FROM mentoring.{table}" for table in RAW]

    *found, inserted, truncated = tried(tmp_path, login("analyst"), read + changes)

    assert [error for _, error in found if error] == []
    assert inserted[1]
    assert truncated[1]


def test_the_sink_stores_and_erases_and_makes_no_tables(tmp_path: Path) -> None:
    stored, erased, dropped, created = tried(
        tmp_path,
        login("sink"),
        [
            "INSERT INTO mentoring.erased (tenant_id, relationship_id) VALUES ('x', 'y')",
            "ALTER TABLE mentoring.relationships DELETE WHERE tenant_id = 'acme'",
            "DROP TABLE mentoring.events",
            "CREATE TABLE mentoring.mine (a UInt8) ENGINE = MergeTree ORDER BY a",
        ],
    )

    assert (stored[1], erased[1]) == (None, None)
    assert DENIED in dropped[1]
    assert DENIED in created[1]


def test_databases_of_programmes_differ_where_their_names_look_alike() -> None:
    names = {
        login("program", tenant=tenant, program=program).database
        for tenant, program in (("a", "b.c"), ("a", "b_c"), ("a_b", "c"), ("a", "b:c"), ("A", "b_c"))
    }

    assert len(names) == 5
    assert all(re.fullmatch(r"mentoring_of_[a-z0-9_]+", name or "") for name in names)


@pytest.mark.parametrize("cluster", ["", "main"])
def test_every_statement_is_understood_by_the_engine(local_clickhouse: LocalClickHouse, cluster: str) -> None:
    logins = [(login(role), PASSWORD) for role in ("sink", "migrator", "analyst", "reader")] + [(OF_A, PASSWORD)]
    found = list(statements(Topology(cluster), logins, COLUMNS))

    with closing(ClickHouse(Settings(clickhouse=local_clickhouse.url))) as clickhouse:
        for statement in found:
            assert clickhouse.query(f"EXPLAIN AST {statement}"), statement

    assert not any("my secret" in statement for statement in found)
    if cluster:
        assert all("ON CLUSTER 'main'" in statement for statement in found)
    assert sum(f"{OF_A.database}." in s and "CREATE OR REPLACE VIEW" in s for s in found) == len(OF_PROGRAMS)


def test_a_readers_limits_are_constraints_and_nothing_else_may_be_changed(local_clickhouse: LocalClickHouse) -> None:
    profile, *others = statements(ONE_SERVER, [(login(), PASSWORD)], COLUMNS)

    with closing(ClickHouse(Settings(clickhouse=local_clickhouse.url))) as clickhouse:
        (understood,) = clickhouse.query("SELECT formatQuerySingleLine({sql:String})", {"sql": profile})

    assert "readonly = 1 CONST" in understood[0]
    for name in LIMITS:
        assert re.search(rf"\b{name} = (\d+) MIN 1 MAX \1 CHANGEABLE_IN_READONLY", understood[0]), understood[0]
    assert "max_concurrent_queries_for_user = 8 CONST" in understood[0]
    assert any(one.startswith("CREATE QUOTA OR REPLACE rapport_reader") for one in others)
    assert any("SETTINGS PROFILE 'rapport_reader'" in one for one in others)


FILE = """
[[login]]
name = "reader"
role = "reader"
password_env = "READER_PASSWORD"
"""


def rapport_roles(server: LocalClickHouse, file: Path, **environ: str) -> Result:
    return CliRunner().invoke(main, ["roles", "apply", str(file)], env={"RAPPORT_CLICKHOUSE": server.url, **environ})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FILE, "set the password: READER_PASSWORD"),
        (FILE + FILE, "a name is used twice"),
        (FILE.replace('"reader"\npass', '"owner"\npass'), "login.0.role"),
        (FILE + 'tenant = "acme"\n', "belong to the role `program`"),
        (FILE + 'password = "x"\n', "login.0.password: Extra inputs"),
        (FILE.replace('name = "reader"', 'name = "a; DROP USER b"'), "login.0.name"),
        ("login = 1", "login"),
        ("[[", "Invalid initial character"),
    ],
)
def test_a_wrong_file_is_explained_in_one_line(
    warehouse_server: LocalClickHouse, tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "roles.toml"
    file.write_text(text)

    refused = rapport_roles(warehouse_server, file)

    assert refused.exit_code == 1
    assert words in refused.output


def test_a_server_that_keeps_no_users_in_sql_is_explained(warehouse_server: LocalClickHouse, tmp_path: Path) -> None:
    file = tmp_path / "roles.toml"
    file.write_text(FILE)

    refused = rapport_roles(warehouse_server, file, READER_PASSWORD="secret")

    assert refused.exit_code == 1
    assert "does not let us create users in SQL" in refused.output
    assert "the local stack has the logins `reader` and `analyst` already" in refused.output
