"""Connections to tools for the tests of the gateway: two Zoom accounts of two tenants, and Slack."""

import json
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import yaml

from schemas.directory import Participant
from schemas.events import MentoringEvent, to_json
from schemas.topics import DIRECTORY, DIRECTORY_STATEMENTS, EVENTS
from services.ingest.console import write
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.people.participants import replace_statement
from services.ingest.domain.scope import Scope
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.verdict import Admitted
from services.ingest.flow.people.followers import FRESH_SECONDS, ProjectionFollower
from services.ingest.flow.people.projected_topics import PROGRESS_KEY, ProgressRecord, load
from services.ingest.flow.tools.tool_records import GROUP
from services.ingest.sources.tool import hmac_hex
from services.runtime.health import Health
from services.runtime.kafka import Reader, Record, open_reader, read_to_end
from services.runtime.settings import Settings
from tests import plain_http
from tests.ingest.conftest import Gateway, Log
from tests.receiver import eventually

JSON = "application/json"
# A follower reads what is projected within this.
FOLLOWED_SECONDS = 0.5
SECRETS = {
    "zoom_acme": "secret of acme's account",
    "zoom_leaders": "secret of the leaders' account",
    "zoom_globex": "secret of globex's account",
    "slack_acme": "secret of acme's workspace",
    "xapi_acme": "a-user:secret of acme's learning record store",
    "hr_acme": "secret of acme's HR department",
}
CONNECTIONS: tuple[dict[str, object], ...] = (
    {"id": "zoom_acme", "tool": "zoom", "tenant": "acme", "program": "onboarding"},
    {"id": "zoom_leaders", "tool": "zoom", "tenant": "acme", "program": "leaders"},
    {"id": "zoom_globex", "tool": "zoom", "tenant": "globex"},
    {
        "id": "slack_acme",
        "tool": "slack",
        "tenant": "acme",
        "settings": {"channels": {"C1": {"relationship": "rel-talk"}}},
    },
)


def connections_file(folder: Path) -> Path:
    """The secrets lie in files beside it."""
    entries = []
    for connection in CONNECTIONS:
        name = str(connection["id"])
        (folder / name).write_text(SECRETS[name] + "\n")
        entries.append(connection | {"secret_file": name})
    file = folder / "connections.yaml"
    file.write_text(yaml.safe_dump({"connections": entries}))
    return file


JOINED, LEFT = "participant_joined", "participant_left"


def zoom(what: str, meeting: str, email: str = "", at: str = "2026-03-02T10:00:00Z", **more: object) -> dict[str, Any]:
    """One of Zoom's events, with the names and the topic that it always has."""
    person = {"user_name": "Somebody", "email": email, "user_id": email, "join_time": at, "leave_time": at}
    run = {"id": meeting, "uuid": f"{meeting}==", "topic": "our talk", "end_time": at, "participant": person}
    return {"event": f"meeting.{what}", "event_ts": 1772445600000, "payload": {"account_id": "a", "object": run | more}}


def sign_zoom(body: bytes, secret: str, stamp: int | None = None) -> dict[str, str]:
    moment = str(round(time.time()) if stamp is None else stamp)
    signature = f"v0={hmac_hex(secret, f'v0:{moment}:'.encode() + body)}"
    return {"x-zm-signature": signature, "x-zm-request-timestamp": moment, "content-type": JSON}


def sign_slack(body: bytes, secret: str) -> dict[str, str]:
    headers = sign_zoom(body, secret)
    return {
        "x-slack-signature": headers["x-zm-signature"],
        "x-slack-request-timestamp": headers["x-zm-request-timestamp"],
        "content-type": JSON,
    }


def post_zoom(
    gateway: Gateway, value: object, connection: str = "zoom_acme", secret: str | None = None
) -> httpx.Response:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    headers = sign_zoom(body, SECRETS[connection] if secret is None else secret)
    return plain_http.post(url(gateway, "zoom", connection), content=body, headers=headers, timeout=30)


def url(gateway: Gateway, tool: str, connection: str) -> str:
    return f"http://127.0.0.1:{gateway.settings.ingest_port}/v1/sources/{tool}/{connection}"


def meeting_id() -> str:
    return str(uuid4().int % 10**11)


@dataclass(frozen=True)
class Pair:
    """A relationship of two people, by whose ids their addresses are made."""

    tenant: str
    program: str
    relationship: str

    @property
    def mentor(self) -> str:
        return f"mentor-of-{self.relationship}@example.com"

    @property
    def mentee(self) -> str:
        return f"mentee-of-{self.relationship}@example.com"


def make_pair(broker: Settings, tenant: str = "acme", program: str = "onboarding") -> Pair:
    """Two people of the directory, and their relationship on the log."""
    pair = Pair(tenant, program, f"rel-{uuid4().hex}")
    people = [_participant(pair, "mentor", pair.mentor), _participant(pair, "mentee", pair.mentee)]
    write_people(broker, people)
    write(broker, EVENTS.name, {f"{tenant}/{pair.relationship}": to_json(_started(pair))})
    await_followed(broker)
    return pair


def write_people(broker: Settings, people: Iterable[Participant]) -> None:
    """As the gateway does."""
    said = [replace_statement(one, "urn:test:roster") for one in people]
    records = {f"{one.tenant}/{one.id}": one.model_dump_json().encode() for one in said}
    write(broker, DIRECTORY_STATEMENTS.name, records)


@dataclass
class DirectoryLog(Log):
    """The records of the directory since this object was created. A read waits until all statements are merged."""

    topic: str = DIRECTORY.name

    def __post_init__(self) -> None:
        await_merged(self.settings)
        super().__post_init__()

    def records(self) -> list[Record]:
        await_merged(self.settings)
        return [record for record in super().records() if record.key != PROGRESS_KEY]

    def growth(self) -> int:
        return len(self.records())


def await_merged(broker: Settings) -> None:
    """Wait until all statements so far are in the directory."""
    with open_reader(broker, [DIRECTORY_STATEMENTS.name]) as reader:
        (end,) = reader.end_offsets(sorted(reader.assignment())).values()

    def reached() -> int:
        progress = 0
        for record in read_to_end(broker, [DIRECTORY.name], isolation_level="read_committed"):
            if record.key == PROGRESS_KEY:
                progress = load(ProgressRecord, record.value or b"").next_offset
        return progress

    eventually(lambda: reached() >= end, what="statements about people to be in the directory")


def await_followed(broker: Settings) -> None:
    """Wait until the complete log is projected and followed: until then, participants are strangers."""
    assert ProjectionFollower(broker, Projection(), Health()).read_once(60), "nothing projects the log"
    time.sleep(FOLLOWED_SECONDS)


def await_handled(broker: Settings, topic: str) -> None:
    """Wait until the worker of tools has handled all that is on a raw topic now."""
    with closing(Reader(broker, GROUP)) as asked:
        ends = asked.end_offsets(asked.assign([topic]))
        eventually(lambda: asked.group_lag(ends) == 0, what=f"what is on {topic}")


def await_up_to_date(follower: ProjectionFollower) -> None:
    """Wait until this follower reflects all that is on the log now."""
    asked_at = time.monotonic()
    # It is fresh for so long after it has asked for the end that it has reached since.
    eventually(lambda: follower.fresh_until >= asked_at + FRESH_SECONDS, what="the follower")


def _participant(pair: Pair, side: str, address: str) -> Participant:
    return Participant(
        id=f"{side}-{pair.relationship}",
        tenant=pair.tenant,
        name="A Person",
        addresses=(address,),
        time_zone="UTC",
        consent=True,
        recordedtime=datetime.now(UTC),
    )


def _started(pair: Pair) -> MentoringEvent:
    given = {
        "source": "urn:test:roster",
        "id": uuid4().hex,
        "type": "mentoring.relationship.started.v1",
        "time": "2026-01-01T00:00:00Z",
        "subject": pair.relationship,
        "program": pair.program,
        "data": {"mentors": [f"mentor-{pair.relationship}"], "mentees": [f"mentee-{pair.relationship}"]},
    }
    scope = Scope(pair.tenant, frozenset({"urn:test:roster"}))
    verdict = admit(given | {"specversion": "1.0"}, scope, Clock(datetime.now(UTC)))
    assert isinstance(verdict, Admitted), verdict
    return verdict.event


def of(pair: Pair, log: Log) -> list[dict[str, Any]]:
    """What the log tells of the pair since the Log was made, in its order."""
    key = f"{pair.tenant}/{pair.relationship}".encode()
    return [json.loads(record.value or b"") for record in log.records() if record.key == key]
