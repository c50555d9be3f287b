"""What notify remembers of each relationship, and its clock of each partition, beside the partitions of the new log."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing

from services.runtime.kafka import Producer, Sent, read_to_end
from services.runtime.settings import Settings
from services.scoring.domain.repartition import PartitionSplit
from services.scoring.flow.repartition.copying import await_all, children_of
from services.scoring.flow.repartition.plan import NotRepartitionedError, Repartitioning

Kept = Mapping[int, Mapping[bytes, bytes]]
"""By partition what a compacted topic says of every key."""


def copy_alert_state(settings: Settings, repartitioning: Repartitioning, split: PartitionSplit) -> int:
    """How many keys are there afterwards. A repeat changes nothing. Raises KafkaError, NotRepartitionedError."""
    due = _divided(_kept(settings, repartitioning.old.alert_state), split)
    waiting: list[Sent] = []
    with closing(Producer(settings)) as producer:
        for child, values in due.items():
            for key, value in values.items():
                waiting.append(producer.send(repartitioning.new.alert_state, key, value, partition=child))
        await_all(waiting)
    if _kept(settings, repartitioning.new.alert_state) != due:
        raise NotRepartitionedError(
            f"{repartitioning.new.alert_state} is not what was copied: somebody else writes to it"
        )
    return sum(map(len, due.values()))


def _divided(kept: Kept, split: PartitionSplit) -> Kept:
    due: dict[int, dict[bytes, bytes]] = defaultdict(dict)
    for number, values in kept.items():
        for key, value in values.items():
            for child in children_of(key, number, split):
                due[child][key] = value
    return due


def _kept(settings: Settings, topic: str) -> Kept:
    kept: dict[int, dict[bytes, bytes]] = defaultdict(dict)
    for record in read_to_end(settings, [topic], isolation_level="read_committed"):
        assert record.key is not None, "a compacted topic has keys"
        if record.value is None:
            kept[record.partition].pop(record.key, None)
        else:
            kept[record.partition][record.key] = record.value
    return {number: values for number, values in kept.items() if values}
