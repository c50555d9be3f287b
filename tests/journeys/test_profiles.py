"""A programme's profiles from `rapport programs apply` to ClickHouse, on the log's clock."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.local.data_folder import Clock
from deploy.local.demo.progress import wait_for
from deploy.local.stack import CommandFailedError
from tests.journeys.system import System, clock_reached, event, system

BEGIN = datetime(2026, 1, 5, 10, tzinfo=UTC)
CHANGE = BEGIN + timedelta(days=20, hours=3)
END = BEGIN + timedelta(days=40)
OWN = {"weights": {"growth": 10, "expectations": 5}, "cadence_days": 7}
ROWS = """
SELECT profile, min(as_of), groupUniqArrayArray(mapKeys(factors)), has(groupUniqArrayArray(causes), 'profile.changed')
FROM mentoring.score_history FINAL WHERE relationship_id = {relationship:String} GROUP BY profile ORDER BY min(as_of)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with system(tmp_path_factory.mktemp("profiles") / "data", Clock.LOG) as running:
        yield running


def test_a_profile_changes_scores_from_when_it_begins_and_a_late_description_is_no_silent_error(
    whole: System, tmp_path: Path
) -> None:
    first, later = {"version": "default-1"}, {"version": "spring-2", "effective_from": CHANGE.isoformat(), **OWN}
    apply(whole, tmp_path, "journey", [first, later])
    token = whole.token("acme", "/test")
    sent = [*history("one", "journey"), *history("two", "other"), clock_reached(END)]
    whole.post(token, sorted(sent, key=lambda e: str(e["time"]))).raise_for_status()
    wait_for(END.timestamp(), whole.stack.environment, lambda _: None)

    default, own = whole.ask(ROWS, relationship="one")

    assert (default[0], own[0], own[3]) == ("default-1", "spring-2", True)
    assert datetime.fromisoformat(f"{own[1]}Z") == CHANGE
    assert {"growth", "expectations"} <= set(own[2]) - set(default[2])
    assert "equal" in whole.verify()

    with pytest.raises(CommandFailedError, match=r"at least 1 hour from the end of the log, at 2026-02-14T11:00"):
        apply(whole, tmp_path, "journey", [first, later, {"version": "spring-3", "effective_from": END.isoformat()}])
    said = apply(whole, tmp_path, "other", [{"version": "other-1", **OWN}])
    verdict = whole.verify()

    assert "acme/other: applied; scores of it that are out already were made by the defaults" in said
    assert "stale  1 left out, they need a heal: acme/two" in verdict
    assert verdict.splitlines()[-1] == "equal"


def history(relationship: str, program: str) -> list[dict[str, Any]]:
    """A session a week and what the growth factors look at."""
    told = [event(relationship, "relationship.started", BEGIN, mentors=["a"], mentees=["b"])]
    for week in range(5):
        at = BEGIN + timedelta(days=7 * week + 1)
        told.append(
            event(relationship, "session.held", at, session_id=f"{relationship}-{week}", started_at=at.isoformat())
        )
        told.append(event(relationship, "reflection.recorded", at, by="mentee"))
    return [{**one, "program": program} for one in told]


def apply(whole: System, folder: Path, program: str, profiles: Sequence[object]) -> str:
    file = folder / "programme.json"
    file.write_text(json.dumps({"id": program, "tenant": "acme", "profiles": profiles}))
    return whole.stack.run("programs", "apply", str(file))
