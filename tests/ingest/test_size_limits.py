"""Size limits of every way in: the largest valid input is accepted, anything larger is refused without stopping
others."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml
from click.testing import CliRunner
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from schemas.directory import MAX_ADDRESSES, MAX_IDENTITIES
from schemas.events import MENTORING_EVENT
from schemas.topics import EVENTS, RAW_CLOUDEVENTS, REJECTED, raw_topic
from services.ingest.__main__ import main
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.event_writer import EventWriter, Receipt
from services.runtime.kafka import Producer, Record, create_topics
from services.runtime.kafka.admin import add_options, raise_limits
from services.runtime.settings import Settings
from tests import plain_http
from tests.foreign import ForeignProducer, foreign_producer
from tests.ingest.conftest import BATCH, SOURCE, Gateway, Log, event, make_token, running_gateway
from tests.ingest.tooling import JOINED, SECRETS, DirectoryLog, meeting_id, post_zoom, url, zoom
from tests.receiver import eventually

MOST = 2**20
JSON = "application/json"
PEOPLE = "/v1/directory/participants"
HR = [("connection", b"hr_acme"), ("content-type", JSON.encode())]
LONG_ADDRESS = "a" * 300 + "@example.com"


@pytest.fixture(scope="module")
def ways(broker: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """With Zoom, HR and the raw topic of events."""
    folder = tmp_path_factory.mktemp("connections")
    entries = [{"id": f"{tool}_acme", "tool": tool, "tenant": "acme"} for tool in ("zoom", "hr")]
    for entry in entries:
        (folder / entry["id"]).write_text(SECRETS[entry["id"]])
    file = folder / "connections.yaml"
    file.write_text(yaml.safe_dump({"connections": [one | {"secret_file": one["id"]} for one in entries]}))
    raw: dict[str, Any] = {"ingest_raw_tenant": "rawcorp", "ingest_raw_sources": (SOURCE,)}
    with running_gateway(broker.kafka, make_token(broker, admin=True), ingest_connections=file, **raw) as running:
        yield running
        assert running.readiness()[0] == 200, "what is too large for one of them stopped the others"


@pytest.fixture(scope="module")
def writer(broker: Settings) -> Iterator[ForeignProducer]:
    with foreign_producer(broker) as producer:
        yield producer


@pytest.fixture
def kept(broker: Settings) -> Log:
    return Log(broker, REJECTED.name)


def padded(value: object, size: int) -> bytes:
    """The same JSON, with blanks behind it."""
    return json.dumps(value).encode().ljust(size)


def largest_event(people: int = 100) -> dict[str, Any]:
    """Everything in it is as long as the schema admits."""
    ids = [f"{number:03d}".ljust(128, "x") for number in range(people)]
    data = {"mentors": ids, "mentees": ids[:100], "coordinator": ids[0], "cohort": ids[0]}
    longest = {"subject": "s" * 128, "program": "p" * 128, "id": uuid4().hex.ljust(128, "i")}
    return event(type="mentoring.relationship.started.v1", data=data, **longest)


def person(addresses: int, identities: int = 0) -> dict[str, object]:
    return {
        "id": f"p-{uuid4().hex}",
        "name": "ü" * 200,
        "time_zone": "America/Argentina/ComodRivadavia",
        "consent": True,
        "addresses": [f"{number:05d}{LONG_ADDRESS}" for number in range(addresses)],
        "identities": [{"tool": "slack", "id": f"{number:05d}".ljust(320, "ü")} for number in range(identities)],
    }


def reasons(kept: Log) -> dict[str, str]:
    """Why, by origin."""
    return {(one.key or b"").decode(): _said(one)["reason"] for one in kept.records()}


def _said(record: Record) -> dict[str, str]:
    return {name: value.decode(errors="replace") for name, value in record.headers}


@pytest.mark.parametrize("size", [MOST, MOST + 1])
def test_a_request_of_events_has_at_most_a_mebibyte_however_it_is_carried(ways: Gateway, size: int) -> None:
    sent = event()
    binary = {f"ce-{name}": value for name, value in event().items() if name not in {"data", "time"}}
    carried = [
        ways.post(padded(event(), size)),
        ways.post(padded([event(), event()], size), BATCH),
        ways.post(padded(sent["data"], size), JSON, **binary, **{"ce-time": sent["time"]}),
    ]

    assert [answer.status_code for answer in carried] == [202 if size == MOST else 413] * 3


def test_the_largest_event_is_recorded_and_one_person_more_is_refused_where_it_is(
    ways: Gateway, broker: Settings
) -> None:
    log = Log(broker, EVENTS.name)

    taken, refused = ways.post(largest_event()), ways.post(largest_event(101))

    assert (taken.status_code, refused.status_code) == (202, 400), taken.text
    assert refused.json()["errors"][0]["path"] == "data.mentors"
    assert len(MENTORING_EVENT.validate_json(log.records()[0].value or b"").data.mentors) == 100  # type: ignore[union-attr]


def test_a_person_has_a_hundred_addresses_and_a_mebibyte_of_them_stops_nobody(ways: Gateway, broker: Settings) -> None:
    log, many = DirectoryLog(broker), 40_000

    largest = ways.client.post(PEOPLE, json=[person(MAX_ADDRESSES, MAX_IDENTITIES)])
    mixed = ways.client.post(PEOPLE, json=[person(MAX_ADDRESSES + 1), person(1), person(1, MAX_IDENTITIES + 1)])
    short = [f"{number}@example.com" for number in range(many)]
    flood = ways.client.post(PEOPLE, json=[person(0) | {"addresses": short}])
    after = ways.post(event())

    assert (largest.status_code, mixed.status_code, flood.status_code, after.status_code) == (202, 207, 400, 202)
    first, second, third = mixed.json()["participants"]
    assert [first["errors"][0]["path"], second["status"], third["errors"][0]["path"]] == [
        "addresses",
        202,
        "identities",
    ]
    assert log.growth() == 2


def test_an_erasure_names_an_id_of_at_most_128_characters(ways: Gateway) -> None:
    answers = [ways.client.delete(f"{PEOPLE}/{'x' * length}") for length in (128, 129)]

    assert [answer.status_code for answer in answers] == [202, 400]


def test_a_webhook_has_at_most_a_mebibyte(ways: Gateway) -> None:
    told = zoom(JOINED, meeting_id(), "nobody@example.com")

    answers: list[httpx.Response] = [post_zoom(ways, padded(told, size)) for size in (MOST, MOST + 1)]

    assert [answer.is_success for answer in answers] == [True, False], answers[0].text
    assert answers[1].status_code == 413


@pytest.mark.usefixtures("ways")
def test_a_row_of_hr_with_more_addresses_than_anybody_has_is_put_aside_and_the_next_is_taken(
    writer: ForeignProducer, broker: Settings, kept: Log
) -> None:
    log, topic = DirectoryLog(broker), raw_topic("hr")

    def put(addresses: int) -> str:
        many = [f"{number}@example.com" for number in range(addresses)]
        row = {"id": f"e-{uuid4().hex}", "name": "A", "status": "active", "consent": True, "addresses": many}
        value = json.dumps([row | {"updated_at": "2026-03-01T10:00:00Z", "time_zone": "UTC"}]).encode()
        return writer.put(topic, b"hr_acme", value, HR, partition=0)

    largest, more, flood, after = put(MAX_ADDRESSES), put(MAX_ADDRESSES + 1), put(25_527), put(1)

    eventually(lambda: log.growth() == 2, what=f"{largest} and {after} in the directory")
    assert reasons(kept) == {more: "invalid", flood: "invalid"}


@pytest.mark.usefixtures("ways")
def test_an_event_of_the_raw_topic_has_at_most_a_mebibyte(writer: ForeignProducer, broker: Settings, kept: Log) -> None:
    log = Log(broker, EVENTS.name)

    taken, more = (
        writer.put(RAW_CLOUDEVENTS.name, b"k", padded(event(), size), partition=0) for size in (MOST, MOST + 1)
    )

    eventually(lambda: kept.growth() == 1)
    assert log.growth() == 1, taken
    assert reasons(kept) == {more: "too_large"}


def test_a_token_has_at_most_500_sources_and_says_so(broker: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_KAFKA", broker.kafka)

    def created(count: int) -> Any:  # noqa: ANN401 (click's Result)
        sources = [f"urn:{number}".ljust(512, "s") for number in range(count)]
        arguments = [word for source in sources for word in ("--source", source)]
        return CliRunner().invoke(main, ["token", "create", "--tenant", "acme", *arguments])

    largest, more = created(500), created(501)

    assert (largest.exit_code, more.exit_code) == (0, 1), largest.output
    assert "sources: " in more.output
    assert "at most 500 items" in more.output


def test_an_event_that_is_too_large_for_its_topic_is_rejected_and_the_next_one_is_recorded(broker: Settings) -> None:
    topic = f"small-{uuid4().hex[:8]}"
    options = {"num_partitions": 1, "replication_factor": 1, "configs": {"max.message.bytes": "4000"}}
    create_topics(broker, {topic: options})
    ours = {"tenant": "acme", "recordedtime": datetime.now(UTC).isoformat()}
    large, small = (
        MENTORING_EVENT.validate_json(json.dumps(one | ours | {"partitionkey": f"acme/{one['subject']}"}))
        for one in (largest_event(), event())
    )
    producer = Producer(broker)

    refused, taken = map(EventWriter(producer, 10, topic).record, [large, small])

    assert isinstance(refused, Rejected)
    assert refused.reason == "too_large"
    assert "at most 4000 bytes" in refused.errors[0].reason
    assert isinstance(taken, Receipt)
    taken.written.result(20)
    producer.close()


def test_the_size_of_a_record_is_raised_for_topics_that_are_there_and_never_lowered(broker: Settings) -> None:
    low, high = f"low-{uuid4().hex[:8]}", f"high-{uuid4().hex[:8]}"
    for name, size in ((low, "9000"), (high, "90000")):
        options = {"num_partitions": 1, "replication_factor": 1, "configs": {"max.message.bytes": size}}
        create_topics(broker, {name: options})

    raised = raise_limits(broker, {low: 50_000, high: 50_000, "nowhere": 50_000})

    assert raised == [low]
    assert raise_limits(broker, {low: 50_000, high: 50_000}) == []


def test_a_topic_that_exists_gets_the_options_about_which_nobody_has_said_anything(broker: Settings) -> None:
    bare, own = f"bare-{uuid4().hex[:8]}", f"own-{uuid4().hex[:8]}"
    for name, configs in ((bare, {}), (own, {"segment.bytes": "1048576"})):
        create_topics(broker, {name: {"num_partitions": 1, "replication_factor": 1, "configs": configs}})
    wanted = {"segment.bytes": "8388608", "min.cleanable.dirty.ratio": "0.2"}

    first = add_options(broker, {bare: wanted, own: wanted, "nowhere": wanted})

    assert first == sorted([bare, own])
    assert add_options(broker, {bare: wanted, own: wanted}) == []
    assert options_of(broker, bare, *wanted) == wanted
    assert options_of(broker, own, *wanted) == wanted | {"segment.bytes": "1048576"}


def options_of(broker: Settings, topic: str, *names: str) -> dict[str, str]:
    admin = KafkaAdminClient(bootstrap_servers=broker.kafka)
    try:
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic, list(names))]
        found = admin.describe_configs(asked, config_filter="all")["topic"][topic]
        return {name: found[name]["value"] for name in names}
    finally:
        admin.close()


def hr_row(addresses: int, **more: object) -> dict[str, object]:
    row = {"id": f"e-{uuid4().hex}", "name": "A", "status": "active", "consent": True, "time_zone": "UTC"}
    many = [f"{number}@example.com" for number in range(addresses)]
    return row | {"addresses": many, "updated_at": "2026-03-01T10:00:00Z", **more}


def post_hr(gateway: Gateway, body: bytes, media_type: str = JSON) -> httpx.Response:
    headers = {"authorization": f"Bearer {SECRETS['hr_acme']}", "content-type": media_type}
    return plain_http.post(url(gateway, "hr", "hr_acme"), content=body, headers=headers, timeout=60)


def test_a_feed_of_hr_over_http_takes_the_largest_row_and_puts_a_larger_one_aside(
    ways: Gateway, broker: Settings, kept: Log
) -> None:
    log = DirectoryLog(broker)

    answers = [
        post_hr(ways, json.dumps([hr_row(count)]).encode()) for count in (MAX_ADDRESSES, MAX_ADDRESSES + 1, 25_527, 1)
    ]

    assert all(answer.is_success for answer in answers), [answer.text[:200] for answer in answers]
    eventually(lambda: log.growth() == 2, what="the largest and the last are in the directory")
    eventually(lambda: kept.growth() == 2, what="the two others are put aside")
    assert set(reasons(kept).values()) == {"invalid"}


def test_what_is_kept_of_a_payload_may_be_longer_than_the_payload_and_is_answered_where_it_is_too_long(
    ways: Gateway, broker: Settings
) -> None:
    """An id that may be text becomes a digest, many times as long; and a table's row names all of its columns."""
    raw, ids = Log(broker, raw_topic("hr")), "\n".join(f"ü{number:x};a;active" for number in range(1_000))
    rows = f"id;name;status\n{ids}\n".encode()
    blank = json.dumps([{"id": " a", "name": "A", "addresses": ["ü" * 8] * 50_000}], ensure_ascii=False).encode()

    answers = [post_hr(ways, rows, "text/csv"), post_hr(ways, blank), post_hr(ways, json.dumps([hr_row(1)]).encode())]

    assert [answer.status_code in {202, 413, 429} for answer in answers] == [True] * 3, [a.text for a in answers]
    assert answers[-1].is_success
    assert raw.growth() >= 1
    assert ways.readiness()[0] == 200


@pytest.mark.parametrize("kind", ["events", "people"])
def test_an_import_takes_the_largest_line_and_says_which_one_is_too_large(
    ways: Gateway, tmp_path: Path, kind: str
) -> None:
    if kind == "events":
        lines = [json.dumps(one) for one in (largest_event(), largest_event(101), event(), event())]
        lines[3] += " " * MOST
        file, wanted = tmp_path / "events.jsonl", {2: "invalid"}
    else:
        addresses = ("|".join(f"{number}@example.com" for number in range(count)) for count in (100, 101, 40_000, 1))
        lines = ["participant,name,consent,time_zone,addresses"]
        lines += [f"p-{uuid4().hex},A,yes,UTC,{one}" for one in addresses]
        file, wanted = tmp_path / "directory.csv", {3: "invalid", 4: "malformed"}
    file.write_text("\n".join(lines))
    address = f"http://127.0.0.1:{ways.settings.ingest_port}"
    token = ways.client.headers["authorization"].removeprefix("Bearer ")

    done = CliRunner().invoke(main, ["import", str(file), "--url", address, "--token", token])

    report = [json.loads(line) for line in file.with_name(f"{file.name}.rejected.jsonl").read_text().splitlines()]
    assert done.exit_code == 1, done.output
    assert {one["line"]: one["reason"] for one in report} == wanted
