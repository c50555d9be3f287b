"""Zoom payloads with the members that Zoom documents, and their translations."""

from datetime import UTC, datetime
from typing import Any

from services.ingest.domain.verdict import Rejected
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.zoom.tool import TOOL

TOLD_AT = datetime(2026, 3, 2, 11, tzinfo=UTC)
UUID = "/4444AAAiAAAAAiAiAiiAii=="

PARTICIPANT = {
    "user_id": "16778240",
    "user_name": "Somebody",
    "id": "iFxeBPYun6SAiWUzBcEkX",
    "participant_uuid": "55555AAAiAAAAAiAiAiiAii",
    "email": "ada@example.com",
    "registrant_id": "abcdefghij0-klmnopq23456",
    "participant_user_id": "rstuvwxyza789-cde",
    "customer_key": "349589LkJyeW",
    "phone_number": "1234567890",
}


def event(name: str, meeting: object, **payload: object) -> dict[str, Any]:
    stamp = int(TOLD_AT.timestamp() * 1000)
    return {"event": name, "event_ts": stamp, "payload": {"account_id": "AAAAAABBBB", **payload, "object": meeting}}


def run(**changes: object) -> dict[str, Any]:
    meeting = {
        "id": "93200000000",
        "uuid": UUID,
        "host_id": "x1yCzABCDEfg23HiJKl4mN",
        "topic": "My Meeting",
        "type": 8,
        "start_time": "2026-03-02T09:44:51Z",
        "timezone": "America/Los_Angeles",
        "duration": 600,
    }
    return meeting | changes


def joined(**changes: object) -> dict[str, Any]:
    times = {"join_time": "2026-03-02T10:01:00Z"}
    return event("meeting.participant_joined", run(participant=PARTICIPANT | times | changes))


def left(**changes: object) -> dict[str, Any]:
    times = {
        "leave_time": "2026-03-02T10:31:00Z",
        "leave_reason": "Somebody left the meeting.<br>Reason: Host ended it.",
    }
    return event("meeting.participant_left", run(participant=PARTICIPANT | times | changes))


def ended(**changes: object) -> dict[str, Any]:
    return event("meeting.ended", run(end_time="2026-03-02T10:32:00Z") | changes)


def scheduled(**changes: object) -> dict[str, Any]:
    meeting = {
        "uuid": UUID,
        "id": 93200000000,
        "host_id": "x1yCzABCDEfg23HiJKl4mN",
        "topic": "Mentoring",
        "type": 2,
        "start_time": "2026-03-09T10:00:00Z",
        "duration": 45,
        "timezone": "Europe/Berlin",
        "join_url": "https://example.zoom.us/j/1?pwd=x",
        "password": "8pEkRweVXPV3Ob2KJYgFTRlDtl1gSn",
        "settings": {
            "use_pmi": False,
            "alternative_hosts": "eve@example.com;",
            "meeting_invitees": [{"email": "ada@example.com"}, {"email": "bob@example.com"}],
        },
    }
    return meeting | changes


def created(**changes: object) -> dict[str, Any]:
    who = {"operator": "host@example.com", "operator_id": "x1yCzABCDEfg23HiJKl4mN", "operation": "all"}
    return event("meeting.created", scheduled(**changes), **who)


def updated(meeting: object, old: object = None, scope: str = "all") -> dict[str, Any]:
    return event("meeting.updated", meeting, operator="host@example.com", scope=scope, old_object=old)


def deleted(**changes: object) -> dict[str, Any]:
    return event("meeting.deleted", scheduled(**changes), operator="host@example.com", operation="all")


def occurrence(stamp: int, start: str, **changes: object) -> dict[str, Any]:
    return {"occurrence_id": str(stamp), "start_time": start, "duration": 30, "status": "available"} | changes


SERIES = [occurrence(1, "2026-03-09T10:00:00Z"), occurrence(2, "2026-03-16T10:00:00Z")]
SAMPLES = [
    *(joined(), left(), ended(), created(), created(type=8, occurrences=SERIES), deleted()),
    *(updated(scheduled(), {"start_time": "2026-03-08T10:00:00Z"}), updated({"id": 1, "duration": 5}, {"id": 1})),
    *(updated({"id": 1, "occurrences": SERIES}, {"id": 1, "occurrences": [occurrence(3, "2026-03-10T10:00:00Z")]}),),
]


def activities_of(value: object) -> Any:  # noqa: ANN401 (each test knows what)
    result = TOOL.translate(value, ToolSettings())
    assert isinstance(result, tuple), result
    return result


def only(value: object) -> Any:  # noqa: ANN401
    (one,) = activities_of(value)
    return one


def verdict(value: object) -> Any:  # noqa: ANN401
    return TOOL.translate(value, ToolSettings())


def paths(value: object) -> list[str]:
    result = verdict(value)
    assert isinstance(result, Rejected), result
    return [error.path for error in result.errors]
