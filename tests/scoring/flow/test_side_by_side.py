"""Partitions are worked on side by side: one that moves its clock by years keeps no event of another waiting."""

import json

from schemas.events import OfRelationship, to_json
from services.runtime.kafka import partition_of, read_to_end
from tests.receiver import eventually
from tests.scoring.building import message
from tests.scoring.flow.harness import PARTITIONS, Scoring, Service
from tests.scoring.flow.long_log import Keyed

BUSY, CALM = 0, 1
RELATIONSHIPS, DAYS = 40, 2_000
SLOW = "0.2"
"""Seconds per phase of rows: those of so many midnights take minutes, whatever the machine."""


def test_an_event_is_applied_while_another_partition_moves_its_clock(scoring: Scoring) -> None:
    service = scoring.start(DRILL_SLOW=SLOW)
    names = on(BUSY, RELATIONSHIPS)
    scoring.feed([of(name, message(-DAYS, "mentor")) for name in names])
    eventually(lambda: applied(service, BUSY) == RELATIONSHIPS, what="the begin of the busy partition")
    scoring.feed([of(names[0], message(0, "mentor"))])
    eventually(lambda: rows(scoring, BUSY) > RELATIONSHIPS, what="its first midnights")

    scoring.feed([of(on(CALM, 1)[0], message(0, "mentor"))])

    eventually(lambda: applied(service, CALM) == 1, what="the event of the calm partition")
    assert rows(scoring, CALM) == 1
    assert applied(service, BUSY) == RELATIONSHIPS, "its clock has not arrived"
    assert service.errors() == []


def on(partition: int, count: int) -> list[str]:
    """Relationships that lie there."""
    names = (f"r{number}" for number in range(10_000))
    found = [name for name in names if partition_of(f"t/{name}".encode(), PARTITIONS) == partition]
    return found[:count]


def of(name: str, event: OfRelationship) -> Keyed:
    event = event.model_copy(update={"subject": name, "partitionkey": f"t/{name}"})
    return event.partitionkey.encode(), to_json(event)


def applied(service: Service, partition: int) -> int:
    """Records of batches whose watermark is acknowledged."""
    lines = [line for line in service.log.read_text().splitlines() if '"run_applied"' in line]
    # What Faust writes to a terminal may stand before it.
    batches = [json.loads(line[line.index("{") :]) for line in lines]
    return sum(line["records"] for line in batches if line["partition"] == partition)


def rows(scoring: Scoring, partition: int) -> int:
    read = read_to_end(scoring.settings, [scoring.topics.scores])
    return sum(record.partition == partition and record.key is not None for record in read)
