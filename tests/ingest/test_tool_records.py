"""Records of tools become events of the right pair, are ignored, or are quarantined."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.topics import EVENTS, REJECTED, raw_topic
from services.runtime.kafka import Record
from services.runtime.settings import Settings
from tests.foreign import ForeignProducer, foreign_producer
from tests.ingest.conftest import Gateway, Log, make_token, running_gateway
from tests.ingest.tooling import JOINED, LEFT, Pair, connections_file, make_pair, meeting_id, of, post_zoom, zoom
from tests.receiver import eventually

RAW_ZOOM = raw_topic("zoom")
HEADERS = [("connection", b"zoom_acme"), ("content-type", b"application/json")]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return connections_file(tmp_path_factory.mktemp("connections"))


@pytest.fixture(scope="module")
def tools(broker: Settings, file: Path) -> Iterator[Gateway]:
    with running_gateway(broker.kafka, make_token(broker), ingest_connections=file) as running:
        yield running


@pytest.fixture(scope="module")
def producer(broker: Settings) -> Iterator[ForeignProducer]:
    with foreign_producer(broker) as producer:
        yield producer


@pytest.fixture
def log(broker: Settings) -> Log:
    return Log(broker, EVENTS.name)


@pytest.fixture
def kept(broker: Settings) -> Log:
    return Log(broker, REJECTED.name)


def types(pair: Pair, log: Log) -> list[str]:
    return [told["type"].removeprefix("mentoring.").removesuffix(".v1") for told in of(pair, log)]


def put(producer: ForeignProducer, value: bytes | None, headers: list[tuple[str, bytes]]) -> str:
    """As an enterprise would, on one partition; returns the origin."""
    return producer.put(RAW_ZOOM, b"a-key", value, headers, partition=0)


def texts(record: Record) -> dict[str, str]:
    return {name: value.decode(errors="replace") for name, value in record.headers}


def test_a_pair_that_meets_on_zoom_is_recorded_without_names(tools: Gateway, broker: Settings, log: Log) -> None:
    pair, meeting = make_pair(broker), meeting_id()

    for told in (
        zoom(JOINED, meeting, pair.mentor, "2026-03-02T10:00:00Z"),
        zoom(JOINED, meeting, pair.mentee, "2026-03-02T10:02:00Z"),
        zoom(LEFT, meeting, pair.mentee, "2026-03-02T10:32:00Z"),
        zoom(LEFT, meeting, pair.mentor, "2026-03-02T10:33:00Z"),
    ):
        assert post_zoom(tools, told).is_success

    seen = ["session.joined", "session.joined", "session.left", "session.left"]
    eventually(lambda: [one for one in types(pair, log) if one in {"session.joined", "session.left"}] == seen)
    told = of(pair, log)[1]
    assert (told["source"], told["tenant"], told["program"]) == (
        "urn:rapport:acme:zoom:zoom_acme",
        "acme",
        "onboarding",
    )
    assert told["data"]["role"] in {"mentor", "mentee"}
    assert "@" not in json.dumps(of(pair, log))


def test_a_repeat_of_the_tool_emits_nothing_twice(tools: Gateway, broker: Settings, log: Log) -> None:
    pair, meeting = make_pair(broker), meeting_id()
    both = [zoom(JOINED, meeting, pair.mentor), zoom(JOINED, meeting, pair.mentee)]

    for told in (*both, *both, zoom(LEFT, meeting, pair.mentor, "2026-03-02T10:40:00Z")):
        post_zoom(tools, told)

    eventually(lambda: "session.left" in types(pair, log))
    assert types(pair, log).count("session.joined") == 2


def test_strangers_are_counted_and_never_stored(tools: Gateway, broker: Settings, log: Log, kept: Log) -> None:
    pair, meeting = make_pair(broker), meeting_id()
    post_zoom(tools, zoom(JOINED, meeting, "nobody@example.com"))
    post_zoom(tools, zoom(JOINED, meeting, pair.mentor))
    own = meeting_id()

    for told in (zoom(JOINED, own, pair.mentor), zoom(JOINED, own, pair.mentee)):
        post_zoom(tools, told)

    eventually(lambda: types(pair, log).count("session.joined") == 2)
    assert kept.growth() == 0
    assert b"nobody" not in b"".join(record.value or b"" for record in log.records())


def test_people_who_are_no_pair_yet_wait_in_quarantine(tools: Gateway, broker: Settings, log: Log, kept: Log) -> None:
    one, other, meeting = make_pair(broker), make_pair(broker), meeting_id()

    post_zoom(tools, zoom(JOINED, meeting, one.mentor))
    post_zoom(tools, zoom(JOINED, meeting, other.mentee))

    eventually(lambda: kept.growth() == 1)
    (record,) = kept.records()
    said = texts(record)
    assert (said["reason"], said["connection"], said["tool"]) == ("unresolved", "zoom_acme", "zoom")
    assert said["header.connection"] == "zoom_acme"
    assert (said["origin_key"], said["text_cut"]) == ("zoom_acme", "1")
    assert not {"session.joined", "session.left"} & {*types(one, log), *types(other, log)}


BROKEN: dict[str, tuple[bytes | None, list[tuple[str, bytes]], str, str]] = {
    "no connection": (b"{}", [], "invalid", "header connection"),
    "an unknown connection": (b"{}", [("connection", b"nobody")], "invalid", "header connection"),
    "a connection of another tool": (b"{}", [("connection", b"slack_acme")], "invalid", "header connection"),
    "a tombstone": (None, HEADERS, "malformed", ""),
    "broken JSON": (b'{"topic": "our talk', HEADERS, "malformed", ""),
    "not UTF-8": (b"\xff\xfe", HEADERS, "malformed", ""),
    "no object": (b"[]", HEADERS, "invalid", ""),
    "bottomless nesting": (b'{"event":' * 5_000 + b"1" + b"}" * 5_000, HEADERS, "malformed", ""),
    "five megabytes": (b" " * 1_500_000, HEADERS, "too_large", ""),
    "a member of another type": (
        json.dumps(zoom(JOINED, "1", "a@example.com") | {"payload": 7}).encode(),
        HEADERS,
        "invalid",
        "payload",
    ),
    "headers without end": (b"[]", [*HEADERS, *((f"h{n}", b"x" * 500) for n in range(1_000))], "invalid", ""),
}


@pytest.mark.usefixtures("tools")
def test_a_poison_record_is_put_aside_and_the_next_one_is_processed(
    broker: Settings, producer: ForeignProducer, log: Log, kept: Log
) -> None:
    pair, meeting = make_pair(broker), meeting_id()

    origins = {name: put(producer, value, headers) for name, (value, headers, _, _) in BROKEN.items()}
    for told in (zoom(JOINED, meeting, pair.mentor), zoom(JOINED, meeting, pair.mentee)):
        put(producer, json.dumps(told).encode(), HEADERS)

    eventually(lambda: types(pair, log).count("session.joined") == 2)
    rejected = {(record.key or b"").decode(): record for record in kept.records()}
    assert rejected.keys() == set(origins.values())
    for name, (_, _, reason, path) in BROKEN.items():
        said = texts(rejected[origins[name]])
        assert (said["reason"], said["path"], said["origin_key"]) == (reason, path, "a-key"), name
    assert not any(b"our talk" in (record.value or b"") for record in rejected.values())
    headers = texts(rejected[origins["headers without end"]])
    assert {name for name in headers if name.startswith("header.")} == {"header.connection", "header.content-type"}


def test_who_came_before_a_restart_is_still_there_after_it(broker: Settings, file: Path, log: Log) -> None:
    pair, meeting = make_pair(broker), meeting_id()
    with running_gateway(broker.kafka, make_token(broker), ingest_connections=file, instance="restarted") as before:
        post_zoom(before, zoom(JOINED, meeting, pair.mentor))
        eventually(lambda: "lag 0" in before.readiness()[1]["detail"])

    with running_gateway(broker.kafka, make_token(broker), ingest_connections=file, instance="restarted") as after:
        post_zoom(after, zoom(JOINED, meeting, pair.mentee))

        eventually(lambda: types(pair, log).count("session.joined") == 2)
