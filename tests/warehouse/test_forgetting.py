"""Nothing of an erased relationship is left in any table, and a replay of the log brings nothing back."""

from datetime import timedelta

from schemas.events import RelationshipErased
from schemas.payloads import RelationshipErased as Erased
from tests.warehouse.conftest import Warehouse
from tests.warehouse.samples import NOON, alert, changed, envelope, held, row, started

TABLES = ("events", "score_history", "alert_log", "relationship_state")


def erased(relationship: str, tenant: str) -> RelationshipErased:
    of = envelope("relationship.erased", NOON + timedelta(days=1), relationship, tenant)
    return RelationshipErased(**of, data=Erased(by="admin", evidence="admin"))


def tell(warehouse: Warehouse, relationship: str) -> None:
    """Whatever can be told of one, on every topic."""
    tenant = warehouse.tenant
    warehouse.write("events", started(NOON, relationship, tenant), held(NOON, relationship, tenant))
    warehouse.write("scores", changed(row(), relationship, tenant))
    warehouse.write("alerts", alert(NOON, relationship, tenant))


def rows_of(warehouse: Warehouse, relationship: str) -> dict[str, int]:
    """As they lie in the tables, replaced ones too; that it was erased aside."""
    found = {}
    for table in TABLES:
        [(found[table],)] = warehouse.ask(
            f"SELECT count() FROM mentoring.{table} WHERE tenant_id = {{tenant}} "
            f"AND relationship_id = '{relationship}'"
            + (" AND type != 'mentoring.relationship.erased.v1'" if table == "events" else "")
        )
    return found


def day_of(warehouse: Warehouse) -> tuple[int, ...]:
    """Empty before there is one."""
    days = warehouse.ask(
        "SELECT relationships, sessions, alerts FROM mentoring.program_daily FINAL "
        f"WHERE tenant_id = {{tenant}} AND day = '{NOON.date()}'"
    )
    return days[0] if days else ()


def test_an_erased_relationship_leaves_no_row_and_comes_back_by_no_replay(warehouse: Warehouse) -> None:
    nothing = dict.fromkeys(TABLES, 0)
    with warehouse.running() as running:
        tell(warehouse, "r-1")
        tell(warehouse, "r-2")
        running.until(lambda: rows_of(warehouse, "r-1")["relationship_state"], "the tables")
        running.until(lambda: day_of(warehouse) == (2, 2, 2), "the day of both")

        warehouse.write("events", erased("r-1", warehouse.tenant))
        running.until(lambda: rows_of(warehouse, "r-1") == nothing, "the erasure")
        running.until(lambda: day_of(warehouse) == (1, 1, 1), "the day of one")

        tell(warehouse, "r-1")
        running.until(warehouse.is_committed, "the replay")
        running.until(lambda: rows_of(warehouse, "r-1") == nothing, "the erasure again")
        running.until(lambda: day_of(warehouse) == (1, 1, 1), "the day of one again")

    kept = rows_of(warehouse, "r-2")
    assert (kept["events"], kept["score_history"], kept["alert_log"]) == (2, 1, 1)
    [(types,)] = warehouse.ask(
        "SELECT groupArray(type) FROM mentoring.events FINAL WHERE tenant_id = {tenant} AND relationship_id = 'r-1'"
    )
    assert types == ["mentoring.relationship.erased.v1"]
