"""Change and lifecycle notifications of Microsoft Graph, and the validation handshake."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from services.ingest.domain.activity import Pointer, Translation
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.microsoft_graph.tool import TOOL, MicrosoftGraphSettings
from services.ingest.sources.tool import Handshake, RawPayloads, Received, Unverified, Verification, Verified
from tests.ingest.sources.redaction import redacted_by

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
SECRET = "a-client-state"
USER = "4a0d-guid@84bd-tenant"


def notification(**changes: object) -> dict[str, Any]:
    return {
        "id": "lsgTZMr9KwAAA",
        "subscriptionId": "76222963-cc7b-42d2-882d-8aaa69cb2ba3",
        "subscriptionExpirationDateTime": "2026-03-19T22:11:09.952Z",
        "clientState": SECRET,
        "changeType": "updated",
        "resource": f"Users/{USER}/Events/AAMkAGI1AAAoZDOFAAA=",
        "tenantId": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
        "resourceData": {
            "@odata.type": "#Microsoft.Graph.Event",
            "@odata.id": f"Users/{USER}/Events/AAMkAGI1AAAoZDOFAAA=",
            "id": "AAMkAGI1AAAoZDOFAAA=",
        },
    } | changes


def lifecycle(kind: str) -> dict[str, Any]:
    changed = notification(lifecycleEvent=kind)
    return {name: value for name, value in changed.items() if name not in {"changeType", "resource", "resourceData"}}


def translated(value: object) -> Translation:
    return TOOL.translate(value, MicrosoftGraphSettings())


def posted(*notifications: object, **query: str) -> Received:
    body = json.dumps({"value": list(notifications)}).encode()
    return Received({"content-type": "application/json; charset=utf-8"}, body, query)


def proof(received: Received, secret: str = SECRET) -> Verification:
    return TOOL.verify(received, secret, NOW)


@pytest.mark.parametrize(
    ("resource", "pointed"),
    [
        (f"Users/{USER}/Events/AAMk=", f"users/{USER}/calendarView"),
        ("users/u-1/calendar/events/AAMk=", "users/u-1/calendarView"),
        ("/me/events/AAMk=", "me/calendarView"),
        ("users('u-1')/events('AAMk=')", "users/u-1/calendarView"),
        ("users/u-1/calendars/AAMkC=/events/AAMk=", "users/u-1/calendars/AAMkC=/calendarView"),
        ("Groups/g-1/Events/AAMk=", "groups/g-1/events/AAMk="),
        ("users('u-1')/onlineMeetings('MSo1=')/transcripts('t')", "users/u-1/onlineMeetings/MSo1=/attendanceReports"),
        ("users('u-1')/onlineMeetings('M/S=')", "users/u-1/onlineMeetings/M%2FS=/attendanceReports"),
        ("users/u-1/onlineMeetings/MSo1=", "users/u-1/onlineMeetings/MSo1=/attendanceReports"),
        ("me/onlineMeetings/M/attendanceReports/r-1", "me/onlineMeetings/M/attendanceReports/r-1"),
        ("users/u%201/events/A", "users/u%201/calendarView"),
        ("users/a?b#c/events/A", "users/a%3Fb%23c/calendarView"),
        ("users/../events/A", "users/%2E%2E/calendarView"),
    ],
)
def test_a_change_points_to_what_has_to_be_asked_for(resource: str, pointed: str) -> None:
    assert translated(notification(resource=resource)) == Pointer(pointed)


@pytest.mark.parametrize(
    "resource",
    [
        "users/u-1/messages/AAMk=",
        "communications/onlineMeetings(joinWebUrl='https%3A%2F%2Fteams')/meetingCallEvents",
        "communications/callRecords/r-1",
        "chats/c/messages/1",
        "users/u-1/events",
        "users//events/A",
    ],
)
def test_other_resources_are_ignored(resource: str) -> None:
    assert translated(notification(resource=resource)) == Ignored("other_resource")


@pytest.mark.parametrize("resource", [None, "", 5, "x" * 10_000_000])
def test_a_change_of_nothing_is_rejected(resource: object) -> None:
    match translated(notification(resource=resource)):
        case Rejected("invalid", (problem, *_)):
            assert problem.path == "resource"
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("reauthorizationRequired", "reauthorization_required"),
        ("subscriptionRemoved", "subscription_removed"),
        ("missed", "notifications_missed"),
    ],
)
def test_a_lifecycle_notification_is_for_the_operator(kind: str, reason: str) -> None:
    assert translated(lifecycle(kind)) == Ignored(reason)
    assert reason in TOOL.operator_reasons


def test_a_lifecycle_notification_of_a_kind_to_come_is_ignored() -> None:
    assert translated(lifecycle("somethingNew")) == Ignored("lifecycle")


def test_encrypted_content_is_left_unread_for_what_it_points_to() -> None:
    rich = notification(encryptedContent={"data": "YQ==", "dataKey": "YQ==", "dataSignature": "YQ=="})

    assert translated(rich) == Pointer(f"users/{USER}/calendarView")


def test_every_notification_of_a_post_is_recorded_for_itself() -> None:
    post = posted(notification(), lifecycle("missed"), notification(resource="users/b/events/c"))
    found = TOOL.split(post, MicrosoftGraphSettings(), NOW)

    assert isinstance(found, RawPayloads)
    assert [translated(json.loads(payload)) for payload in found.payloads] == [
        Pointer(f"users/{USER}/calendarView"),
        Ignored("notifications_missed"),
        Pointer("users/b/calendarView"),
    ]
    for payload in found.payloads:
        assert TOOL.split(Received({}, payload), MicrosoftGraphSettings(), NOW) == RawPayloads((payload,))


def test_a_post_of_one_can_be_read_whole_and_one_of_several_cannot() -> None:
    assert translated({"value": [notification()]}) == Pointer(f"users/{USER}/calendarView")
    assert isinstance(translated({"value": [notification(), notification()]}), Rejected)


def test_the_secret_of_a_notification_is_not_stored() -> None:
    found = redacted_by(TOOL, notification())

    assert SECRET not in json.dumps(found)
    assert translated(found) == Pointer(f"users/{USER}/calendarView")


def test_the_handshake_answers_with_the_token_as_plain_text() -> None:
    token = "Validation: Testing client application reachability for subscription Request-Id: 1-2-3"

    assert proof(Received({}, b"", {"validationToken": token})) == Handshake(token.encode(), "text/plain", 200)
    assert isinstance(proof(Received({}, b"", {"validationToken": "x" * 5_000})), Unverified)


def test_every_notification_must_carry_the_secret() -> None:
    assert proof(posted(notification(), lifecycle("missed"))) == Verified()
    for wrong in ("a-client-statE", "", None, 5, [SECRET]):
        assert isinstance(proof(posted(notification(), notification(clientState=wrong))), Unverified)
    for odd in ((), (5,), (notification(), 5), ({"clientState": SECRET},)):
        assert isinstance(proof(posted(*odd)), Unverified)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b'{"value": 5}', b'{"value": {}}', b"\xff"])
def test_a_body_that_is_none_of_graphs_is_refused(body: bytes) -> None:
    assert isinstance(proof(Received({}, body)), Unverified)


def test_who_sends_events_bears_the_secret() -> None:
    assert proof(Received({"authorization": f"Bearer {SECRET}"}, b"{}")) == Verified()
    assert isinstance(proof(Received({"authorization": "Bearer guess"}, b"{}")), Unverified)


def test_without_a_secret_no_request_is_verified() -> None:
    assert isinstance(proof(posted(notification(clientState="")), ""), Unverified)
