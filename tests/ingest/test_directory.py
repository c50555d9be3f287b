"""Writing and erasing people over HTTP."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from schemas.directory import Participant
from services.runtime.settings import Settings
from tests.ingest.conftest import SOURCE, Gateway, event, make_token
from tests.ingest.tooling import DirectoryLog
from tests.receiver import eventually

PATH = "/v1/directory/participants"
ADA = {"id": "p-ada", "name": "Ada", "time_zone": "Europe/Berlin", "consent": True}


class Directory:
    """As seen by one token."""

    def __init__(self, gateway: Gateway, secret: str) -> None:
        self._client, self._headers = gateway.client, {"authorization": f"Bearer {secret}"}

    def post(self, body: object, content_type: str = "application/json") -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._client.post(PATH, content=content, headers={**self._headers, "content-type": content_type})

    def delete(self, participant: str) -> httpx.Response:
        return self._client.delete(f"{PATH}/{participant}", headers=self._headers)


def directory(gateway: Gateway, broker: Settings, **scopes: Any) -> Directory:  # noqa: ANN401 (the token's own fields)
    secret = make_token(broker, **scopes)
    bearer = {"authorization": f"Bearer {secret}"}
    eventually(lambda: gateway.post(event(source=SOURCE), **bearer).status_code != 401)
    return Directory(gateway, secret)


def test_people_are_written_with_their_tenant_and_replaced(gateway: Gateway, broker: Settings) -> None:
    tenant, log = f"t{uuid4().hex}", DirectoryLog(broker)
    ours = directory(gateway, broker, tenant=tenant)

    first = ours.post([ADA, ADA | {"id": "p-ben", "tenant": tenant, "recordedtime": "1990-01-01T00:00:00Z"}])
    again = ours.post([ADA | {"name": "Ada B", "status": "leave", "addresses": None}])

    assert (first.status_code, first.json()["recorded"], again.status_code) == (202, 2, 202)
    assert first.json()["participants"][1] == {"index": 1, "id": "p-ben", "status": 202, "reason": "recorded"}
    records = log.records()
    assert [record.key for record in records] == [f"{tenant}/{one}".encode() for one in ("p-ada", "p-ben", "p-ada")]
    newest = Participant.model_validate_json(records[-1].value or b"")
    assert (newest.name, newest.status, newest.recordedtime.year > 2000) == ("Ada B", "leave", True)


def test_some_of_many_are_written(gateway: Gateway, broker: Settings) -> None:
    ours, log = directory(gateway, broker), DirectoryLog(broker)

    mixed = ours.post([ADA | {"tenant": "other"}, ADA, ADA | {"name": ""}, "p-ben"])
    none = ours.post([ADA | {"consent": "yes"}])

    assert (mixed.status_code, mixed.json()["rejected"], log.growth()) == (207, 3, 1)
    reasons = [(one["status"], one["reason"]) for one in mixed.json()["participants"]]
    assert reasons == [(403, "forbidden"), (202, "recorded"), (400, "invalid"), (400, "malformed")]
    assert (none.status_code, none.json()["participants"][0]["errors"][0]["path"]) == (400, "consent")


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        ({}, "application/json", 400),
        ([], "application/json", 400),
        ([ADA], "text/csv", 415),
        (b"[" + b" " * 2**20 + b"]", "application/json", 413),
        (b"[" * 100_000, "application/json", 400),
    ],
)
def test_what_is_no_list_of_people_is_refused(
    gateway: Gateway, broker: Settings, body: object, content_type: str, status: int
) -> None:
    answer = directory(gateway, broker).post(body, content_type)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_only_a_token_of_the_whole_tenant_may_write_people(gateway: Gateway, broker: Settings) -> None:
    nobody = Directory(gateway, "rpt_nobody_00").post([ADA])
    limited = directory(gateway, broker, programs=("onboarding",)).post([ADA])

    assert (nobody.status_code, limited.status_code) == (401, 403)


def test_an_administrator_erases_people_of_their_tenant(gateway: Gateway, broker: Settings) -> None:
    tenant = f"t{uuid4().hex}"
    admin, other = directory(gateway, broker, tenant=tenant, admin=True), directory(gateway, broker, tenant=tenant)
    admin.post([ADA])
    log = DirectoryLog(broker)

    refused, erased, odd = other.delete("p-ada"), admin.delete("p-ada"), admin.delete("p%20ada")

    assert (refused.status_code, erased.status_code, odd.status_code) == (403, 202, 400)
    assert [(record.key, record.value) for record in log.records()] == [(f"{tenant}/p-ada".encode(), None)]


def test_the_api_document_describes_people(gateway: Gateway) -> None:
    paths = gateway.client.get("/openapi.json").json()["paths"]

    assert set(paths[PATH]["post"]["responses"]) >= {"202", "207", "400", "401", "403", "413", "415", "503"}
    assert set(paths[PATH + "/{participant}"]["delete"]["responses"]) >= {"202", "400", "401", "403", "503"}
