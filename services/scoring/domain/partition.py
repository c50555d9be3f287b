"""The live path over one partition of the log: apply events, advance the clock, say what changed.

A state holds enough to compute every row above its floor; this file says which rows an event changes, which become due
as time passes, and marks as stale what the bounded memory can no longer tell."""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from schemas.events import ClockReached, MentoringEvent, OfRelationship
from schemas.primitives import to_micros
from schemas.topics import position
from services.scoring.domain.bounds import DAY, NONE
from services.scoring.domain.facts import Facts, adds_nothing, facts_of, merged
from services.scoring.domain.history import History
from services.scoring.domain.kinds import Kind
from services.scoring.domain.memory import trimmed
from services.scoring.domain.profiles import Profiles, Programmes
from services.scoring.domain.row import Row
from services.scoring.domain.state import Home, State

SPARE = 64
"""Facts beyond the bounded memory that a history may hold, beside as many as are in it."""
DUE_AT_ONCE = 100
"""Rows that become due and are computed in one go: some hundredths of a second of work."""


class Watermark(NamedTuple):
    """Everything up to `offset` is in the states, every row up to `clock` is out, those up to `clock_next` may be."""

    offset: int = NONE
    clock: int = NONE
    clock_next: int = NONE


class Emission(NamedTuple):
    """A row to be told: `row` None says that its instant is no more. `changed`: it is the newest row
    (`score.changed`), else it corrects the past. `trigger` None: the clock brought it about."""

    relationship: str
    program: str
    as_of: int
    position: int
    row: Row | None
    changed: bool
    trigger: OfRelationship | None


class Change(NamedTuple):
    """What one fact does to a relationship; `rows`: those that are other than before, None where one is no more."""

    state: State
    history: History
    rows: dict[int, Row | None]
    floor: int


class Partition:
    """Owned by one worker at a time; recovered from its states and watermark. Offsets are those of log `epoch`."""

    def __init__(
        self, programmes: Programmes, states: Mapping[str, State], watermark: Watermark, epoch: int = 0
    ) -> None:
        self._programmes, self._epoch = programmes, epoch
        self.states = dict(states)
        self.offset, self.clock = watermark.offset, watermark.clock
        self._histories: dict[str, History] = {}
        self._due: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        self._unscheduled = list(self.states)

    def scheduling(self) -> Iterator[str]:
        """Finds when each relationship is due first, one a step; whoever asks what is due finishes what is left."""
        while self._unscheduled:
            relationship = self._unscheduled.pop()
            self._schedule(relationship)
            yield relationship

    def apply(self, event: MentoringEvent, key: str, offset: int) -> list[Emission]:
        """One record of the log, `key` being its partition key. First the rows that became due before it, oldest
        first, then those it changes: past ones oldest first, the newest always last."""
        out = [emission for step in self.advance(to_micros(event.recordedtime)) for emission in step]
        self.offset = offset
        # Asked so, because to look for the event among the 33 kinds of the other takes longer than to read its time.
        if not isinstance(event, ClockReached):
            out += self._changes(event, key, position(self._epoch, offset))
        return out

    def advance(self, clock: int) -> Iterator[list[Emission]]:
        """Moves the clock, never back, a day at a time; yields the rows that become due, oldest first, so many at once
        that whoever writes them never works for long without a pause. The clock moves when a day is through."""
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

    def tell(self, tenant: str, program: str, profiles: Profiles, offset: int) -> set[str]:
        """A programme has other profiles, by the record at this offset of the programmes' topic. Only rows to come may
        change by it; where rows that are out would have been others, their relationship is stale. Returns the
        relationships whose states are to be stored."""
        since = profiles.differ_from(self._programmes.tell(tenant, program, profiles, offset))
        stale: set[str] = set()
        for name, state in self.states.items():
            if since is None or (name.split("/", 1)[0], state.home.program) != (tenant, program):
                continue
            self._histories.pop(name, None)
            self._schedule(name)
            if since <= max(self.clock, state.clock) and state.facts:
                self.states[name] = replace(state, stale_programme=max(offset, state.stale_programme))
                stale.add(name)
        return stale

    def clocked(self, relationships: set[str]) -> dict[str, State]:
        """The states of these relationships as they must be stored: trimmed, and marked with how far their rows are
        out."""
        found = {name: self.states[name].clocked(self.clock) for name in relationships & self.states.keys()}
        for name, state in found.items():
            if (history := self._histories.get(name)) is not None and history.fits_memory():
                self.states[name] = state
                continue
            facts = trimmed(state.facts)
            if len(facts) * 2 + SPARE < len(state.facts):
                # What is beyond the memory was kept for a while, since to leave out a fact is to index all others anew.
                self._histories[name] = self._history(name).of(facts, min(facts).time)
                state = replace(state, facts=facts)  # noqa: PLW2901 (the state in memory has the same facts)
            self.states[name] = state
            found[name] = replace(state, facts=facts)
        return found

    def _due_rows(self, end: int) -> Iterator[list[Emission]]:
        out: list[Emission] = []
        while (due := self._next_due()) is not None and due <= end:
            _, relationship = heapq.heappop(self._heap)
            state = self.states[relationship]
            out += [
                Emission(relationship, state.home.program, at, state.position, row, changed=True, trigger=None)
                for at, row in self._history(relationship).rows(max(self.clock, state.clock), end).items()
            ]
            self._schedule(relationship, end)
            if len(out) >= DUE_AT_ONCE:
                yield sorted(out, key=_by_instant)
                out = []
        yield sorted(out, key=_by_instant)

    def _changes(self, event: OfRelationship, key: str, place: int) -> list[Emission]:
        old = self.states.get(key, State(home=Home(place, event.program)))
        facts = facts_of(event, place)
        if not facts or place <= old.position:
            return []
        change = self._grow(key, replace(old, position=place), facts)
        self.states[key] = change.state
        self._histories[key] = change.history
        self._schedule(key)
        return self._told(key, change, event)

    def _grow(self, key: str, old: State, facts: Facts) -> "Change":
        """Which rows another fact changes, and what becomes of the state."""
        self.states[key] = old
        before, time = self._history(key), next(iter(facts)).time
        if any(fact.kind == Kind.ERASED for fact in facts):
            return self._erased(before, old, facts)
        news = not adds_nothing(before.facts, facts)
        was = before.rows(max(time, before.floor(self.clock)) - 1, self.clock) if news else {}
        history = before.grown(facts)
        floor, state = history.floor(self.clock), replace(old, facts=history.facts)
        # Below the floor nothing but the newest row can be told; what is between needs a heal. A copy of a fact that is
        # still known changes no row of the past either: retries after a crash are such copies.
        if time < floor and news:
            state = replace(state, stale_position=state.position)
        if floor > self.clock:
            state = replace(state, inexact_until=max(floor, state.inexact_until))
        if state.inexact_until > self.clock:
            # Rows that are not exact have to be the same again after a crash: what is stored decides them.
            history = history.of(trimmed(history.facts), 0)
            state = replace(state, facts=history.facts)
        now = history.rows(max(time, floor) - 1, self.clock) if news and time >= floor else {}
        was = {at: row for at, row in was.items() if time >= floor and at >= floor}
        rows = {at: now.get(at) for at in sorted(was.keys() | now.keys()) if was.get(at) != now.get(at)}
        return Change(state, history, rows, floor)

    def _erased(self, before: History, old: State, facts: Facts) -> "Change":
        """Nothing is left: the rows above the floor go at once, and the newest wherever it is; the others by a heal."""
        floor = before.floor(self.clock)
        rows: dict[int, Row | None] = dict.fromkeys(before.rows(floor - 1, self.clock))
        newest = before.newest(self.clock)
        if newest is not None:
            rows = dict.fromkeys(sorted({newest, *rows}))
        history = before.of(trimmed(merged(before.facts, facts)), 0)
        state = replace(old, facts=history.facts, stale_position=old.position if rows else old.stale_position)
        return Change(state, history, rows, floor)

    def _told(self, key: str, change: "Change", event: OfRelationship) -> list[Emission]:
        """Corrections oldest first, the newest row last as `score.changed`, changed or not."""
        rows, history = change.rows, change.history
        newest = history.newest(self.clock)
        if newest is None or newest < change.floor:
            # So far back only what is stored says what the row is.
            history = history.of(trimmed(history.facts), 0)
            newest = history.newest(self.clock)
        if newest is not None and newest < change.floor:
            if not rows:
                return []
            self.states[key] = replace(change.state, stale_position=change.state.position)
        if newest is not None:
            rows[newest] = rows.pop(newest, None) or history.rows(newest - 1, newest)[newest]
        state, last = change.state, next(reversed(rows), None)
        return [
            Emission(key, state.home.program, at, state.position, row, changed=at == last, trigger=event)
            for at, row in rows.items()
        ]

    def _history(self, relationship: str) -> History:
        found = self._histories.get(relationship)
        if found is None:
            state = self.states[relationship]
            profiles = self._programmes.of(relationship, state.home.program)
            found = self._histories[relationship] = History(state.facts, profiles)
            self.states[relationship] = replace(state, facts=found.facts)
        return found

    def _schedule(self, relationship: str, after: int = NONE) -> None:
        state = self.states[relationship]
        due = self._history(relationship).due(max(after, self.clock, state.clock))
        if due is None:
            self._due.pop(relationship, None)
            return
        self._due[relationship] = due
        heapq.heappush(self._heap, (due, relationship))

    def _next_due(self) -> int | None:
        """The least scheduled instant; entries that a later schedule replaced are thrown away."""
        for _ in self.scheduling():
            pass
        while self._heap:
            due, relationship = self._heap[0]
            if self._due.get(relationship) == due:
                return due
            heapq.heappop(self._heap)
        return None


def _by_instant(emission: Emission) -> tuple[int, str]:
    return emission.as_of, emission.relationship
