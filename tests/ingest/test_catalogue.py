"""The event catalogue: each of its requests, and each request of a generated client, is accepted."""

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from schemas.catalogue import CLOCK_REACHED, SOURCE, entries
from schemas.events import ADMIN_TYPES, EVENT_TYPES
from services.runtime.settings import Settings
from tests.ingest.conftest import Gateway, make_token, running_gateway

CATALOGUE = Path(__file__).parents[2] / "schemas" / "catalogue"
CURL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
TAKEN = {"recorded", "duplicate"}
EVENTS = {entry.type: entry.event for found in entries().values() for entry in found}


@pytest.fixture(scope="module")
def secret(broker: Settings) -> str:
    return make_token(broker, tenant="catalogue", sources=(SOURCE,), admin=True)


@pytest.fixture(scope="module")
def described(broker: Settings, secret: str) -> Iterator[Gateway]:
    """On the log's clock, where every type may be sent."""
    with running_gateway(broker.kafka, secret, clock="log") as running:
        yield running


def test_every_request_of_the_catalogue_is_accepted(described: Gateway, broker: Settings, secret: str) -> None:
    given = {"TOKEN": make_token(broker, tenant="catalogue", sources=(SOURCE,)), "ADMIN_TOKEN": secret}
    environment = os.environ | given | {"GATEWAY": str(described.client.base_url)}
    requests = [block for page in sorted(CATALOGUE.glob("*.md")) for block in CURL.findall(page.read_text())]

    answers = {
        request: subprocess.run(["bash", "-c", request], env=environment, capture_output=True, text=True, check=True)
        for request in requests
    }

    assert len(requests) == len(EVENT_TYPES) - 1
    assert {r: a.stdout for r, a in answers.items() if json.loads(a.stdout).get("reason") not in TAKEN} == {}


def test_a_generated_client_posts_every_type(
    described: Gateway, secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _generate(described.client.get("/openapi.json").json(), tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    client: Any = importlib.import_module("rapport_client.client")
    models: Any = importlib.import_module("rapport_client.models")
    post: Any = importlib.import_module("rapport_client.api.default.post_events_v1_events_post")
    sender = client.AuthenticatedClient(base_url=str(described.client.base_url), token=secret)

    batch: Any = importlib.import_module("rapport_client.api.default.post_events_v1_events_batch_post")
    answers, made = {}, []
    for name, event in EVENTS.items():
        model = getattr(models, "".join(word.capitalize() for word in re.split(r"[._]", name)))
        made.append(model.from_dict(json.loads(json.dumps(event))))
        answer = post.sync_detailed(client=sender, body=made[-1])
        answers[name] = (answer.status_code.value, json.loads(answer.content).get("reason"))
    together = batch.sync_detailed(client=sender, body=made)

    assert answers.keys() == set(EVENT_TYPES)
    assert (together.status_code, json.loads(together.content)["duplicates"]) == (202, len(EVENT_TYPES)), together
    assert {name: found for name, found in answers.items() if found[0] != 202 or found[1] not in TAKEN} == {}


def _generate(document: object, folder: Path) -> None:
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "config.yaml").write_text("post_hooks: []\npackage_name_override: rapport_client\n")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    places = ["--path", "openapi.json", "--output-path", "rapport_client", "--config", "config.yaml"]
    subprocess.run([*command, *places], cwd=folder, check=True, capture_output=True, timeout=60)


def test_the_document_has_one_schema_for_each_type(described: Gateway) -> None:
    document = described.client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]

    assert set(schemas["Event"]["discriminator"]["mapping"]) == set(EVENT_TYPES)
    for name, reference in schemas["Event"]["discriminator"]["mapping"].items():
        schema = schemas[reference.rpartition("/")[2]]
        assert schema["properties"]["type"]["const"] == name
        assert {"specversion", "source", "id", "type", "time", "data"} <= set(schema["required"])
        assert {"tenant", "recordedtime", "partitionkey"}.isdisjoint(schema["required"])


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]
        self.ids |= {value or "" for name, value in attrs if name == "id"}


def test_the_page_for_people_shows_every_type_and_loads_nothing(described: Gateway) -> None:
    answer = described.client.get("/docs")
    page = _Page()
    page.feed(answer.text)

    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert set(EVENT_TYPES) <= page.ids
    assert {"script", "link", "img", "iframe"}.isdisjoint(page.tags)
    assert all(link == "openapi.json" or link.removeprefix("#") in page.ids for link in page.links)
    assert "POST /v1/events" in answer.text


@pytest.mark.parametrize(
    ("data", "path", "words"),
    [
        ({"sesion_id": "s-1"}, "data.sesion_id", "is not known here; did you mean session_id?"),
        ({"origin": {"toll": "x"}}, "data.origin.toll", "is not known here; did you mean tool?"),
        ({"session_id": "ada@example.com"}, "data.session_id", "must be an id: 1 to 128 letters, digits and . _ : -"),
        ({"started_at": "2099-01-01T00:00:00Z"}, "data.started_at", "lies in the future"),
    ],
)
def test_a_refusal_has_the_path_and_what_is_expected(
    described: Gateway, data: dict[str, object], path: str, words: str
) -> None:
    right = EVENTS["mentoring.session.held.v1"]

    answer = described.post({**right, "id": "other", "data": {**right["data"], **data}})

    assert answer.status_code == 400
    assert any(error["path"] == path and error["reason"].startswith(words) for error in answer.json()["errors"])


def test_admin_types_and_the_clock_are_named_as_such() -> None:
    control = (CATALOGUE / "control.md").read_text()

    assert {one for one in ADMIN_TYPES if one != CLOCK_REACHED} == {"mentoring.relationship.erased.v1"}
    assert control.count("Bearer $ADMIN_TOKEN") == 1
