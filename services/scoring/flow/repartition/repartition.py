"""`rapport scoring repartition`: the order of the steps, each of which may be repeated after a crash."""

from collections.abc import Mapping, Sequence
from contextlib import closing

from services.runtime.kafka import Committed, Partition, Reader, create_topics, partition_count, reading
from services.runtime.kafka.admin import delete_topics, existing, replicas, seal, unseal
from services.runtime.settings import Settings
from services.scoring.domain.changelog import WATERMARK, Recovery
from services.scoring.domain.repartition import PartitionSplit
from services.scoring.flow.log_reading import recovered_partitions
from services.scoring.flow.repartition.copying import (
    Digest,
    Repartitioned,
    copy_alert_state,
    copy_partition,
    rebuild_states,
)
from services.scoring.flow.repartition.plan import NotRepartitionedError, Repartitioning, Tracked, problems


def repartition(settings: Settings, repartitioning: Repartitioning, partitions: int, told: Tracked) -> Repartitioned:
    """Raises NotRepartitionedError and KafkaError. After a crash the same call goes on where it was."""
    split = PartitionSplit(partition_count(settings, repartitioning.old.names.events), partitions)
    _check_numbers(settings, repartitioning, split)
    # 1. Nobody is at work, and everything is read.
    found = recovered_partitions(settings, repartitioning.old.names)
    # Also one of which nothing was ever stored.
    recovered = {number: found[number] for number in range(split.old)}
    _refuse(problems(settings, repartitioning, recovered))
    repartitioning.check()
    # 2. From here on nobody can write to the old log. What came in just before is seen now.
    _seal(settings, repartitioning, recovered)
    # 3. The new topics.
    repartitioning.check()
    replication = replicas(settings, repartitioning.old.names.events)
    create_topics(settings, repartitioning.new.options(partitions, replication))
    # 4. The log.
    due = _copied(settings, repartitioning, split, told)
    # 5. What others know of it.
    copy_alert_state(settings, repartitioning, split)
    _pass_over(settings, repartitioning, due)
    # 6. The states, from the log as it was copied. With the last of their watermarks the log has grown.
    return rebuild_states(settings, repartitioning, recovered, due, told)


def abandon(settings: Settings, repartitioning: Repartitioning) -> list[str]:
    """The topics that were deleted again; the old log can be written to. Raises NotRepartitionedError, KafkaError."""
    begun = existing(settings, [*repartitioning.new.topics, *repartitioning.new.projections])
    if is_repartitioned(settings, repartitioning):
        raise NotRepartitionedError("the log has grown, and services may have worked on it: it is not given up")
    if begun:
        delete_topics(settings, begun)
    _unseal(settings, repartitioning)
    return begun


def is_repartitioned(settings: Settings, repartitioning: Repartitioning) -> bool:
    """Whether every partition of the new log has its states."""
    names = repartitioning.new.names
    if len(existing(settings, list(repartitioning.new.topics))) < len(repartitioning.new.topics):
        return False
    marked = [one for one in recovered_partitions(settings, names).values() if WATERMARK in one.generations]
    return len(marked) == partition_count(settings, names.events)


def _check_numbers(settings: Settings, repartitioning: Repartitioning, split: PartitionSplit) -> None:
    names = repartitioning.new.names
    if split.problem:
        raise NotRepartitionedError(split.problem)
    if not existing(settings, [names.events]):
        return
    begun = partition_count(settings, names.events)
    if begun != split.new:
        raise NotRepartitionedError(
            f"{names.events} was begun with {begun} partitions: go on with those, or --abandon it"
        )
    if is_repartitioned(settings, repartitioning):
        raise NotRepartitionedError(f"it has grown: set RAPPORT_LOG_EPOCH={names.epoch} for every service and command")


def _seal(settings: Settings, repartitioning: Repartitioning, recovered: Mapping[int, Recovery]) -> None:
    topics = list(repartitioning.old.topics)
    seal(settings, topics)
    found = problems(settings, repartitioning, recovered)
    if found and not existing(settings, list(repartitioning.new.topics)):
        _unseal(settings, repartitioning)
    _refuse(found)


def _copied(
    settings: Settings, repartitioning: Repartitioning, split: PartitionSplit, told: Tracked
) -> dict[int, Digest]:
    """What each new partition has to hold. Raises NotRepartitionedError, KafkaError."""
    source, target = repartitioning.old.names.events, repartitioning.new.names.events
    with reading(settings, [source]) as reader:
        places = sorted(reader.assignment())
        total = sum(reader.end_offsets(places).values()) - sum(reader.beginning_offsets(places).values())
    passed = told("copying the log", total)
    due: dict[int, Digest] = {}
    for place in places:
        repartitioning.check()
        due |= copy_partition(settings, place, target, split, passed)
    return due


def _pass_over(settings: Settings, repartitioning: Repartitioning, due: Mapping[int, Digest]) -> None:
    """Who has read the old log goes on behind the copies."""
    old, new = repartitioning.old.names.events, repartitioning.new.names.events
    for group in (group for group, topics in repartitioning.readers.items() if old in topics):
        with closing(Reader(settings, group)) as reader:
            reader.assign([new])
            reader.commit({Partition(new, child): Committed(digest.count) for child, digest in due.items()})


def _unseal(settings: Settings, repartitioning: Repartitioning) -> None:
    unseal(settings, {name: topic.most_bytes for name, topic in repartitioning.old.topics.items()})


def _refuse(found: Sequence[str]) -> None:
    if found:
        raise NotRepartitionedError("\n  ".join(["not yet:", *found]))
