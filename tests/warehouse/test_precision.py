"""How often a rule is right, on a history whose figures are known: by the votes of people and by what happened after,
in the mart, by the ready query and on the board alike."""

import csv
import io
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from deploy.local.clickhouse import LocalClickHouse
from schemas.alerts import AlertChanged, AlertHandled
from schemas.events import OfRelationship, to_json
from services.notify.topics import NotifyTopics
from services.runtime.clickhouse import ClickHouse
from services.runtime.settings import Settings
from services.warehouse.__main__ import main
from services.warehouse.domain.target import ALERT_LOG, EVENT_LOG
from services.warehouse.flow.derived import DerivedTables
from services.warehouse.settings import WarehouseSettings
from tests.notify.board.world import World, served, signed_in
from tests.warehouse.conftest import READER_PASSWORD
from tests.warehouse.known_history import at, event, put
from tests.warehouse.samples import alert, handled

LOW, QUIET = "health_low", "disengaging"
WITHDRAWN = "corrected: it was never so"


@dataclass(frozen=True)
class Past:
    """`met`: on which days; `ended`: unplanned, on that day; `votes`: on which days what was said of its alert."""

    pair: str
    rule: str = LOW
    fired: float = 1
    met: tuple[float, ...] = ()
    ended: float | None = None
    votes: tuple[tuple[float, str], ...] = ()
    refused: bool = False
    withdrawn: bool = False

    def alerts(self, tenant: str) -> Iterator[AlertChanged | AlertHandled]:
        key = f"{sha256(f'{self.pair} {self.rule}'.encode()).hexdigest()[:32]}-1"
        fired = alert(at(self.fired), self.pair, tenant, rule=self.rule, dedup_key=key)
        yield fired
        for day, verdict in self.votes:
            yield handled(fired, "vote", at(day), verdict=verdict, refused="it is not yours" if self.refused else None)
        if self.withdrawn:
            over = {"transition": "resolved", "why": WITHDRAWN, "seq": 1}
            yield alert(at(self.fired + 1), self.pair, tenant, rule=self.rule, dedup_key=key, **over)

    def events(self, tenant: str) -> Iterator[OfRelationship]:
        for day in self.met:
            yield event("session.held", day, self.pair, tenant, session_id=f"{self.pair}-{day}", started_at=at(day))
        if self.ended is not None:
            told = {"planned": False, "reason_code": "no_time", "initiated_by": "mentee"}
            yield event("relationship.ended", self.ended, self.pair, tenant, **told)


PASTS = (
    Past("a-met", met=(0.5, 10), votes=((2, "useful"),)),
    # What was said last counts.
    Past("b-fell-silent", met=(0.5, 45), votes=((2, "not_useful"), (3, "useful"))),
    # It ended, though they had met once more.
    Past("c-ended", met=(0.5, 5), ended=20, votes=((2, "not_useful"),)),
    # Its horizon has not passed: nobody knows yet what becomes of it.
    Past("d-too-early", fired=50, votes=((51, "useful"),)),
    # It was never so: neither its vote nor what happened counts.
    Past("e-withdrawn", votes=((2, "useful"),), withdrawn=True),
    # A vote that was refused is none.
    Past("f-met", met=(0.5, 31.9 - 2), votes=((2, "not_useful"),), refused=True),
    Past("a-met", rule=QUIET, met=(), votes=((2, "not_useful"),)),
    # On the day after the horizon is too late.
    Past("g-too-late", met=(0.5, 33), fired=1.5),
)
"""By votes 3 of 4 are useful, by what happened 3 of 5 came true (b, c, g; not a, f)."""


class Known(NamedTuple):
    url: str
    tenant: str


@pytest.fixture(scope="module")
def known(warehouse_server: LocalClickHouse) -> Known:
    tenant = f"precision-{uuid.uuid4().hex[:8]}"
    with closing(ClickHouse(WarehouseSettings(clickhouse=warehouse_server.url))) as clickhouse:
        put(clickhouse, EVENT_LOG, [to_json(one) for past in PASTS for one in past.events(tenant)])
        put(clickhouse, ALERT_LOG, [to_json(one) for past in PASTS for one in past.alerts(tenant)])
        DerivedTables(clickhouse, 0, threading.Event()).recompute_if_due()
    return Known(warehouse_server.url, tenant)


def test_the_mart_counts_the_last_vote_on_each_alert_and_what_happened_within_the_horizon(known: Known) -> None:
    with closing(ClickHouse(WarehouseSettings(clickhouse=known.url))) as clickhouse:
        found = clickhouse.query(
            "SELECT rule, alerts, withdrawn, useful, not_useful, precision_by_votes, outcomes, came_true, "
            f"precision_by_outcome FROM mentoring_mart.rule_precision WHERE tenant_id = '{known.tenant}' ORDER BY rule"
        )

    assert found == [
        (QUIET, 1, 0, 0, 1, 0.0, 1, 0, 0.0),
        (LOW, 6, 1, 3, 1, 0.75, 5, 3, 0.6),
    ]


def test_a_reader_gets_it_from_the_prepared_query(known: Known) -> None:
    asked = CliRunner().invoke(
        main,
        ["queries", "alert_precision", "--param", f"tenant={known.tenant}", "--format", "csv"],
        env={"RAPPORT_CLICKHOUSE": known.url, "RAPPORT_WAREHOUSE_READER_PASSWORD": READER_PASSWORD},
        catch_exceptions=False,
    )

    found = list(csv.DictReader(io.StringIO(asked.output)))
    assert [(one["rule"], one["precision_by_votes"], one["precision_by_outcome"]) for one in found] == [
        (QUIET, "0.0", "0.0"),
        (LOW, "0.75", "0.6"),
    ]


def test_the_board_says_the_same(known: Known) -> None:
    world = World(NotifyTopics(), now=at(60))
    for past in PASTS:
        for one in past.alerts(known.tenant):
            world.write(world.names.alerts, one.partitionkey, to_json(one))
    secret = world.token("p-9", "admin", tenant=known.tenant)

    with (
        world.board(Settings(kafka="127.0.0.1:1"), clickhouse=known.url) as board,
        served(board) as url,
        signed_in(url, secret) as client,
    ):
        page = client.get("/rules").text

    assert _figures(page, LOW) == {"Useful": "3 of 4", "Came true": "3 of 5"}
    assert _figures(page, QUIET) == {"Useful": "0 of 1", "Came true": "0 of 1"}
    assert _figures(page, "health_drop") == {"Useful": "no votes", "Came true": "not known yet"}


def _figures(page: str, rule: str) -> dict[str, str]:
    card = page.partition(f"<strong>{rule.replace('_', ' ')}</strong>")[2].partition("</li>")[0]
    told = dict(re.findall("<dt>(.+?)</dt><dd>(.+?)</dd>", card))
    return {name: told[name] for name in ("Useful", "Came true")}
