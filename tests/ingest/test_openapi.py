"""The running gateway answers arbitrary requests as its OpenAPI document states, and never with a 500."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.runtime.settings import Settings
from tests.ingest.conftest import SOURCE, make_token, running_gateway
from tests.ingest.tooling import SECRETS, connections_file, sign_slack, sign_zoom

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 25
# Some of what is sent is for a connection that exists, and proven, so that more is looked at than who sends it.
CONNECTIONS = ("zoom_acme", "slack_acme", "xapi_acme", "hr_acme")


@pytest.fixture(scope="module")
def token(broker: Settings) -> str:
    return make_token(broker, tenant="described", sources=(SOURCE,), admin=True)


@pytest.fixture(scope="module")
def api(broker: Settings, token: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    file = connections_file(tmp_path_factory.mktemp("connections"))
    with running_gateway(broker.kafka, token, ingest_connections=file) as running:
        yield schemathesis.openapi.from_url(f"{running.client.base_url}/openapi.json")


def test_every_answer_is_one_that_the_document_names(api: schemathesis.BaseSchema, token: str) -> None:
    operations = [found.ok() for found in api.get_all_operations() if isinstance(found, Ok)]

    assert {operation.path for operation in operations} >= {"/", "/v1/events", "/v1/sources/{tool}/{connection}"}
    for operation in operations:
        _hold(operation, token)


def _hold(operation: Any, token: str) -> None:  # noqa: ANN401 (schemathesis gives it no public name)
    @given(case=operation.as_strategy())
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def is_described(case: schemathesis.Case[Any]) -> None:
        connection = _aimed(case)
        request = requests.Request(**_arguments(case)).prepare()
        for name, value in _proof(connection, token, request).items():
            request.headers.setdefault(name, value)

        with requests.Session() as session:
            response = session.send(request, timeout=30)

        case.validate_response(response, checks=CHECKS)

    is_described()


def _aimed(case: schemathesis.Case[Any]) -> str:
    """Half of what is for a tool goes to a connection; returns its name."""
    if "tool" not in case.path_parameters or len(case.path_parameters["tool"]) % 2:
        return ""
    connection = CONNECTIONS[len(case.path_parameters["connection"]) % len(CONNECTIONS)]
    case.path_parameters |= {"tool": connection.partition("_")[0], "connection": connection}
    if connection == "xapi_acme" and "route" in case.path_parameters:
        case.path_parameters["route"] = "about" if case.method == "GET" else "statements"
    return connection


def _arguments(case: schemathesis.Case[Any]) -> dict[str, Any]:
    names = ("method", "url", "headers", "params", "data", "json", "files", "cookies")
    return {name: value for name, value in case.as_transport_kwargs().items() if name in names}


def _proof(connection: str, token: str, request: requests.PreparedRequest) -> Mapping[str, str]:
    body = request.body.encode() if isinstance(request.body, str) else request.body or b""
    assert isinstance(body, bytes)
    match connection:
        case "zoom_acme":
            return sign_zoom(body, SECRETS[connection])
        case "slack_acme":
            return sign_slack(body, SECRETS[connection])
        case "xapi_acme":
            credentials = b64encode(SECRETS[connection].encode()).decode()
            return {"authorization": f"Basic {credentials}", "x-experience-api-version": "1.0.3"}
        case "hr_acme":
            return {"authorization": f"Bearer {SECRETS[connection]}"}
        case _:
            return {"authorization": f"Bearer {token}"}
