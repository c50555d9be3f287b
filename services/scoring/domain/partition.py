"""The live path over one partition of the log: apply events, advance the clock, emit the rows that change.

A state holds enough to compute every row above its floor. This module decides which rows an event changes and which
rows become due as time passes, and marks a relationship as stale where the bounded memory is not enough."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import NamedTuple

from schemas.events import ClockReached, OfRelationship, ProfileSet
from schemas.topics import position
from services.scoring.domain import bounds
from services.scoring.domain.bounds import DAY, NONE
from services.scoring.domain.evaluation import midnights
from services.scoring.domain.facts import facts_of
from services.scoring.domain.history import NewestRow, ScoreHistory
from services.scoring.domain.late_facts import FactChange, change_of, with_newest
from services.scoring.domain.layout import Enrolment, PackedFacts, PartitionWatermark, RelationshipState, packed
from services.scoring.domain.midnights import due_midnight_rows, restore_outlooks
from services.scoring.domain.outlook import Outlook, OutlookTable
from services.scoring.domain.profiles import AppliedProfiles, Profiles, Programmes, applied_profiles
from services.scoring.domain.row import HistoryRow

SURPLUS_ALLOWANCE = 64
"""A history may hold this many facts beyond the bounded memory, plus as many as are in it."""
DUE_BATCH = 100
"""Due rows computed in one step: a hundredth of a second of work."""
LOAD_BATCH = 250
"""Relationships whose outlooks are restored from their states in one step."""
INDEXED_FACTS = 100_000
"""Default limit of the facts indexed in memory: about 200 MB."""


class Emission(NamedTuple):
    """A row to emit. `row` None deletes the row at that instant. `changed`: the newest row (`score.changed`); otherwise
    a correction of the past. `trigger` None: the clock caused it."""

    relationship: str
    program: str
    as_of: int
    position: int
    row: HistoryRow | None
    changed: bool
    trigger: OfRelationship | None


class ScoredPartition:
    """Owned by one worker at a time; recovered from its states and watermark. Offsets are those of log `epoch`.

    In memory a relationship is its packed facts and its outlook. A history is many times as large, so it exists only
    while it is in use; the most recently used ones stay cached, up to `indexed_facts` facts in total."""

    def __init__(
        self,
        programmes: Programmes,
        states: Mapping[str, RelationshipState],
        watermark: PartitionWatermark,
        epoch: int = 0,
        indexed_facts: int = INDEXED_FACTS,
    ) -> None:
        self._programmes, self._begin = programmes, position(epoch, 0)
        self.states = dict(states)
        self.offset, self.clock = watermark.offset, watermark.clock
        self._outlooks = OutlookTable()
        self._histories: OrderedDict[str, ScoreHistory] = OrderedDict()
        """Those that were worked with last at the end."""
        self._sizes: dict[str, int] = {}
        self.indexed_facts, self._indexed_limit = 0, indexed_facts
        """Facts of the histories in memory."""
        self._unscheduled = list(self.states)
        self._packed_facts = sum(map(_packed_size, self.states.values()))

    @property
    def packed_bytes(self) -> int:
        """Bytes of the facts as they were last stored, and of the outlooks."""
        return self._packed_facts + self._outlooks.size

    def schedule_all(self) -> Iterator[str]:
        """Find the first due instant of each relationship, one per step. A query for what is due runs the remaining
        steps first."""
        while self._unscheduled:
            batch = self._unscheduled[-LOAD_BATCH:]
            del self._unscheduled[-LOAD_BATCH:]
            stored: dict[str, bytes] = {}
            for name in batch:
                # A relationship that had an event in the meantime is scheduled already.
                if self._outlooks.schedule(name) is None:
                    state = self.states[name]
                    facts = packed(state.facts)
                    self._packed_facts += len(facts.data) - _packed_size(state)
                    self.states[name] = state.with_facts(facts, state.clock)
                    stored[name] = state.derived if state.clock <= self.clock else b""
            missing = restore_outlooks(self._outlooks, stored, self.clock, self._profiles_of)
            for relationship in batch:
                if relationship in missing:
                    self._schedule(relationship)
                    # Not in use yet.
                    self._evict_history(relationship)
                yield relationship

    def apply(self, event: OfRelationship | ClockReached, key: str, offset: int) -> list[Emission]:
        """Apply one record of the log whose recorded time the clock has already reached; `key` is its partition key.
        Returns the rows it changes: past rows oldest first, the newest row always last."""
        self.offset, log_position = offset, self._begin + offset
        # An exact type check: isinstance of a pydantic model takes twenty times as long.
        if type(event) is ClockReached:
            return []
        facts = facts_of(event, log_position)
        old = self.states.get(key) or RelationshipState(enrolment=Enrolment(log_position, event.program))
        if not facts or log_position <= old.position:
            return []
        self._packed_facts -= _packed_size(old)
        (entry,) = facts.items()
        time, trend_midnights = entry[0].time, midnights(entry[0].time)
        recent = self._outlooks.recent(key, trend_midnights)
        if recent is not None and recent.newest < time <= self.clock:
            # Newer than every row. If it is also newer than all other facts, it changes no earlier row.
            history = self._history(key)
            is_exact = old.inexact_until <= self.clock and history.index.largest < bounds.GROUP_CAPACITY
            if is_exact and time >= self.clock - bounds.FLOOR and history.is_newer(entry[0]):
                points = list(zip(trend_midnights, recent.healths or history.healths(trend_midnights), strict=True))
                self.states[key] = old.with_facts(history.facts, NONE, log_position)
                found = history.append_in_order(entry, recent.newest, points, self.clock)
                return self._in_order(key, history, found, event, recent.until)
        self.states[key] = old
        change = change_of(self._history(key), replace(old, position=log_position), facts, self.clock)
        self._outlooks.invalidate_healths(key, time)
        return self._changed(key, change, event)

    def advance(self, clock: int) -> Iterator[list[Emission]]:
        """Move the clock forward, never back, one day at a time. Yields the rows that become due, oldest first, in
        batches small enough that the writer can pause often. The clock moves once a day is complete."""
        while self.clock < clock:
            due = self._next_due()
            if due is None or due > clock:
                self.clock = clock
                return
            end = min(clock, -(-due // DAY) * DAY)
            yield from self._due_rows(end)
            self.clock = end

    def is_due(self, clock: int) -> bool:
        """Whether a row becomes due up to this clock."""
        due = self._next_due()
        return due is not None and due <= clock

    def resolve_profiles(self, event: ProfileSet, offset: int) -> AppliedProfiles:
        return applied_profiles(event, self._begin + offset)

    def apply_profiles(self, applied: AppliedProfiles, offset: int) -> Iterator[str | None]:
        """A programme has other profiles from this record of the log on. Only future rows may change by it; a
        relationship whose emitted rows would have differed becomes stale. One relationship per step: yields its name if
        its state has to be stored, else None."""
        tenant, program, _, log_position = applied
        self.offset = offset
        since = self._programmes.apply(*applied).differ_from(self._programmes.lookup(tenant, program))
        if since is None:
            return
        for name, state in list(self.states.items()):
            if (name.split("/", 1)[0], state.enrolment.program) != (tenant, program):
                yield None
                continue
            self._evict_history(name)
            self._outlooks.invalidate_healths(name, since)
            self._schedule(name)
            if since <= max(self.clock, state.clock) and state.facts:
                self.states[name] = replace(self.states[name], stale_position=max(log_position, state.stale_position))
                yield name
            else:
                yield None

    def states_to_store(self, relationships: set[str]) -> dict[str, RelationshipState]:
        """The states of these relationships as they are stored: trimmed, and marked with how far their rows are
        emitted. Sorted by name, so that every worker on the same log writes the same bytes in the same order."""
        found: dict[str, RelationshipState] = {}
        for name in sorted(relationships & self.states.keys()):
            state, history = self.states[name], self._histories.get(name)
            facts = state.facts
            # An exact type check: isinstance with a Mapping takes ten times as long.
            if type(facts) is not PackedFacts:
                facts = packed(facts) if history is None else history.packed()
                self._packed_facts += len(facts.data)
            self.states[name] = state.with_facts(facts, self.clock)
            found[name] = state.with_facts(facts, self.clock, derived=self._outlooks.dump(name))
            if history is not None and history.surplus * 2 > len(history.facts) + SURPLUS_ALLOWANCE:
                # Surplus facts are kept for a while, because removing one means indexing all others again.
                self._evict_history(name)
        self._evict_least_recent()
        return found

    def _due_rows(self, end: int) -> Iterator[list[Emission]]:
        out: list[Emission] = []
        while (due := self._outlooks.next_individual()) is not None and due <= end:
            relationship = self._outlooks.pop_individual()
            state = self.states[relationship]
            became_due = self._history(relationship).rows(max(self.clock, state.clock), end)
            out += [self._due_row(relationship, at, row) for at, row in became_due.items()]
            self._schedule(relationship, end)
            if len(out) >= DUE_BATCH:
                yield sorted(out, key=attrgetter("as_of", "relationship"))
                out = []
            else:
                # A relationship scheduled individually takes as long as many in columns: the writer may pause here.
                yield []
        yield sorted(out, key=attrgetter("as_of", "relationship"))
        for rows in due_midnight_rows(self._outlooks, end, DUE_BATCH, self._profiles_of):
            for found in rows:
                # The deltas of the relationship's next event are measured against this row.
                history = self._histories.get(found.name)
                if history is not None:
                    history.cache_newest(end, found.row.evaluation)
            yield [self._due_row(found.name, end, found.row) for found in rows]

    def _due_row(self, relationship: str, at: int, row: HistoryRow) -> Emission:
        state = self.states[relationship]
        return Emission(relationship, state.enrolment.program, at, state.position, row, changed=True, trigger=None)

    def _changed(self, key: str, change: FactChange, event: OfRelationship) -> list[Emission]:
        self.states[key] = change.state
        self._cache_history(key, change.history)
        self._schedule(key)
        return self._emissions(key, change.rows, event)

    def _emissions(self, key: str, rows: dict[int, HistoryRow | None], event: OfRelationship) -> list[Emission]:
        """The last emission is the newest row."""
        state, last = self.states[key], next(reversed(rows), None)
        program, log_position = state.enrolment.program, state.position
        return [
            Emission(key, program, at, log_position, row, changed=at == last, trigger=event) for at, row in rows.items()
        ]

    def _in_order(
        self, key: str, history: ScoreHistory, found: NewestRow | None, event: OfRelationship, until: int
    ) -> list[Emission]:
        """`found`: what the history returned for the appended fact; `until`: the last midnight whose health was stored
        before it."""
        state, time = self.states[key], history.index.times[-1]
        if until >= time:
            self._outlooks.invalidate_healths(key, time)
        if found is None:
            change = FactChange(state, history, {}, history.index.floor(self.clock))
            return self._changed(key, with_newest(change, self.clock), event)
        row, due, outlook = found
        if due is None or due > self.clock:
            self._cache_history(key, history)
            if self.clock // DAY * DAY <= until < time:
                # All healths stay valid, and those of the last midnights are stored.
                self._outlooks.write(key, outlook)
            else:
                self._store_outlook(key, outlook, self.clock)
            return [Emission(key, state.enrolment.program, time, state.position, row, changed=True, trigger=event)]
        # The clock is beyond the fact: the rows between the two become due with it.
        rows = {time: row} | history.rows(time, self.clock)
        due, last = history.due(self.clock), next(reversed(rows))
        self._store_outlook(key, history.compute_outlook(self.clock, last, due), self.clock)
        self._cache_history(key, history)
        return self._emissions(key, dict(rows), event)

    def _history(self, relationship: str) -> ScoreHistory:
        found = self._histories.get(relationship)
        if found is None:
            found = ScoreHistory(self.states[relationship].facts, self._profiles_of(relationship))
            self._cache_history(relationship, found)
        else:
            self._histories.move_to_end(relationship)
        return found

    def _cache_history(self, name: str, history: ScoreHistory) -> None:
        """Also updates the size of one that is cached and has grown."""
        self._histories[name] = history
        self._histories.move_to_end(name)
        size = len(history.facts)
        self.indexed_facts += size - self._sizes.get(name, 0)
        self._sizes[name] = size

    def _evict_history(self, name: str) -> None:
        if self._histories.pop(name, None) is not None:
            self.indexed_facts -= self._sizes.pop(name)

    def _evict_least_recent(self) -> None:
        """Evict the least recently used histories whose facts are also in their packed state."""
        for _ in range(len(self._histories)):
            if self.indexed_facts <= self._indexed_limit:
                return
            name = next(iter(self._histories))
            if type(self.states[name].facts) is PackedFacts:
                self._evict_history(name)
            else:
                self._histories.move_to_end(name)

    def _schedule(self, relationship: str, after: int = NONE) -> None:
        """Recompute the outlook of a relationship whose rows up to the clock are all emitted."""
        upto = max(after, self.clock, self.states[relationship].clock)
        history = self._history(relationship)
        newest = history.newest(upto)
        due = history.due(upto)
        self._store_outlook(relationship, history.compute_outlook(upto, NONE if newest is None else newest, due), upto)
        self._evict_least_recent()

    def _store_outlook(self, relationship: str, outlook: Outlook, upto: int) -> None:
        self._outlooks.write(relationship, outlook)
        missing = self._outlooks.missing_healths(relationship, upto // DAY * DAY)
        if missing:
            self._outlooks.store_healths(relationship, missing, self._history(relationship).healths(missing))

    def _next_due(self) -> int | None:
        for _ in self.schedule_all():
            pass
        return self._outlooks.next_due()

    def _profiles_of(self, relationship: str) -> Profiles:
        return self._programmes.of(relationship, self.states[relationship].enrolment.program)


def _packed_size(state: RelationshipState) -> int:
    # An exact type check: isinstance with a Mapping takes ten times as long.
    return len(state.facts.data) if type(state.facts) is PackedFacts else 0
