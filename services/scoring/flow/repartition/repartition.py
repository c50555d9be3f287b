"""`rapport scoring repartition`: the order of the steps, each of which may be repeated after a crash."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing

from services.runtime.kafka import Reader, create_topics, read_to_end
from services.runtime.kafka.admin import delete_topics, existing, replicas, seal, unseal
from services.runtime.settings import Settings
from services.scoring.domain.changelog import WATERMARK, Recovery
from services.scoring.domain.repartition import PartitionSplit
from services.scoring.flow.repartition.alert_state import copy_alert_state
from services.scoring.flow.repartition.checks import problems
from services.scoring.flow.repartition.moving import Move, Repartitioned
from services.scoring.flow.repartition.plan import NotRepartitionedError, Repartitioning, Tracked
from services.scoring.topics import Topics


def repartition(settings: Settings, repartitioning: Repartitioning, partitions: int, told: Tracked) -> Repartitioned:
    """Raises NotRepartitionedError and KafkaError. After a crash the same call goes on where it was."""
    split = PartitionSplit(count(settings, repartitioning.old.names.events), partitions)
    _check_numbers(settings, repartitioning, split)
    # 1. Nobody is at work, and everything is read.
    recovered = _recovered(settings, repartitioning.old.names)
    _refuse(problems(settings, repartitioning, recovered))
    repartitioning.check()
    # 2. From here on nobody can write to the old log. What came in just before is seen now.
    _seal(settings, repartitioning, recovered)
    # 3. The new topics.
    repartitioning.check()
    replication = replicas(settings, repartitioning.old.names.events)
    create_topics(settings, repartitioning.new.options(partitions, replication))
    # 4. The log.
    move = Move(settings, repartitioning, split, told)
    due = move.copy_log()
    # 5. What others know of it.
    copy_alert_state(settings, repartitioning, split)
    move.pass_over(due)
    # 6. The states, from the log as it was copied. With the last of their watermarks the log has grown.
    return move.rebuild_states(recovered, due)


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
    marked = [number for number, found in _recovered(settings, names).items() if WATERMARK in found.generations]
    return len(marked) == count(settings, names.events)


def count(settings: Settings, topic: str) -> int:
    """Of its partitions. Raises KafkaError where it does not exist."""
    with closing(Reader(settings, group=None)) as reader:
        return len(reader.assign([topic]))


def _check_numbers(settings: Settings, repartitioning: Repartitioning, split: PartitionSplit) -> None:
    names = repartitioning.new.names
    if split.problem:
        raise NotRepartitionedError(split.problem)
    if not existing(settings, [names.events]):
        return
    begun = count(settings, names.events)
    if begun != split.new:
        raise NotRepartitionedError(
            f"{names.events} was begun with {begun} partitions: go on with those, or --abandon it"
        )
    if is_repartitioned(settings, repartitioning):
        raise NotRepartitionedError(f"it has grown: set RAPPORT_LOG_EPOCH={names.epoch} for every service and command")


def _recovered(settings: Settings, names: Topics) -> dict[int, Recovery]:
    found: dict[int, Recovery] = defaultdict(Recovery)
    for record in read_to_end(settings, [names.state]):
        found[record.partition].add(record.key, record.value)
    for recovery in found.values():
        recovery.finish()
    return found


def _seal(settings: Settings, repartitioning: Repartitioning, recovered: Mapping[int, Recovery]) -> None:
    topics = list(repartitioning.old.topics)
    seal(settings, topics)
    found = problems(settings, repartitioning, recovered)
    if found and not existing(settings, list(repartitioning.new.topics)):
        _unseal(settings, repartitioning)
    _refuse(found)


def _unseal(settings: Settings, repartitioning: Repartitioning) -> None:
    unseal(settings, {name: topic.most_bytes for name, topic in repartitioning.old.topics.items()})


def _refuse(found: Sequence[str]) -> None:
    if found:
        raise NotRepartitionedError("\n  ".join(["not yet:", *found]))
