"""What marts promise: kinds of columns that every tool knows, keys that hold, NULL where there is none, comments."""

import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest

from deploy.local.clickhouse import LocalClickHouse
from schemas.events import to_json
from services.runtime.clickhouse import ClickHouse
from services.warehouse.domain.marts import MARTS
from services.warehouse.domain.target import ALERT_LOG, COPIED, DERIVED, EVENT_LOG
from services.warehouse.flow.derived import DerivedTables
from services.warehouse.flow.filling import mark_filled
from services.warehouse.settings import WarehouseSettings
from tests.warehouse.known_history import at, event, put, tell
from tests.warehouse.samples import alert

# Who met on which day, before and after the alert of their first day.
MET = (("a", 0), ("a", 29), ("b", 0), ("b", 40), ("c", 49))
# Words of our own for which analysts have a term: notified, not retracted, sent, rejected, based on.
DIALECT = re.compile(
    r"\b(?:told|tells?|spoke|speak|stands?|said|anybody|nobody|whoever)\b"
    r"|\b(?:let in|rested on|none of ours|brought \w+ about)\b"
    r"|\bof (?:which|whom) \w+ is known\b|\bwhat is known\b|\bof these days\b"
)
UNREADABLE = ("Map(", "Array(", "Enum", "Tuple(", "Nested(")


@pytest.fixture(scope="module")
def filled(warehouse_server: LocalClickHouse) -> Iterator[ClickHouse]:
    with closing(ClickHouse(WarehouseSettings(clickhouse=warehouse_server.url))) as clickhouse:
        for tenant in (f"one-{uuid.uuid4().hex[:8]}", f"two-{uuid.uuid4().hex[:8]}"):
            tell(clickhouse, tenant)
        DerivedTables(clickhouse, 0, threading.Event()).recompute_if_due()
        yield clickhouse


def columns(clickhouse: ClickHouse) -> list[tuple[str, str, str, str]]:
    return clickhouse.query("SELECT table, name, type, comment FROM system.columns WHERE database = 'mentoring_mart'")


def test_every_view_is_known_with_its_key(filled: ClickHouse) -> None:
    there = {table for table, *_ in columns(filled)}

    assert there == set(MARTS)
    for mart, key in MARTS.items():
        assert set(key) <= {name for table, name, *_ in columns(filled) if table == mart}, mart


def test_no_column_has_a_type_that_tools_do_not_support(filled: ClickHouse) -> None:
    assert [(table, name) for table, name, kind, _ in columns(filled) if kind.startswith(UNREADABLE)] == []


def test_every_view_and_column_has_a_comment_and_says_when_it_changed(filled: ClickHouse) -> None:
    assert [(table, name) for table, name, _, comment in columns(filled) if not comment] == []
    assert {table for table, name, *_ in columns(filled) if name == "changed_at"} == set(MARTS)
    comments = filled.query(
        "SELECT name, comment FROM system.tables WHERE database IN ('mentoring_mart', 'mentoring_at')"
    )
    assert [name for name, comment in comments if not comment.startswith("One row per ")] == []


def test_comments_use_the_words_of_analysts(filled: ClickHouse) -> None:
    comments = filled.query(
        "SELECT concat(database, '.', table, '.', name), comment FROM system.columns "
        "WHERE startsWith(database, 'mentoring') "
        "UNION ALL "
        "SELECT concat(database, '.', name), comment FROM system.tables WHERE startsWith(database, 'mentoring')"
    )

    # A coordinator's band is called that.
    terms = ((name, comment.replace("too early to tell", "")) for name, comment in comments)
    assert {name: comment for name, comment in terms if DIALECT.search(comment)} == {}


@pytest.mark.parametrize("mart", sorted(MARTS))
def test_a_view_has_one_row_per_key(filled: ClickHouse, mart: str) -> None:
    key = ", ".join(MARTS[mart])

    [(rows, keys)] = filled.query(f"SELECT count(), uniqExact({key}) FROM mentoring_mart.{mart}")

    assert rows == keys
    assert rows > 0 or mart in {"rejected_inputs", "dead_letters", "erasures"}


def test_marts_show_which_tables_lack_earlier_rows(filled: ClickHouse) -> None:
    names = {table.name: table.filled_as for table in (*COPIED, *DERIVED)}
    asked = "SELECT table_name, filled, filled_at IS NULL FROM mentoring_mart.filled_tables"
    filled.command("TRUNCATE TABLE mentoring.filled")

    untold = filled.query(asked)
    filled.insert("mentoring.filled", ["name"], [[names["mentoring.relationships"]]], {"async_insert": 0})
    one = filled.query(f"{asked} WHERE filled")
    mark_filled(filled)

    assert sorted(untold) == [(name, False, True) for name in sorted(names)]
    assert one == [("mentoring.relationships", True, False)]
    assert sorted(filled.query(asked)) == [(name, True, False) for name in sorted(names)]


def test_missing_instants_are_null_and_not_1970(filled: ClickHouse) -> None:
    """An average over dates of 1970 gave somebody minus 20,721 days."""
    for table, name, kind, _ in columns(filled):
        if "DateTime64" in kind or kind in {"Date", "Nullable(Date)"}:
            [(least,)] = filled.query(f"SELECT countIf({name} < '1971-01-01') FROM mentoring_mart.{table}")
            assert least == 0, (table, name)


def test_a_day_is_that_of_the_programmes_zone(filled: ClickHouse) -> None:
    found = filled.query(
        "SELECT DISTINCT toString(occurred_at), toString(local_day) FROM mentoring_mart.events "
        "WHERE type = 'mentoring.goal.achieved.v1' AND startsWith(tenant_id, 'one-')"
    )

    assert found == [("2024-02-10 00:00:00.000000", "2024-02-09")]


def test_retracted_events_are_marked_and_not_counted(filled: ClickHouse) -> None:
    [(told, standing)] = filled.query(
        "SELECT count(), countIf(NOT retracted) FROM mentoring_mart.events "
        "WHERE startsWith(tenant_id, 'one-') AND type = 'mentoring.session.held.v1'"
    )
    counts = [
        filled.query(f"SELECT sum(sessions) FROM mentoring_mart.{mart} WHERE startsWith(tenant_id, 'one-')")
        for mart in ("program_day", "program_week", "relationship_day", "relationships")
    ]

    assert (told, standing) == (4, 3)
    assert counts == [[(3,)]] * 4


def test_data_quality_problems_are_counted(filled: ClickHouse) -> None:
    found = filled.query(
        "SELECT kind, items, of FROM mentoring_mart.data_quality WHERE startsWith(tenant_id, 'one-') ORDER BY kind"
    )

    assert found == [("late", 1, 26), ("retracted", 1, 28), ("stale", 0, 4), ("undeclared", 1, 4)]


def test_how_a_relationship_ended_is_known_and_what_is_unknown_is_null(filled: ClickHouse) -> None:
    found = filled.query(
        "SELECT relationship_id, declared, mentors, coordinator, cohort, days_to_first_session, ended, end_planned, "
        "end_reason, end_initiated_by FROM mentoring_mart.relationships WHERE startsWith(tenant_id, 'one-') "
        "ORDER BY relationship_id"
    )

    assert found == [
        ("a", True, 1, "p-9", "c-1", 7.0, False, None, None, None),
        ("b", True, 1, "p-8", "c-1", 21.0, True, False, "no_time", "mentee"),
        ("c", False, 0, "p-8", None, None, False, None, None, None),
        ("d", True, 1, "p-8", None, None, False, None, None, None),
    ]


def test_a_session_that_is_booked_again_is_scheduled_once(filled: ClickHouse) -> None:
    """Two calendars tell of it, and after it was called off it may be booked anew."""
    tenant = f"twice-{uuid.uuid4().hex[:8]}"
    booked = [
        event("session.scheduled", day, "a", tenant, session_id=session, starts_at=at(7), ends_at=at(8))
        for day, session in ((1, "s"), (2, "s"), (3, "t"))
    ]
    put(filled, EVENT_LOG, [to_json(one) for one in booked])
    DerivedTables(filled, 0, threading.Event()).recompute_if_due()

    found = filled.query(f"SELECT sessions_scheduled FROM mentoring_mart.relationships WHERE tenant_id = '{tenant}'")

    assert found == [(2,)]


def test_a_withdrawn_alert_is_marked_and_not_counted(filled: ClickHouse) -> None:
    marked = filled.query(
        "SELECT relationship_id, withdrawn FROM mentoring_mart.alerts WHERE startsWith(tenant_id, 'one-') ORDER BY rule"
    )
    counted = filled.query(
        "SELECT toString(day), alerts FROM mentoring_mart.program_day "
        "WHERE startsWith(tenant_id, 'one-') AND day IN ('2024-01-31', '2024-02-03') ORDER BY day"
    )

    assert marked == [("a", True), ("b", False), (None, False)]
    assert counted == [("2024-01-31", 0), ("2024-02-03", 2)]


def test_what_happened_after_an_alert_is_known_when_its_horizon_has_passed(filled: ClickHouse) -> None:
    tenant = f"after-{uuid.uuid4().hex[:8]}"
    # a met on, b fell silent, c is looked at too early to say.
    fired = [alert(at(day), pair, tenant, dedup_key=f"{pair * 32}-1") for pair, day in (("a", 1), ("b", 1), ("c", 50))]
    told = [
        event("session.held", day, pair, tenant, session_id=f"{pair}-{day}", started_at=at(day)) for pair, day in MET
    ]
    put(filled, EVENT_LOG, [to_json(one) for one in told])
    put(filled, ALERT_LOG, [to_json(one) for one in fired])
    DerivedTables(filled, 0, threading.Event()).recompute_if_due()

    found = filled.query(
        "SELECT relationship_id, toString(next_contact), ended_early, came_true, horizon_days "
        f"FROM mentoring_mart.alert_outcomes WHERE tenant_id = '{tenant}' ORDER BY relationship_id"
    )

    assert found == [
        ("a", "2024-01-30", False, False, 30.0),
        ("b", None, False, True, 30.0),
        ("c", None, False, None, 30.0),
    ]


def test_a_withdrawal_is_counted_on_the_day_of_firing_when_it_comes_later(filled: ClickHouse) -> None:
    tenant = f"late-{uuid.uuid4().hex[:8]}"
    put(filled, ALERT_LOG, [to_json(alert(at(1), "a", tenant))])
    DerivedTables(filled, 0, threading.Event()).recompute_if_due()
    before = filled.query(f"SELECT alerts FROM mentoring_mart.program_day WHERE tenant_id = '{tenant}'")
    gone = alert(at(9), "a", tenant, transition="resolved", why="corrected: it was never so")
    put(filled, ALERT_LOG, [to_json(gone)])

    DerivedTables(filled, 0, threading.Event()).recompute_if_due()

    assert before == [(1,)]
    assert filled.query(f"SELECT alerts FROM mentoring_mart.program_day WHERE tenant_id = '{tenant}'") == [(0,)]
