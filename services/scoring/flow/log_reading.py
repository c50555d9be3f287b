"""The log and the changelog read from the beginning, for commands that recompute."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.events import ClockReached
from schemas.topics import position
from services.runtime.kafka import partition_count, read_to_end
from services.runtime.settings import Settings
from services.scoring.domain.account import Account
from services.scoring.domain.changelog import Recovery
from services.scoring.domain.partition import Watermark
from services.scoring.domain.profiles import Programmes
from services.scoring.domain.state import State
from services.scoring.domain.told_programmes import remembered
from services.scoring.flow.decoding import Refusal, event_at
from services.scoring.names import Names


@dataclass(frozen=True)
class Stored:
    """What the workers have acknowledged, by partition."""

    states: Mapping[str, State]
    watermarks: Mapping[int, Watermark]
    clock_of: Mapping[str, int] = field(default_factory=dict)
    partition_of: Mapping[str, int] = field(default_factory=dict)
    programmes: Mapping[int, Programmes] = field(default_factory=dict)
    """What each partition was told of them: the profiles that its rows are made by."""

    @property
    def clock(self) -> int | None:
        """The lowest stored clock: rows up to here are out everywhere. None while there is no watermark."""
        return min((mark.clock for mark in self.watermarks.values()), default=None)

    @property
    def stale(self) -> list[str]:
        return sorted(name for name, state in self.states.items() if state.is_stale(self.clock_of[name]))


def stored(settings: Settings, names: Names) -> Stored:
    recoveries: dict[int, Recovery] = defaultdict(Recovery)
    for record in read_to_end(settings, [names.state]):
        if record.key is not None:
            recoveries[record.partition].add(record.key, record.value)
    states: dict[str, State] = {}
    clock_of: dict[str, int] = {}
    partition_of: dict[str, int] = {}
    for number, recovery in recoveries.items():
        recovery.finish()
        states |= recovery.states
        clock_of |= dict.fromkeys(recovery.states, recovery.watermark.clock)
        partition_of |= dict.fromkeys(recovery.states, number)
    watermarks = {number: recovery.watermark for number, recovery in recoveries.items()}
    programmes = {number: remembered(recovery.told) for number, recovery in recoveries.items()}
    return Stored(states, watermarks, clock_of, partition_of, programmes)


def accounts(settings: Settings, names: Names, upto: Mapping[int, Watermark]) -> dict[str, Account]:
    """What the log says of every relationship, up to the watermarks. Records that are no events are none here either:
    they went to quarantine."""
    found: dict[str, Account] = defaultdict(Account)
    partitions = partition_count(settings, names.events)
    for record in read_to_end(settings, [names.events]):
        mark = upto.get(record.partition)
        if mark is None or record.offset > mark.offset:
            continue
        event = event_at(record, partitions)
        if isinstance(event, Refusal | ClockReached):
            continue
        found[event.partitionkey].add(event, position(names.epoch, record.offset))
    return {relationship: account for relationship, account in found.items() if account.facts}
