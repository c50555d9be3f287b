"""Whatever lies on the topics of notify, it starts, says what it left out, and goes on telling people."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from pydantic import ValidationError

from schemas.alerts import Delivery
from schemas.rules import RULES
from services.notify.domain import record
from services.notify.domain.evaluation import Evaluator
from services.notify.domain.ids import AlertSubject
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.record import CLOCK_KEY, ClockRecord, WatchRecord
from services.notify.domain.watch import Watch
from services.runtime.kafka import read_to_end
from tests.foreign import ForeignProducer, RawName, foreign_producer
from tests.ingest.mutating import bodies
from tests.notify.building import Pair, clock, day, hour, new_alerts
from tests.notify.conftest import Notify
from tests.receiver import Receiver, eventually

LOW = 30.0
KEY = b"acme/4F2"
FIRING = {"condition": "firing", "dues": [{"at": "2024-05-01T12:00:00Z", "urgency": "P1"}], "urgency": None}
# Valid under the layout, and nothing that notify itself would ever write: the open episode has no urgency.
IMPOSSIBLE = {"tenant": "acme", "relationship": "4F2", "program": "spruce", "rules": {"health_low": FIRING}}


@pytest.fixture
def writer(notify: Notify) -> Iterator[ForeignProducer]:
    with foreign_producer(notify.settings) as producer:
        yield producer


def test_garbage_among_the_states_is_reported_and_everybody_is_watched(
    notify: Notify, receiver: Receiver, writer: ForeignProducer
) -> None:
    pair = Pair()
    watched = record.dump(WatchRecord(watch=Watch(AlertSubject("acme", "relationship", "other", "spruce"))))
    topic = notify.names.alert_state
    for key, value in (
        (KEY, b"\xff garbage"),
        (KEY, b""),
        (b"\xff\xfe", watched),
        (b"\x00", b"[]"),
        (b"k" * 600_000, b"{"),
        (KEY, watched),
        (b"acme/gone", None),
        (CLOCK_KEY, watched),
        (KEY, record.dump(ClockRecord(clock=day(900)))),
        (KEY, b'{"kind":"watch.1","watch":' + b"[" * 100_000),
    ):
        writer.put(topic, key, value, [(RawName("\xff"), b"x")], partition=0)

    notify.start()
    notify.write(pair.changed(hour(0), health=LOW), clock(day(2)))

    eventually(lambda: receiver.of("4F2"), what="the webhook")
    assert notify.log().count("alert_state_unreadable") == 9


def test_a_state_on_a_partition_that_scores_do_not_have_is_reported(
    notify: Notify, receiver: Receiver, writer: ForeignProducer
) -> None:
    admin = KafkaAdminClient(bootstrap_servers=notify.settings.kafka)
    admin.create_partitions({notify.names.alert_state: 3})
    admin.close()
    eventually(lambda: _is_written(writer, notify.names.alert_state), what="the third partition")

    notify.start()
    notify.write(Pair().changed(hour(0), health=LOW), clock(day(2)))

    eventually(lambda: receiver.of("4F2"), what="the webhook")
    assert "no such partition" in notify.log()


def test_garbage_among_the_deliveries_is_reported_and_what_was_planned_is_sent(
    notify: Notify, receiver: Receiver, writer: ForeignProducer
) -> None:
    delivery = planned_delivery(receiver)
    topic, key = notify.names.deliveries, delivery.delivery_id.encode()
    writer.put(topic, key, delivery.model_dump_json().encode())
    for name, value in (
        (key, b"garbage"),
        (b"another key", delivery.model_dump_json().encode()),
        (b"\xff", b"\xff"),
        (key, b"{}"),
        (b"gone", None),
    ):
        writer.put(topic, name, value)

    notify.start()

    eventually(lambda: [call.webhook_id for call in receiver.calls] == [delivery.delivery_id], what="the webhook")
    assert notify.log().count("delivery_unreadable") == 4


def test_a_state_that_can_be_read_and_makes_no_sense_lets_its_watch_begin_again(
    notify: Notify, receiver: Receiver, writer: ForeignProducer
) -> None:
    state = {"kind": "watch.1", "watch": IMPOSSIBLE}
    writer.put(notify.names.alert_state, KEY, json.dumps(state).encode(), partition=0)
    notify.start()

    notify.write(Pair().changed(hour(0), health=LOW), clock(day(2)))

    eventually(lambda: receiver.of("4F2"), what="the webhook")
    assert "watch_begun_anew" in notify.log()
    last = [one.value for one in read_to_end(notify.settings, [notify.names.alert_state]) if one.key == KEY][-1]
    assert record.load(last or b"") is not None


@pytest.mark.parametrize("count", [300, pytest.param(30_000, marks=pytest.mark.drill)])
def test_whatever_state_can_be_read_its_partition_goes_on_with_it(count: int) -> None:
    evaluator, pair = Evaluator(RULES, "log"), Pair()
    written = new_alerts()
    written.apply(pair.changed(hour(0), health=LOW, risk=0.9))
    written.apply(pair.changed(hour(30), health=LOW, risk=0.9))
    watch = written.drain_changes().watches["acme/4F2"]
    samples = [json.loads(record.dump(WatchRecord(watch=watch))), {"kind": "watch.1", "watch": IMPOSSIBLE}]
    readable = 0

    for body in bodies(samples, count, seed=count):
        found = _read(body)
        if found is None or found.subject.key != "acme/4F2":
            continue
        readable += 1
        partition_alerts = PartitionAlerts(evaluator, {"acme/4F2": found}, None)
        for event in (clock(day(1)), pair.changed(day(2), position=9, health=LOW), clock(day(9))):
            partition_alerts.apply(event)

    assert readable > count / 20


def planned_delivery(receiver: Receiver) -> Delivery:
    example = json.loads((Path(__file__).parents[2] / "schemas/examples/delivery.json").read_bytes())
    changes = {"recipient": receiver.url, "delivery_id": "ab" * 32}
    return Delivery.model_validate_json(json.dumps(example | changes))


def _is_written(writer: ForeignProducer, topic: str) -> bool:
    """Not before the writer has heard of the partition."""
    try:
        writer.put(topic, b"acme/elsewhere", b"{}", partition=2)
    except ValueError:
        return False
    return True


def _read(body: bytes) -> Watch | None:
    try:
        found = record.load(body)
    except ValidationError:
        return None
    return found.watch if isinstance(found, WatchRecord) else None
