"""`rapport scoring grow`: the order of the steps, each of which may be repeated after a crash."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing

from services.runtime.kafka import Reader, create_topics, read_to_end
from services.runtime.kafka.admin import delete_topics, existing, replicas, seal, unseal
from services.runtime.settings import Settings
from services.scoring.domain.changelog import WATERMARK, Recovery
from services.scoring.domain.growth import Split
from services.scoring.flow.growth.alert_state import copy_alert_state
from services.scoring.flow.growth.checks import problems
from services.scoring.flow.growth.moving import Grown, Move
from services.scoring.flow.growth.plan import Growth, NotGrownError, Told
from services.scoring.names import Names


def grow(settings: Settings, growth: Growth, partitions: int, told: Told) -> Grown:
    """Raises NotGrownError and KafkaError. After a crash the same call goes on where it was."""
    split = Split(count(settings, growth.old.names.events), partitions)
    _check_numbers(settings, growth, split)
    # 1. Nobody is at work, and everything is read.
    recovered = _recovered(settings, growth.old.names)
    _refuse(problems(settings, growth, recovered))
    # 2. From here on nobody can write to the old log. What came in just before is seen now.
    _seal(settings, growth, recovered)
    # 3. The new topics.
    replication = replicas(settings, growth.old.names.events)
    create_topics(settings, growth.new.options(partitions, replication))
    # 4. The log.
    move = Move(settings, growth, split, told)
    due = move.copy_log()
    # 5. What others know of it.
    copy_alert_state(settings, growth, split)
    move.pass_over(due)
    # 6. The states, from the log as it was copied. With the last of their watermarks the log has grown.
    return move.rebuild_states(recovered, due)


def abandon(settings: Settings, growth: Growth) -> list[str]:
    """The topics that were deleted again; the old log can be written to. Raises NotGrownError, KafkaError."""
    begun = existing(settings, [*growth.new.topics, *growth.new.projections])
    if is_grown(settings, growth):
        raise NotGrownError("the log has grown, and services may have worked on it: it is not given up")
    if begun:
        delete_topics(settings, begun)
    _unseal(settings, growth)
    return begun


def is_grown(settings: Settings, growth: Growth) -> bool:
    """Whether every partition of the new log has its states."""
    names = growth.new.names
    if len(existing(settings, list(growth.new.topics))) < len(growth.new.topics):
        return False
    marked = [number for number, found in _recovered(settings, names).items() if WATERMARK in found.generations]
    return len(marked) == count(settings, names.events)


def count(settings: Settings, topic: str) -> int:
    """Of its partitions. Raises KafkaError where it does not exist."""
    with closing(Reader(settings, group=None)) as reader:
        return len(reader.assign([topic]))


def _check_numbers(settings: Settings, growth: Growth, split: Split) -> None:
    names = growth.new.names
    if split.problem:
        raise NotGrownError(split.problem)
    if not existing(settings, [names.events]):
        return
    begun = count(settings, names.events)
    if begun != split.new:
        raise NotGrownError(f"{names.events} was begun with {begun} partitions: go on with those, or --abandon it")
    if is_grown(settings, growth):
        raise NotGrownError(f"it has grown: set RAPPORT_LOG_EPOCH={names.epoch} for every service and command")


def _recovered(settings: Settings, names: Names) -> dict[int, Recovery]:
    found: dict[int, Recovery] = defaultdict(Recovery)
    for record in read_to_end(settings, [names.state]):
        found[record.partition].add(record.key, record.value)
    for recovery in found.values():
        recovery.finish()
    return found


def _seal(settings: Settings, growth: Growth, recovered: Mapping[int, Recovery]) -> None:
    topics = list(growth.old.topics)
    seal(settings, topics)
    found = problems(settings, growth, recovered)
    if found and not existing(settings, list(growth.new.topics)):
        _unseal(settings, growth)
    _refuse(found)


def _unseal(settings: Settings, growth: Growth) -> None:
    unseal(settings, {name: topic.most_bytes for name, topic in growth.old.topics.items()})


def _refuse(found: Sequence[str]) -> None:
    if found:
        raise NotGrownError("\n  ".join(["not yet:", *found]))
