"""A realistic changelog: every state is written several times, each time with more facts."""

from collections import defaultdict
from collections.abc import Iterator

from benchmarks import events
from benchmarks.broker import PARTITIONS, NewRecord
from schemas.events import MENTORING_EVENT, OfPartition
from services.scoring.domain.changelog import state_entry, watermark_entry
from services.scoring.domain.facts import Fact, Facts, Key, facts_of
from services.scoring.domain.layout import Enrolment, PartitionWatermark, RelationshipState

WRITES = 10
FACTS = 30
"""Facts of a state at its last write: a month or two of an ordinary relationship."""
SAMPLES = 200
"""Distinct relationships; the others are copies under other names."""
GENERATION = 1


def changelog(count: int) -> Iterator[NewRecord]:
    """Yield `count` state records, then the watermark of each partition."""
    samples, relationships = _samples(), max(1, count // WRITES)
    for number in range(count):
        write, relationship = min(number // relationships, WRITES - 1), number % relationships
        name = f"{events.TENANT}/rel-{relationship:07}"
        entry = state_entry(name, GENERATION, RelationshipState())._replace(
            value=samples[relationship % SAMPLES][write]
        )
        assert entry.value is not None, "a state is no tombstone"
        yield NewRecord(entry.key, entry.value, relationship % PARTITIONS)
    for partition in range(PARTITIONS):
        entry = watermark_entry(GENERATION, PartitionWatermark())
        assert entry.value is not None, "a watermark is no tombstone"
        yield NewRecord(entry.key, entry.value, partition)


def _samples() -> list[list[bytes]]:
    """Return for each sample the bytes of all its writes."""
    return [[_bytes(facts, (write + 1) * FACTS // WRITES) for write in range(WRITES)] for facts in _facts()]


def _facts() -> list[Facts]:
    found: dict[str, dict[Key, Fact]] = defaultdict(dict)
    for position, (_, value) in enumerate(events.log(SAMPLES * FACTS * 2, SAMPLES)):
        event = MENTORING_EVENT.validate_json(value)
        assert not isinstance(event, OfPartition), "events.log tells of relationships only"
        found[event.partitionkey] |= facts_of(event, position)
    return list(found.values())


def _bytes(facts: Facts, count: int) -> bytes:
    some = dict(sorted(facts.items())[:count])
    position = max(fact.position for fact in some.values())
    state = RelationshipState(some, position, max(some).time, enrolment=Enrolment(0, "spring"))
    value = state_entry("", GENERATION, state).value
    assert value is not None, "a state is no tombstone"
    return value
