"""What is said to a cluster: every CREATE is run by the engine on replicated tables, the rest is parsed by it.

No cluster has run it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from services.scoring.flow.replay.shadow import ReplayTables, next_number
from services.warehouse.__main__ import main
from services.warehouse.domain.migration import Topology, statements
from services.warehouse.domain.target import TABLES
from services.warehouse.flow.migrator import migrations

ROOT = Path(__file__).parents[2]
ENGINES = "SELECT concat('mentoring.', name), engine_full FROM system.tables WHERE database = 'mentoring'"
PATH = "'/clickhouse/tables/{{shard}}/mentoring/{}', '{{replica}}'"
HISTORY = (
    "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/mentoring/score_history/1', '{replica}', version, "
    "is_deleted) PARTITION BY toYYYYMM(as_of) ORDER BY (tenant_id, program_id, relationship_id, as_of) "
    "SETTINGS index_granularity = 8192"
)


def run(folder: Path, asked: list[str]) -> list[Any]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/warehouse/engine_replicated.py"), str(folder)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return list(json.loads(done.stdout))


def created() -> list[str]:
    """As a cluster gets them, but for the name of the cluster, whose queue is no part of the engine."""
    found = [s for migration in migrations() for s in statements(Topology("main").fill(migration.sql))]
    lines = ("\n".join(line for line in s.splitlines() if not line.startswith("--")) for s in found)
    return [s.replace("ON CLUSTER 'main'", "") for s in lines if s.lstrip().startswith("CREATE")]


def test_the_engine_creates_every_table_and_view_as_a_cluster_has_them(tmp_path: Path) -> None:
    replay = ReplayTables("main")
    shadow = [
        statement.replace(" ON CLUSTER 'main'", "")
        for statement in (replay.create_shadow(HISTORY, 1, "'a replay'"), replay.create_done(1))
    ]

    *answers, (listed, _), parsed = run(
        tmp_path, [*created(), *shadow, ENGINES, parsing(exchanged(ReplayTables("main")))]
    )

    assert [error for _, error in answers if error] == []
    engines = dict(line.split("\t", 1) for line in listed.splitlines())
    for table in TABLES.values():
        path = PATH.format(f"{table.short}/1").replace("'", "\\'")
        assert engines[table.name].startswith(f"ReplicatedReplacingMergeTree({path}"), table.name
        assert f"ORDER BY ({', '.join(table.key)})" in engines[table.name]
    assert PATH.format("score_history/replay-1").replace("'", "\\'") in engines["mentoring.score_history_replay"]
    assert parsed[1] is None
    assert parsed[0].splitlines() == ["4"]


def exchanged(replay: ReplayTables) -> list[str]:
    """What follows when the shadow is full."""
    return [
        replay.exchange(),
        replay.rename("mentoring.score_history_before_20240401000000"),
        replay.drop("mentoring.score_history_replay"),
        replay.comment("'of scores'"),
    ]


def parsing(found: list[str]) -> str:
    """Fails at the first that the engine does not understand."""
    quoted = ", ".join("'" + one.replace("\\", "\\\\").replace("'", "\\'") + "'" for one in found)
    return f"SELECT countIf(formatQuery(arrayJoin([{quoted}])) != '')"


def test_a_replay_on_a_cluster_says_this() -> None:
    replay = ReplayTables("main")
    history, shadow = "mentoring.score_history", "mentoring.score_history_replay"

    assert replay.create_shadow(HISTORY, 3, "'x'") == (
        f"CREATE TABLE {shadow} ON CLUSTER 'main' AS {history} ENGINE = ReplicatedReplacingMergeTree("
        f"{PATH.format('score_history/replay-3')}, version, is_deleted) PARTITION BY toYYYYMM(as_of) "
        "ORDER BY (tenant_id, program_id, relationship_id, as_of) SETTINGS index_granularity = 8192 COMMENT 'x'"
    )
    assert f"ENGINE = ReplicatedReplacingMergeTree({PATH.format('replayed/replay-3')})" in replay.create_done(3)
    assert exchanged(replay) == [
        f"EXCHANGE TABLES {history} AND {shadow} ON CLUSTER 'main'",
        f"RENAME TABLE {shadow} TO {history}_before_20240401000000 ON CLUSTER 'main'",
        f"DROP TABLE IF EXISTS {shadow} ON CLUSTER 'main' SYNC",
        f"ALTER TABLE {history} ON CLUSTER 'main' MODIFY COMMENT 'of scores'",
    ]


def test_a_replay_on_one_server_names_no_cluster_and_no_path() -> None:
    alone = ReplayTables()

    said = (alone.create_shadow(HISTORY, 1, "'x'"), alone.create_done(1), alone.exchange(), alone.drop("mentoring.t"))

    assert not any("CLUSTER" in statement or "eplicated" in statement for statement in said[:1])
    assert "ENGINE = ReplacingMergeTree\n" in said[1]
    assert said[2] == "EXCHANGE TABLES mentoring.score_history AND mentoring.score_history_replay"
    assert said[3] == "DROP TABLE IF EXISTS mentoring.t"


def test_the_path_of_a_replay_is_one_that_no_table_has() -> None:
    second = ReplayTables("main").create_shadow(HISTORY, 2, "''")

    assert next_number([]) == next_number([HISTORY]) == 1
    assert next_number([HISTORY, second]) == 3


@pytest.mark.parametrize("cluster", ["", "main"])
def test_migrate_print_prints_all_statements_and_runs_none(cluster: str) -> None:
    done = CliRunner().invoke(
        main, ["migrate", "--print", "--cluster", cluster], env={"RAPPORT_CLICKHOUSE": "http://127.0.0.1:1"}
    )

    assert done.exit_code == 0, done.output
    found = statements(done.output)
    filled = [s for migration in migrations() for s in statements(Topology(cluster).fill(migration.sql))]
    ledger = [s for s in found if s.startswith("INSERT INTO mentoring.migrations")]
    assert [s for s in found if s not in ledger] == filled
    assert len(ledger) == len(migrations()) - 1


def test_a_cluster_has_a_name() -> None:
    refused = CliRunner().invoke(main, ["migrate", "--print", "--cluster", "main'; DROP"])

    assert refused.exit_code == 1
    assert refused.output.startswith("Error: --cluster: ")
