"""Restoring a partition of many relationships takes seconds: meanwhile a stop takes effect, and the session
continues."""

import pytest

from services.runtime.kafka import Producer
from services.scoring.domain.changelog import state_entry, watermark_entry
from services.scoring.domain.layout import Enrolment, PartitionWatermark, RelationshipState
from tests.receiver import eventually
from tests.scoring.building import SIDES, facts, message, micros
from tests.scoring.flow.harness import Scoring
from tests.scoring.flow.test_drills import stops_well

RELATIONSHIPS = 10_000
NUMBER = 2


@pytest.fixture
def large(scoring: Scoring) -> Scoring:
    """One partition holds the states of many relationships, each with a month of messages."""
    state = RelationshipState(
        facts(*(message(day, SIDES[day % 2]) for day in range(30))), 29, micros(30), enrolment=Enrolment(0, "p")
    )
    value = state_entry("", 1, state).value
    producer = Producer(scoring.settings)
    sent = [
        producer.send(
            scoring.topics.state, state_entry(f"t/r{number}", 1, RelationshipState()).key, value, partition=NUMBER
        )
        for number in range(RELATIONSHIPS)
    ]
    watermark = watermark_entry(1, PartitionWatermark(-1, micros(30), micros(30)))
    sent.append(producer.send(scoring.topics.state, watermark.key, watermark.value, partition=NUMBER))
    for acknowledgement in sent:
        acknowledgement.get(60)
    producer.close()
    return scoring


def test_a_stop_is_heard_while_a_large_partition_is_taken(large: Scoring) -> None:
    service = large.start()
    eventually(lambda: f"takes partition {NUMBER}" in service.detail(), what="the large partition")

    stops_well(service)

    assert service.output("partition_taken") <= NUMBER, "it was still at it"


def test_taking_a_large_partition_costs_no_session(large: Scoring) -> None:
    service = large.start()
    eventually(service.is_ready, what="all partitions")

    eventually(lambda: service.gauges().get(NUMBER, {}).get("relationships") == RELATIONSHIPS, what="its gauge")
    assert service.output("partitions_dropped") == 0
    stops_well(service)
