"""A meeting of two participants who are no pair yet: quarantined as `unresolved`, admitted after a requeue."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from schemas.topics import EVENTS, REJECTED, raw_topic
from services.ingest.__main__ import main
from services.ingest.flow import shared
from services.ingest.flow.people.followers import ProjectionFollower
from services.runtime.settings import Settings
from tests.ingest.conftest import Log, event, make_token, running_gateway
from tests.ingest.tooling import (
    JOINED,
    LEFT,
    await_followed,
    await_handled,
    await_up_to_date,
    connections_file,
    make_pair,
    meeting_id,
    post_zoom,
    zoom,
)
from tests.receiver import eventually


@pytest.fixture
def followers(monkeypatch: pytest.MonkeyPatch) -> list[ProjectionFollower]:
    """Those of the processes that the test starts: what another follower has reached says nothing about theirs."""
    found: list[ProjectionFollower] = []

    def noted(*given: Any, **named: Any) -> ProjectionFollower:  # noqa: ANN401 (the follower's own)
        found.append(ProjectionFollower(*given, **named))
        return found[-1]

    monkeypatch.setattr(shared, "ProjectionFollower", noted)
    return found


def test_a_parked_meeting_counts_once_its_pair_is_known(
    broker: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, followers: list[ProjectionFollower]
) -> None:
    monkeypatch.setenv("RAPPORT_KAFKA", broker.kafka)
    one, other = make_pair(broker), make_pair(broker)
    relationship, meeting = f"{one.relationship}-new", meeting_id()
    log, kept, since = Log(broker, EVENTS.name), Log(broker, REJECTED.name), datetime.now(UTC).isoformat()
    start = event(
        type="mentoring.relationship.started.v1",
        subject=relationship,
        time="2026-01-05T10:00:00Z",
        data={"mentors": [f"mentor-{one.relationship}"], "mentees": [f"mentee-{other.relationship}"]},
    )
    with running_gateway(broker.kafka, make_token(broker), ingest_connections=connections_file(tmp_path)) as gateway:
        for verb, email, at in (
            (JOINED, one.mentor, "2026-03-02T10:00:00Z"),
            (JOINED, other.mentee, "2026-03-02T10:01:00Z"),
            (LEFT, one.mentor, "2026-03-02T10:31:00Z"),
            (LEFT, other.mentee, "2026-03-02T10:32:00Z"),
        ):
            post_zoom(gateway, zoom(verb, meeting, email, at)).raise_for_status()
        await_handled(broker, raw_topic("zoom"))
        eventually(lambda: kept.growth() >= 3, what="the quarantine of what cannot be resolved")
        gateway.post(start).raise_for_status()
        await_followed(broker)
        await_up_to_date(followers[0])

        told = CliRunner().invoke(main, ["requeue", "--connection", "zoom_acme", "--since", since])

        assert "sent again" in told.stdout, told.output
        eventually(lambda: _told(log, relationship) >= {"session.joined", "session.left"}, what="the parked meeting")
        await_handled(broker, raw_topic("zoom"))
        again = CliRunner().invoke(main, ["requeue", "--connection", "zoom_acme", "--since", since])
    assert again.stdout.startswith("0 sent again, ")


def _told(log: Log, relationship: str) -> set[str]:
    values = [record.value or b"" for record in log.records() if (record.key or b"").endswith(relationship.encode())]
    return {kind for kind in ("session.joined", "session.left") for value in values if f"{kind}.v1".encode() in value}
