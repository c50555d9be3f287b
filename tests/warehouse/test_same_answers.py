"""Ready queries that read derived tables answer what they answered when they read every event and score, as
`queries_before` asks, whatever was retracted, corrected, erased and told twice."""

import random
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.local.clickhouse import LocalClickHouse
from schemas import payloads as p
from schemas.events import to_json
from schemas.scores import ScoreRow
from services.runtime.clickhouse import ClickHouse
from services.warehouse.catalogue import Query, queries
from services.warehouse.domain.target import EVENT_LOG, SCORE_HISTORY
from services.warehouse.flow.derived import DerivedTables
from services.warehouse.flow.recompute_all import recompute_all
from services.warehouse.settings import WarehouseSettings
from tests.warehouse.known_history import BEGIN, DAY, HOUR, at, event, put
from tests.warehouse.samples import band, changed, corrected, retracted, row, score

BEFORE = {path.stem: path.read_text() for path in Path(__file__).with_name("queries_before").glob("*.sql")}
NOW = {query.name: query for query in queries()}
PAIRS, DAYS = ("a", "b", "c", "d", "e"), 100
SIDES = ("mentor", "mentee")
ASKED_OF = {"relationship": PAIRS[0], "at": f"{at(DAYS // 2):%F %T}"}


@dataclass
class Telling:
    """A history of one tenant, and what was told of it so far."""

    clickhouse: ClickHouse
    tenant: str
    chance: random.Random
    events: list[Any]
    scores: list[tuple[str, ScoreRow]]

    def tell(self, events: list[Any], scores: list[tuple[str, ScoreRow]], *, again: bool = False) -> None:
        made = corrected if again else changed
        if events:
            put(self.clickhouse, EVENT_LOG, [to_json(one) for one in events])
        if scores:
            put(self.clickhouse, SCORE_HISTORY, [to_json(made(one, pair, self.tenant)) for pair, one in scores])

    def recompute(self) -> None:
        DerivedTables(self.clickhouse, 0, threading.Event()).recompute_if_due()

    def answers(self) -> dict[str, tuple[list[Any], list[Any]]]:
        """Before and now, by query."""
        return {name: (self.asked(NOW[name], BEFORE[name]), self.asked(NOW[name])) for name in BEFORE}

    def asked(self, query: Query, before: str = "") -> list[Any]:
        sql = before or query.statement
        given = ASKED_OF | {"tenant": self.tenant}
        pairs = [f"{name}={value}" for name, value in given.items() if name in query.parameters]
        return self.clickhouse.query(sql, query.parsed_parameters(pairs))


@pytest.fixture(params=[1, 2])
def telling(warehouse_server: LocalClickHouse, request: pytest.FixtureRequest) -> Iterator[Telling]:
    chance, tenant = random.Random(request.param), f"same-{uuid.uuid4().hex[:8]}"
    with closing(ClickHouse(WarehouseSettings(clickhouse=warehouse_server.url))) as clickhouse:
        yield Telling(
            clickhouse, tenant, chance, [one for pair in PAIRS for one in lived(pair, tenant, chance)], scored(chance)
        )


def lived(pair: str, tenant: str, chance: random.Random) -> Iterator[Any]:
    """What one pair does, each event with an id of its own; some messages are answered, some of them twice."""
    smart = p.Smart(specific=True, measurable=chance.random() < 0.5, achievable=True, relevant=False, time_bound=False)
    yield event("relationship.started", 0, pair, tenant, mentors=("p-m",), mentees=(f"p-{pair}",), id=f"{pair}-start")
    yield event("session.scheduled", 1, pair, tenant, session_id="s", starts_at=at(2), ends_at=at(2) + HOUR)
    yield event("goal.set", 2, pair, tenant, goal_id="g", smart=smart, id=f"{pair}-goal")
    yield event("goal.set", 3, pair, tenant, goal_id="h", id=f"{pair}-vague")
    for n in range(60):
        day, side = chance.randrange(DAYS * 24) / 24, chance.choice(SIDES)
        about = {"id": f"{pair}-{n}", "by": side}
        kind = chance.randrange(8)
        if kind < 4:
            to = f"{pair}-{chance.randrange(60)}" if chance.random() < 0.7 else None
            yield event("message.sent", day, pair, tenant, channel="chat", reply_to=to, **about)
        elif kind == 4:
            most = chance.choice((5.0, 10.0))
            rated = {"rating": float(chance.randrange(1, int(most) + 1)), "scale_max": most}
            yield event("feedback.given", day, pair, tenant, about="session", **rated, **about)
        elif kind == 5:
            before, after = chance.randrange(1, 4), chance.randrange(2, 6)
            yield event("skill.assessed", day, pair, tenant, skill="listening", before=before, after=after, **about)
        elif kind == 6:
            yield event("session.held", day, pair, tenant, session_id=f"{pair}-{n}", started_at=at(day), **about)
        else:
            kinds = ("goal.achieved", "goal.revised", "goal.missed", "goal.abandoned", "milestone.celebrated")
            yield event(chance.choice(kinds), day, pair, tenant, goal_id="g", **about)
    if chance.random() < 0.5:
        end = {"planned": chance.random() < 0.5, "reason_code": "moved", "initiated_by": "mentee"}
        yield event("relationship.ended", DAYS - 1, pair, tenant, id=f"{pair}-end", **end)


def scored(chance: random.Random) -> list[tuple[str, ScoreRow]]:
    """Midnights, with gaps, and some instants between; the last days of a pair say that it has ended."""
    found = []
    for pair in PAIRS:
        ends = chance.randrange(DAYS // 2, 2 * DAYS)
        for day in range(DAYS):
            if chance.random() < 0.8:
                found.append((pair, said(chance, day, "active" if day < ends else "ended")))
            if chance.random() < 0.3:
                found.append((pair, said(chance, day + chance.random(), "active" if day < ends else "ended")))
    return found


def said(chance: random.Random, day: float, status: str, position: int = 1) -> ScoreRow:
    health, risk = chance.randrange(0, 95_000_000) / 1e6, chance.choice([0.05, 0.31, 0.699999, 0.7, 0.93])
    counted = score(health, risk, band=band(health), status=status, before=None, started=BEGIN)
    return row(at(day), position, score=counted, trigger=None)


def assert_same(telling: Telling) -> None:
    for name, (before, now) in telling.answers().items():
        assert now == before, name
        assert now, name


def test_answers_are_those_of_every_event_and_score_whatever_happens_to_them(telling: Telling) -> None:
    chance, tenant = telling.chance, telling.tenant
    first, later = telling.events[::2], telling.events[1::2]

    # 1. Half of it, in no order.
    chance.shuffle(first)
    telling.tell(first, telling.scores)
    telling.recompute()
    assert_same(telling)

    # 2. The rest; some of it is retracted, corrected and deleted, some is told twice, at once and at another time.
    gone = chance.sample([one for one in telling.events if one.type != "mentoring.relationship.started.v1"], 60)
    moved = [one.model_copy(update={"time": one.time + DAY}) for one in chance.sample(first, 10)]
    others = chance.sample(telling.scores, 120)
    corrections = [
        (pair, row(one.as_of, 2, deleted=True) if n % 3 == 0 else said(chance, (one.as_of - BEGIN) / DAY, "active", 2))
        for n, (pair, one) in enumerate(others)
    ]
    telling.tell([*later, *later[:20], *moved, *(retracted(one, one.subject, tenant) for one in gone)], [])
    telling.tell([], corrections, again=True)
    telling.recompute()
    assert_same(telling)
    found = telling.answers()

    # 3. Everything computed anew, and everything read again from the beginning.
    recompute_all(telling.clickhouse, lambda _: None)
    assert telling.answers() == found
    telling.tell(telling.events, telling.scores)
    telling.recompute()
    assert telling.answers() == found

    # 4. One pair is erased, and its events come once more.
    telling.tell([event("relationship.erased", DAYS, "b", tenant, by="admin", evidence="admin")], [])
    telling.recompute()
    assert_same(telling)
    assert telling.answers() != found
    telling.tell([one for one in telling.events if one.subject == "b"], [])
    recompute_all(telling.clickhouse, lambda _: None)
    telling.recompute()
    assert_same(telling)


def test_rows_of_a_pair_are_in_its_timeline_as_soon_as_they_are_stored(telling: Telling) -> None:
    """It reads the scores themselves, also of a pair that no derived table knows yet."""
    of_pair = {one.as_of for pair, one in telling.scores if pair == PAIRS[0]}

    telling.tell([], telling.scores)

    assert {at for at, *_ in telling.asked(NOW["timeline"])} == {one.replace(tzinfo=None) for one in of_pair}
