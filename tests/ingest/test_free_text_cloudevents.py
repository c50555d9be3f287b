"""Free text in any member of a CloudEvent, by any way in, is stored nowhere."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from schemas.models import models
from schemas.topics import EVENTS, REJECTED, TOPICS
from services.ingest.domain.admission import IDS, IDS_IN_DATA, IDS_IN_ORIGIN, IDS_IN_RETRACTION
from services.ingest.domain.scope import Scope
from services.ingest.flow.people.program_lookup import ProgramLookup
from services.runtime.settings import Settings
from tests import plain_http
from tests.ingest.conftest import BATCH, STRUCTURED, Gateway, Log, event, make_token, running_gateway, stored_id
from tests.ingest.raw_topic import raw_batch, raw_events
from tests.receiver import eventually

WORDS = "She cries at night; write to ada@example.com"
NAME = "zzcriesatnight"
TRACES = (b"cries at night", b"ada@example", b"cries%20at", NAME.encode())
EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
CATALOGUE = sorted(
    name for name in models() if name.split(".")[0] not in {"score", "alert", "delivery"} and "." in name
)


def example(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_bytes())
    return found


SOURCES = tuple(sorted({example(name)["source"] for name in CATALOGUE}))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 (any JSON)
    """Of every text."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*path, number))


def put(event_: dict[str, Any], path: tuple[Any, ...], value: object) -> dict[str, Any]:
    changed = copy.deepcopy(event_)
    at: Any = changed
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return changed


OPTIONAL = {
    "correlationid": WORDS,
    "causationid": WORDS,
    "dataschema": f"https://example.com/{NAME}",
    "traceparent": WORDS,
    "tracestate": WORDS,
    "datacontenttype": WORDS,
}


def spoilt(name: str) -> Iterator[dict[str, Any]]:
    """Yield events with free text in one member at a time, in all at once, and in unknown members."""
    given = example(name)
    everywhere = given
    for path in places(given):
        yield put(given, path, WORDS)
        everywhere = put(everywhere, path, WORDS)
    yield everywhere
    yield everywhere | {"type": given["type"], "source": given["source"], "specversion": "1.0"}
    for attribute, words in OPTIONAL.items():
        yield given | {"id": f"{given['id']}-{attribute}", attribute: words}
    for member in (NAME, WORDS, "Remark"):
        yield given | {member: WORDS}
        yield put(given, ("data", member), WORDS)
        yield put(given, ("data", "origin"), {"tool": "zoom", "native_type": WORDS, "native_id": WORDS, member: WORDS})
        yield put(given, ("data", member), {WORDS: [WORDS]})
    yield put(given, ("data", "origin"), {"tool": "zoom", "native_type": WORDS, "native_id": WORDS})
    yield given | {"data": WORDS}


@pytest.fixture(scope="module")
def running(broker: Settings) -> Iterator[Gateway]:
    with running_gateway(
        broker.kafka, make_token(broker, sources=SOURCES, admin=True), ingest_parts=("projector",)
    ) as found:
        yield found


@pytest.fixture(scope="module")
def logs(broker: Settings) -> list[Log]:
    return [Log(broker, topic.name) for topic in TOPICS]


def clean(logs: list[Log]) -> None:
    for log in logs:
        for record in log.records():
            whole = b"\n".join(
                (record.key or b"", record.value or b"", *(part for n, v in record.headers for part in (n.encode(), v)))
            ).replace(b"\\u0040", b"@")
            assert not [trace for trace in TRACES if trace in whole.lower()], (log.topic, whole)


def headers_of(given: dict[str, Any]) -> dict[str, str] | None:
    """In binary mode; None where such a name is no header."""
    headers = {f"ce-{n}": v for n, v in given.items() if isinstance(v, str) and n != "datacontenttype"}
    return headers if all(name.replace("-", "").isalnum() for name in headers) else None


def test_over_http_no_free_text_reaches_a_topic_or_the_logs(
    running: Gateway, logs: list[Log], capsys: pytest.CaptureFixture[str]
) -> None:
    statuses: set[int] = set()

    for every in (list(spoilt(name)) for name in CATALOGUE):
        statuses.add(running.post(every, BATCH).status_code)
        # Alone those with words everywhere, and in members that nobody knows; each answer takes its time.
        for one in every[-20::4]:
            statuses.add(running.post(one, STRUCTURED).status_code)
            headers = headers_of(one)
            if headers:
                statuses.add(running.post(one.get("data", {}), "application/json", **headers).status_code)

    assert statuses <= {202, 207, 400, 403, 409}
    clean(logs)
    said = capsys.readouterr()
    assert not [trace for trace in TRACES if trace.decode() in (said.out + said.err).lower()]


def test_free_text_on_the_raw_topic_goes_no_further(
    broker: Settings, logs: list[Log], capsys: pytest.CaptureFixture[str]
) -> None:
    unlimited = ProgramLookup(lambda *_: None, lambda *_: True, lambda: True)
    kept = Log(broker, REJECTED.name)
    with raw_events(broker, Scope("acme", frozenset(SOURCES)), unlimited) as work:
        for name in CATALOGUE:
            work.handle(raw_batch([json.dumps(one).encode() for one in spoilt(name)], key=WORDS.encode()))
            for one in spoilt(name):
                headers = [(f"ce_{n}", v.encode()) for n, v in one.items() if isinstance(v, str)]
                data = json.dumps(one.get("data")).encode()
                work.handle(raw_batch([data], [*headers, (WORDS, WORDS.encode())], WORDS.encode()))
        work.handle(raw_batch([WORDS.encode(), f'{{"{WORDS}": 1, "{WORDS}": 2}}'.encode(), b'{"a": 1' + NAME.encode()]))
        work.handle(raw_batch([b"{}"], [("content-type", WORDS.encode())]))

    clean(logs)
    assert kept.growth()
    assert all(dict(record.headers)["detail"] for record in kept.records())
    said = capsys.readouterr()
    assert not [trace for trace in TRACES if trace.decode() in (said.out + said.err).lower()]


def test_an_id_that_may_be_text_is_the_same_digest_each_time_and_is_found_by_it(
    running: Gateway, broker: Settings
) -> None:
    log, source = Log(broker, EVENTS.name), SOURCES[0]
    message = event(
        source=source, id=WORDS, type="mentoring.message.sent.v1", data={"by": "mentor", "channel": "direct"}
    )
    answer = message | {"id": "answer", "data": {"by": "mentee", "channel": "direct", "reply_to": WORDS}}
    data = {name: message[name] for name in ("source", "id", "type", "time")}
    taken_back = event(source=source, type="mentoring.event.retracted.v1", data=data)

    reasons = [running.post(one).json()["reason"] for one in (message, message, answer, taken_back)]

    assert reasons == ["recorded", "duplicate", "recorded", "recorded"]
    digest = stored_id(WORDS)
    first, second, third = (json.loads(record.value or b"") for record in log.records())
    assert [first["id"], second["data"]["reply_to"], third["data"]["id"]] == [digest] * 3
    assert digest != stored_id(WORDS, "globex")


def test_without_a_key_text_is_refused_with_the_name_of_the_setting(broker: Settings) -> None:
    with running_gateway(
        broker.kafka, make_token(broker), ingest_parts=("projector",), ingest_digest_key=""
    ) as keyless:
        refused, taken = keyless.post(event(id="some words")), keyless.post(event())

    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (400, "id")
    assert "RAPPORT_INGEST_DIGEST_KEY" in refused.text
    assert "some words" not in refused.json()["detail"]
    assert taken.status_code == 202


def test_every_text_of_the_catalogue_is_a_code_an_id_or_digested() -> None:
    """A new field that takes any text has to be named in `screening`."""
    digested = {*IDS, *IDS_IN_DATA, *IDS_IN_RETRACTION, *IDS_IN_ORIGIN, "traceparent", "tracestate", "dataschema"}
    # It must be tenant/subject.
    follows = {"partitionkey"}

    free = {
        where
        for name in CATALOGUE
        for where, schema in texts(models()[name])
        if "@" not in digested and takes_words(schema)
    }

    assert {where for where in free if where not in digested | follows} == set()


def texts(model: type[BaseModel]) -> Iterator[tuple[str, dict[str, Any]]]:
    document = model.model_json_schema()

    def walk(schema: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401 (any JSON)
        if isinstance(schema, list):
            for one in schema:
                yield from walk(one, name)
        if not isinstance(schema, dict):
            return
        if schema.get("type") == "string":
            yield name, schema
        for inner, what in schema.get("properties", {}).items():
            yield from walk(what, inner)
        for part in ("anyOf", "items", "allOf", "prefixItems"):
            yield from walk(schema.get(part), name)

    yield from walk(document, "")
    for definition in document.get("$defs", {}).values():
        yield from walk(definition, "")


def takes_words(schema: dict[str, Any]) -> bool:
    if "enum" in schema or "const" in schema or "format" in schema:
        return False
    return "pattern" not in schema or "^\\x00" in schema["pattern"]


def test_metrics_name_no_attribute(running: Gateway) -> None:
    text = plain_http.get(f"http://127.0.0.1:{running.settings.ingest_health_port}/metrics", timeout=30).text

    eventually(lambda: "rapport_ingest_dropped_attributes_total" in text)
    assert NAME not in text
