"""`rapport scoring heal`: relationships whose rows the bounded memory could not tell are told from the whole log.

Only one heal at a time: what a forgotten one still writes would be taken for newer than what is stored."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby

from schemas.topics import position
from services.runtime.clickhouse import ClickHouse
from services.runtime.settings import Settings
from services.scoring.domain.account import Account
from services.scoring.domain.healing import Healing, Mark, healing, is_within_reach
from services.scoring.flow.heal.log import Wanted, accounts_of
from services.scoring.flow.heal.telling import HealTelling
from services.scoring.flow.log_reading import Stored, stored
from services.scoring.flow.sink import GROUP, await_sink
from services.scoring.flow.stored_rows import stored_rows
from services.scoring.names import Names

PASSES = 3
"""Relationships become stale while others are healed: then these follow, but not for ever."""
READ_AT_ONCE = 2_000
"""Relationships whose whole log is in memory at once: some hundred MB."""
TOLD_AT_ONCE = 50
"""Relationships that are compared with the table, told and marked together."""

Progress = Callable[[str, int, int], object]
"""What is being done, how much of it is done, and how much there is to do (0: nobody knows)."""


class UnknownRelationshipError(Exception):
    """Scoring has no state of it."""


@dataclass
class Report:
    """`healed`: rows that were told and instants that were taken away, by relationship. `again`: stale again since, by
    what came meanwhile. `left`: stale still; scoring has not yet finished applying what made them so."""

    healed: dict[str, tuple[int, int]] = field(default_factory=dict)
    again: Sequence[str] = ()
    left: Sequence[str] = ()


@dataclass(frozen=True)
class Place:
    """Where the log, the states and the table are; `sink` is the group that fills the table."""

    settings: Settings
    names: Names
    sink: str = GROUP


def heal(place: Place, asked: Collection[str], progress: Progress) -> Report:
    """Heals the relationships asked for, or all, that are stale. Cut off, the next heal does the rest. Raises
    UnknownRelationshipError, LogCutOffError, SinkBehindError, KafkaError, ClickHouseError."""
    report = Report()
    for passes in range(PASSES + 1):
        progress("reading the stored states", 0, 0)
        known = stored(place.settings, place.names)
        _refuse_unknown(asked, known)
        stale = [name for name in known.stale if not asked or name in asked]
        ready = [name for name in stale if is_within_reach(known.states[name], _mark(place, known, name))]
        if not ready or passes == PASSES:
            break
        progress("waiting for the warehouse to store what was told", 0, 0)
        await_sink(place.settings, place.names.scores, place.sink)
        for name, found in _healed(place, known, ready, progress):
            deleted = sum(emission.row is None for emission in found.emissions)
            report.healed[name] = len(found.emissions) - deleted, deleted
    report.again = [name for name in stale if name in report.healed]
    report.left = [name for name in stale if name not in report.healed]
    return report


def _refuse_unknown(asked: Collection[str], known: Stored) -> None:
    for name in asked:
        if name not in known.states:
            raise UnknownRelationshipError(f"there is no relationship {name} among {len(known.states)} (tenant/id)")


def _mark(place: Place, known: Stored, name: str) -> Mark:
    number = known.partition_of[name]
    offset, clock, _ = known.watermarks[number]
    return Mark(position(place.names.epoch, offset), clock, known.programmes[number])


def _healed(place: Place, known: Stored, ready: Sequence[str], progress: Progress) -> Iterator[tuple[str, Healing]]:
    """Each relationship when it is told and marked."""
    done = 0
    with closing(ClickHouse(place.settings)) as table, closing(HealTelling(place.settings, place.names)) as telling:
        for some in _portions(known, ready):
            accounts = _accounts(place, known, some, progress)
            for begin in range(0, len(some), TOLD_AT_ONCE):
                progress("healing", done, len(ready))
                names = some[begin : begin + TOLD_AT_ONCE]
                marks = {name: _mark(place, known, name) for name in names}
                found = _healings(table, accounts, marks)
                telling.tell(found, known.partition_of)
                yield from found.items()
                done += len(names)


def _portions(known: Stored, ready: Sequence[str]) -> Iterator[Sequence[str]]:
    """Partition by partition, so that none is read more often than it must."""
    in_order = sorted(ready, key=lambda name: (known.partition_of[name], name))
    for begin in range(0, len(in_order), READ_AT_ONCE):
        yield in_order[begin : begin + READ_AT_ONCE]


def _accounts(place: Place, known: Stored, some: Sequence[str], progress: Progress) -> dict[str, Account]:
    wanted = [
        Wanted(number, frozenset(names), known.watermarks[number].offset)
        for number, names in groupby(some, key=known.partition_of.__getitem__)
    ]
    total, read = sum(one.upto + 1 for one in wanted), 0

    def passed(count: int) -> None:
        nonlocal read
        read += count
        progress("reading the log", read, total)

    found: dict[str, Account] = {}
    for one in wanted:
        found |= accounts_of(place.settings, place.names, one, passed)
    return found


def _healings(table: ClickHouse, accounts: Mapping[str, Account], marks: Mapping[str, Mark]) -> dict[str, Healing]:
    """By the rows that are stored, each relationship's up to its own mark."""
    told = stored_rows(table, list(marks), max(mark.clock for mark in marks.values()))
    found = {}
    for name, mark in marks.items():
        rows = {at: row for at, row in told.get(name, {}).items() if at <= mark.clock}
        found[name] = healing(name, accounts[name], rows, mark)
    return found
