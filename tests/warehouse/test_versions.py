"""What was known when: score_versions and scores_known against replays of every prefix of a random log."""

import random
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest

from deploy.local.clickhouse import LocalClickHouse
from schemas.events import to_json
from services.runtime.clickhouse import ClickHouse
from services.warehouse.domain.target import EVENT_LOG, SCORE_HISTORY
from services.warehouse.flow.derived import DerivedTables
from services.warehouse.flow.statements import statement
from services.warehouse.settings import WarehouseSettings
from tests.scoring.effort import PROPERTY
from tests.warehouse.known_history import BEGIN, event, put
from tests.warehouse.samples import changed, corrected, held, row, score

HOUR = timedelta(hours=1)
# Random histories are examples, as those of properties are: the engine is asked 60 questions about each.
HISTORIES = min(3, max(1, PROPERTY.max_examples // 200))
Known = dict[datetime, float]


@dataclass
class KnownLog:
    """Events of one pair, recorded one after the other, often long after they happened; and which rows each prefix of
    the log gives, whatever scoring makes of it: {as_of: health}."""

    recorded: list[datetime] = field(default_factory=list)
    truth: list[Known] = field(default_factory=list)

    def known_at(self, moment: datetime) -> Known:
        prefix = sum(at <= moment for at in self.recorded)
        return {at: health for at, health in self.truth[prefix - 1].items() if at <= moment} if prefix else {}


def drawn(chance: random.Random) -> KnownLog:
    """Each event adds rows, changes some of the past and takes some away; rows reach until the next one is recorded."""
    log, known = KnownLog(), Known()
    at = BEGIN
    for _ in range(30):
        at += chance.randrange(1, 200) * HOUR
        log.recorded.append(at)
        for instant in list(known):
            if chance.random() < 0.1:
                known[instant] = health(chance)
            elif chance.random() < 0.05:
                del known[instant]
        for _ in range(3):
            # Imported history: instants of long ago that nobody knew of before.
            known[at - chance.randrange(0, 3000) * HOUR] = health(chance)
        until = at + chance.randrange(1, 100) * HOUR
        known |= {at + n * 24 * HOUR: health(chance) for n in range(1, 5) if at + n * 24 * HOUR < until}
        log.truth.append(dict(known))
        at = until
    return log


def health(chance: random.Random) -> float:
    return chance.randrange(0, 90_000_000) / 1e6


def emitted(log: KnownLog, positions: list[int], pair: str, tenant: str) -> Iterator[bytes]:
    """As scoring emits it: of each prefix what differs from the one before. A heal follows where live was wrong."""
    before = Known()
    for position, known in zip(positions, log.truth, strict=True):
        for at in sorted(known.keys() | before.keys()):
            if at not in known:
                yield to_json(corrected(row(at, position, deleted=True, trigger=None), pair, tenant))
            elif known[at] != before.get(at):
                right = row(at, position, score=score(known[at], before=None), trigger=None)
                if position % 5 == 0:
                    wrong = score(1.0, before=None)
                    yield to_json(changed(row(at, position, score=wrong, trigger=None), pair, tenant))
                    right = right.model_copy(update={"mode": "heal"})
                yield to_json(corrected(right, pair, tenant))
        before = known


@pytest.fixture(scope="module")
def clickhouse(warehouse_server: LocalClickHouse) -> Iterator[ClickHouse]:
    with closing(ClickHouse(WarehouseSettings(clickhouse=warehouse_server.url))) as found:
        yield found


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_what_was_known_at_a_moment_is_what_a_replay_of_the_log_up_to_then_gives(
    clickhouse: ClickHouse, seed: int
) -> None:
    chance, tenant = random.Random(seed), f"known-{uuid.uuid4().hex[:8]}"
    log = drawn(chance)
    told = [held(at - 500 * HOUR, "r-1", tenant, recordedtime=at, id=f"e-{n}") for n, at in enumerate(log.recorded)]
    first = put(clickhouse, EVENT_LOG, [to_json(one) for one in told])
    said = list(emitted(log, [first + n for n in range(len(told))], "r-1", tenant))
    put(clickhouse, SCORE_HISTORY, said)
    # A sink that begins again stores all of it once more.
    put(clickhouse, SCORE_HISTORY, said)
    moments = [*log.recorded, *(at + chance.randrange(0, 400) * HOUR for at in log.recorded), BEGIN - HOUR]

    for number, moment in enumerate(moments):
        known = log.known_at(moment)
        if number % 4:
            assert newest(clickhouse, tenant, moment) == ([known[max(known)]] if known else []), moment
        else:
            assert asked(clickhouse, tenant, moment) == known, moment


def test_versions_as_of_now_equal_the_scores(clickhouse: ClickHouse) -> None:
    now = clickhouse.query(
        "SELECT tenant_id, relationship_id, as_of, health FROM mentoring_mart.score_versions "
        "WHERE known_to IS NULL AND startsWith(tenant_id, 'known-') ORDER BY ALL"
    )
    scores = clickhouse.query(
        "SELECT tenant_id, relationship_id, as_of, health FROM mentoring_mart.scores "
        "WHERE startsWith(tenant_id, 'known-') ORDER BY ALL"
    )

    assert now == scores
    assert now


def test_rows_of_the_time_before_versions_were_kept_are_known_since_their_last_event(clickhouse: ClickHouse) -> None:
    tenant = f"old-{uuid.uuid4().hex[:8]}"
    first = put(clickhouse, EVENT_LOG, [to_json(held(BEGIN, "r-1", tenant, recordedtime=BEGIN + 100 * HOUR))])
    put(clickhouse, SCORE_HISTORY, [to_json(changed(row(BEGIN, first, score=score(50.0, before=None)), "r-1", tenant))])
    clickhouse.command(
        f"ALTER TABLE mentoring.score_revisions DELETE WHERE tenant_id = '{tenant}' SETTINGS mutations_sync = 2"
    )

    assert asked(clickhouse, tenant, BEGIN + 99 * HOUR) == {}
    assert asked(clickhouse, tenant, BEGIN + 100 * HOUR) == {BEGIN: 50.0}


def test_the_newest_score_that_was_known_is_one_row_per_relationship(clickhouse: ClickHouse) -> None:
    DerivedTables(clickhouse, 0, threading.Event()).recompute_if_due()

    [(rows, pairs)] = clickhouse.query(
        "SELECT count(), uniqExact(tenant_id, relationship_id) FROM mentoring_at.relationships_known(known_at = "
        "'2024-03-01 00:00:00') WHERE startsWith(tenant_id, 'known-')"
    )

    assert rows == pairs > 0


def test_months_of_recording_are_those_of_the_events_that_are_late_told_twice_and_erased(
    clickhouse: ClickHouse,
) -> None:
    tenant, log = f"months-{uuid.uuid4().hex[:8]}", drawn(random.Random(5))
    told = [
        held(at - (n % 7) * 200 * HOUR, pair, tenant, recordedtime=at, id=f"{pair}-{n}")
        for pair in ("r-1", "r-2")
        for n, at in enumerate(log.recorded)
    ]
    first = put(clickhouse, EVENT_LOG, [to_json(one) for one in told[::2]])
    again = put(clickhouse, EVENT_LOG, [to_json(one) for one in told])
    positions = {one.id: again + n for n, one in enumerate(told)} | {
        one.id: first + n for n, one in enumerate(told[::2])
    }
    expected = dict[tuple[str, date], int]()
    for one in told:
        month = (one.subject, one.recordedtime.date().replace(day=1))
        expected[month] = min(positions[one.id], expected.get(month, positions[one.id]))
    stored = months(clickhouse, tenant)

    # As before there was the table, and with one relationship erased.
    clickhouse.command(f"DELETE FROM mentoring.recorded_monthly WHERE tenant_id = '{tenant}'")
    erased = event("relationship.erased", 900, "r-2", tenant, by="admin", evidence="admin")
    put(clickhouse, EVENT_LOG, [to_json(one) for one in (erased, *told)])
    DerivedTables(clickhouse, 0, threading.Event()).recompute_if_due()
    for [month] in clickhouse.query(
        f"SELECT DISTINCT toYYYYMM(occurred_at) FROM mentoring.events WHERE tenant_id = '{tenant}'"
    ):
        clickhouse.command(statement("recorded_monthly"), {"month": month})

    assert stored == expected
    assert months(clickhouse, tenant) == {key: position for key, position in expected.items() if key[0] == "r-1"}


def months(clickhouse: ClickHouse, tenant: str) -> dict[tuple[str, date], int]:
    """The first position by relationship and month of recording."""
    found = clickhouse.query(
        f"SELECT relationship_id, month, 9223372036854775808 - version FROM mentoring.recorded_monthly FINAL "
        f"WHERE tenant_id = '{tenant}'"
    )
    return {(pair, month): position for pair, month, position in found}


def newest(clickhouse: ClickHouse, tenant: str, moment: datetime) -> list[float]:
    """The same however it is limited."""
    asked = {"at": moment, "tenant": tenant}
    rows = clickhouse.query(
        "SELECT program_id, health FROM mentoring_at.relationships_known(known_at = {at:DateTime64(6, 'UTC')}) "
        "WHERE tenant_id = {tenant:String}",
        asked,
    )
    limited = clickhouse.query(
        "SELECT program_id, health FROM mentoring_at.relationships_known_of(known_at = {at:DateTime64(6, 'UTC')}, "
        "tenant = {tenant:String}, program = {program:String})",
        asked | {"program": rows[0][0] if rows else ""},
    )
    assert limited == rows
    return [health for _, health in rows]


def asked(clickhouse: ClickHouse, tenant: str, moment: datetime) -> Known:
    rows = clickhouse.query(
        "SELECT as_of, health FROM mentoring_at.scores_known(known_at = {at:DateTime64(6, 'UTC')}) "
        "WHERE tenant_id = {tenant:String}",
        {"at": moment, "tenant": tenant},
    )
    return {at.replace(tzinfo=UTC): value for at, value in rows}
