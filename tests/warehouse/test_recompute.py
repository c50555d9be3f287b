"""All derived tables computed anew, after the tables below them were replaced behind the service's back."""

import random

from click.testing import CliRunner

from services.warehouse.__main__ import main
from tests.receiver import eventually
from tests.warehouse.conftest import Warehouse
from tests.warehouse.test_derived import DAYS, History, days_of, recount, states_of, tell_corrections, tell_history


def test_recompute_derives_the_tables_from_the_stored_rows(warehouse: Warehouse) -> None:
    chance, history = random.Random(8), History()
    with warehouse.running():
        tell_history(warehouse, history, chance)
        tell_corrections(warehouse, history, chance)
        eventually(lambda: days_of(warehouse) == recount(history, [], []))
    gone = [place for place in history.valid if place[0] in {"pair-2", "pair-3"}]
    warehouse.clickhouse.command(
        f"ALTER TABLE mentoring.score_history DELETE WHERE tenant_id = '{warehouse.tenant}' "
        "AND relationship_id IN ('pair-2', 'pair-3') SETTINGS mutations_sync = 2"
    )
    for place in gone:
        del history.valid[place]

    done = CliRunner().invoke(main, ["recompute"], env={"RAPPORT_CLICKHOUSE": warehouse.settings.clickhouse})

    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("recomputed ")
    assert days_of(warehouse) == recount(history, [], [])
    assert len(days_of(warehouse)) == DAYS
    expected = {pair: (said.as_of, said.score.health) for pair, said in history.newest().items() if said.score}
    assert states_of(warehouse) == expected


def test_recompute_without_a_server_says_so_in_one_line() -> None:
    refused = CliRunner().invoke(main, ["recompute"], env={"RAPPORT_CLICKHOUSE": "http://127.0.0.1:1"})

    assert refused.exit_code == 1
    assert refused.output.startswith("Error: ClickHouse: ")
