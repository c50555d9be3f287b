"""A fact that comes 400 days late, from the gateway to ClickHouse: `rapport scoring heal`, then `replay`."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.local.data_folder import Clock
from deploy.local.demo.progress import wait_for
from deploy.local.stack import CommandFailedError
from tests.journeys.system import System, clock_reached, event, system

BEGIN = datetime(2024, 6, 3, 10, tzinfo=UTC)
END = BEGIN + timedelta(days=450)
NEWEST = "SELECT relationship_id, as_of, health FROM mentoring_mart.relationship_current ORDER BY ALL"
DAYS = "SELECT * EXCEPT (version) FROM mentoring.program_daily FINAL ORDER BY ALL"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with system(tmp_path_factory.mktemp("healed") / "data", Clock.LOG) as running:
        yield running


def test_a_late_fact_is_healed_and_a_replay_finds_nothing_to_change(whole: System) -> None:
    token, started = whole.token("acme", "/test"), {"mentors": ["a"], "mentees": ["b"]}
    told = [event(name, "relationship.started", BEGIN, **started) for name in ("one", "two")]
    told += [held(name, week) for week in range(60) for name in ("one", "two")]
    told += [clock_reached(END - timedelta(days=1)), held("one", 2, days=3), clock_reached(END)]
    whole.post(token, told).raise_for_status()
    wait_for(END.timestamp(), whole.stack.environment, lambda _: None)
    assert "stale  1 left out, they need a heal: acme/one" in whole.verify()

    healed = document(whole.stack.run("scoring", "heal", "--json"))

    assert healed["healed"]["acme/one"]["told"] > 200
    assert (list(healed["healed"]), healed["left"]) == (["acme/one"], [])
    verdict = whole.verify()
    assert "stale" not in verdict
    assert verdict.splitlines()[-1] == "equal"
    assert whole.stack.run("scoring", "heal", "acme/one").splitlines()[-1] == "0 healed"
    with pytest.raises(CommandFailedError, match="there is no relationship acme/three"):
        whole.stack.run("scoring", "heal", "acme/three")

    rehearsed = document(whole.stack.run("scoring", "replay", "--dry-run", "--processes", "1", "--json"))
    newest, days = whole.ask(NEWEST), whole.ask(DAYS)
    replayed = document(whole.stack.run("scoring", "replay", "--json"))

    assert f"truth  {rehearsed['hash']}  {rehearsed['rows']} rows" in verdict
    assert {name: replayed[f"rows_{name}"] for name in ("as_before", "changed", "gone", "new")} == {
        "as_before": rehearsed["rows"],
        "changed": 0,
        "gone": 0,
        "new": 0,
    }
    assert replayed["table_from_before"] == "dropped"
    assert whole.verify() == verdict
    assert (whole.ask(NEWEST), whole.ask(DAYS)) == (newest, days)


def document(said: str) -> dict[str, Any]:
    """The JSON behind the lines of progress."""
    found: dict[str, Any] = json.loads(said[said.index("{") :])
    return found


def held(relationship: str, week: int, days: float = 0) -> dict[str, object]:
    at = BEGIN + timedelta(days=7 * week + days)
    return event(
        relationship, "session.held", at, session_id=f"{relationship}-{week}-{days}", started_at=at.isoformat()
    )
