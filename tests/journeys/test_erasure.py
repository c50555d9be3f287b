"""Somebody is erased: the directory, roster, scores and tables forget them, and no replay brings anything back."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.local.data_folder import ClockMode
from schemas.topics import DIRECTORY
from services.ingest.domain.activity import Person
from services.ingest.flow.people.followers import projection_now
from services.ingest.flow.people.projected_topics import PROGRESS_KEY
from services.runtime.clickhouse import ClickHouse
from services.runtime.health import Health
from services.runtime.kafka import Reader, read_to_end
from services.runtime.loop import BatchLoop
from services.runtime.unexpected import Breaker
from services.scoring.domain.kinds import FactKind
from services.scoring.flow.log_reading import stored
from services.scoring.topics import Topics
from services.warehouse.domain.target import Feed, feed_of
from services.warehouse.flow.sink import Sink
from services.warehouse.flow.store import Meters, Store
from services.warehouse.service import group_reader, recomputing
from services.warehouse.settings import WarehouseSettings
from tests import plain_http
from tests.conftest import WithTables
from tests.journeys.system import System, event, system
from tests.receiver import eventually

DAY = timedelta(days=1)
BEGIN = datetime.now(UTC).replace(microsecond=0) - 80 * DAY
TABLES = ("events", "score_history", "alert_log", "relationship_state")
PAIRS = {"gone": ("p-ada", "p-ben"), "kept": ("p-cat", "p-dan")}
NEVER = dict.fromkeys(TABLES, 0)


@pytest.fixture(scope="module")
def whole(with_tables: WithTables, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    data = tmp_path_factory.mktemp("erasure")
    with_tables(data / "clickhouse")
    with system(data, ClockMode.WALL) as running:
        token = running.token("acme", "/test")
        assert running.post(token, list(_told())).status_code == 202
        _write_people(running, token)
        eventually(lambda: all(_scored_until_now(running, pair) for pair in PAIRS), what="scores of both")
        running.stack.environment["RAPPORT_INGEST_TOKEN"] = token
        yield running


def test_an_erased_person_is_forgotten_everywhere(whole: System) -> None:
    before = _rows(whole, "kept")

    said = whole.stack.run("ingest", "erase", "acme", "--participant", "p-ada", "--source", "/test", "--yes", "--heal")

    assert "erased: 1 relationships, and p-ada" in said
    eventually(lambda: _rows(whole, "gone") == NEVER, what="rows gone")
    eventually(lambda: _days(whole) == _days_of_one(whole), what="days of one")
    eventually(lambda: _people(whole) == {"acme/p-ben", "acme/p-cat", "acme/p-dan"}, what="the directory without them")
    roster = projection_now(_settings(whole)).roster
    assert roster.all_relationships("acme", "p-ada") == roster.all_relationships("acme", "p-ben") == ()
    assert roster.participant("acme", "zoom", Person(address="p-ada@example.com")) is None
    assert roster.all_relationships("acme", "p-cat") == ("kept",)
    facts = stored(_settings(whole), Topics()).states["acme/gone"].facts
    assert {key.kind for key in facts} == {FactKind.ERASED}
    assert all(_rows(whole, "kept")[table] >= count for table, count in before.items())


def test_what_is_told_afterwards_counts_for_nothing(whole: System) -> None:
    late = event("gone", "session.held", BEGIN + 79 * DAY, session_id="late", started_at=(BEGIN + 79 * DAY).isoformat())

    assert whole.post(whole.stack.environment["RAPPORT_INGEST_TOKEN"], [late]).status_code == 202

    eventually(lambda: _is_applied(whole), what="the late event applied")
    eventually(lambda: _rows(whole, "gone") == NEVER, what="rows gone again")


def test_no_replay_of_scores_brings_anything_back(whole: System) -> None:
    whole.stack.run("scoring", "heal")
    whole.stack.run("scoring", "replay")

    eventually(lambda: _rows(whole, "gone") == NEVER, what="rows gone after a replay")
    assert _rows(whole, "kept")["score_history"] > 0
    assert whole.verify().strip().endswith("equal")


def test_no_replay_of_the_log_into_tables_brings_anything_back(whole: System) -> None:
    with _storing_all_again(whole) as is_done:
        eventually(is_done, what="everything stored again")

    eventually(lambda: _rows(whole, "gone") == NEVER, what="rows gone after everything was stored again")
    eventually(lambda: _days(whole) == _days_of_one(whole), what="days of one")
    assert _rows(whole, "kept")["events"] > 0


def _told() -> Iterator[dict[str, Any]]:
    for pair, (mentor, mentee) in PAIRS.items():
        yield event(pair, "relationship.started", BEGIN, mentors=[mentor], mentees=[mentee])
        for week in range(4):
            at = BEGIN + (1 + 7 * week) * DAY
            yield event(pair, "session.held", at, session_id=f"s-{week}", started_at=at.isoformat(), minutes=30)


def _write_people(whole: System, token: str) -> None:
    people = [
        {"id": one, "name": one, "time_zone": "UTC", "consent": True, "addresses": [f"{one}@example.com"]}
        for pair in PAIRS.values()
        for one in pair
    ]
    url = f"{whole.stack.gateway_url}/v1/directory/participants"
    plain_http.post(url, json=people, headers={"authorization": f"Bearer {token}"}, timeout=30).raise_for_status()


def _scored_until_now(whole: System, pair: str) -> bool:
    newest = whole.ask(
        "SELECT max(as_of) > now() - INTERVAL 2 DAY FROM mentoring.score_history WHERE relationship_id = {pair:String}",
        pair=pair,
    )
    return newest == [[1]] and _rows(whole, pair)["relationship_state"] > 0


def _rows(whole: System, pair: str) -> dict[str, int]:
    """As they lie there, replaced ones too; that it was erased aside."""
    found = {}
    for table in TABLES:
        but = " AND type != 'mentoring.relationship.erased.v1'" if table == "events" else ""
        [[count]] = whole.ask(
            f"SELECT count() FROM mentoring.{table} WHERE relationship_id = {{pair:String}}{but}", pair=pair
        )
        found[table] = int(count)
    return found


def _days(whole: System) -> list[list[Any]]:
    return whole.ask(
        "SELECT toString(day), relationships, sessions FROM mentoring.program_daily FINAL "
        "WHERE relationships > 0 OR sessions > 0 ORDER BY day"
    )


def _days_of_one(whole: System) -> list[list[Any]]:
    """A recount that shares nothing with the warehouse's: of the pair that is left."""
    return whole.ask(
        "SELECT toString(day), uniqExact(pair), sum(met) FROM ("
        "SELECT toDate(as_of) AS day, relationship_id AS pair, 0 AS met FROM mentoring.score_history FINAL "
        "WHERE relationship_id = 'kept' UNION ALL "
        "SELECT toDate(occurred_at), relationship_id, 1 FROM mentoring.events FINAL "
        "WHERE relationship_id = 'kept' AND type = 'mentoring.session.held.v1') GROUP BY day ORDER BY day"
    )


def _is_applied(whole: System) -> bool:
    """All events, by scoring and by the warehouse."""
    settings = _settings(whole)
    return all(_is_read(settings, group, feed_of(0)) for group in ("rapport-scoring", "rapport-warehouse"))


def _is_read(settings: WarehouseSettings, group: str, feed: Feed) -> bool:
    events = min(topic for topic in feed.targets if topic.endswith("events"))
    with closing(Reader(settings, group)) as asker:
        ends = asker.end_offsets(asker.assign([events]))
        return all((done := asker.committed(p)) is not None and done.offset >= end for p, end in ends.items() if end)


def _people(whole: System) -> set[str]:
    people: set[str] = set()
    for record in read_to_end(_settings(whole), [DIRECTORY.name]):
        if record.key == PROGRESS_KEY:
            continue
        key = (record.key or b"").decode()
        people = people - {key} if record.value is None else people | {key}
    return people


def _settings(whole: System) -> WarehouseSettings:
    environment = whole.stack.environment
    return WarehouseSettings.model_validate(
        {
            "kafka": environment["RAPPORT_KAFKA"],
            "clickhouse": environment["RAPPORT_CLICKHOUSE"],
            "clickhouse_user": environment["RAPPORT_CLICKHOUSE_USER"],
            "clickhouse_password": environment["RAPPORT_CLICKHOUSE_PASSWORD"],
        }
    )


@contextmanager
def _storing_all_again(whole: System) -> Iterator[Any]:
    """A second sink with a group of its own, from the beginning of every topic into the same tables."""
    settings, stop, health = _settings(whole), threading.Event(), Health()
    feed = Feed("erasure-replay", feed_of(0).targets)
    with (
        closing(ClickHouse(settings)) as clickhouse,
        closing(group_reader(settings, feed)) as reader,
        recomputing(settings, stop) as beside,
    ):
        store = Store([clickhouse], Breaker(), Meters(health.metrics))
        sink = Sink(reader, feed, store, beside)
        thread = threading.Thread(target=BatchLoop(reader, sink, health).run, args=(stop,))
        thread.start()
        try:
            yield lambda: _is_read(settings, feed.group, feed)
        finally:
            stop.set()
            thread.join(30)
