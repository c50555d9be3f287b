"""The live path over one partition of the log: apply events, advance the clock, say what changed.

A state holds enough to compute every row above its floor; this file says which rows an event changes, which become due
as time passes, and marks as stale what the bounded memory can no longer tell."""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from schemas.events import MentoringEvent, OfRelationship
from schemas.primitives import to_micros
from services.scoring.domain import memory
from services.scoring.domain.bounds import DAY, NONE
from services.scoring.domain.facts import adds_nothing, facts_of
from services.scoring.domain.history import History, Row
from services.scoring.domain.profiles import Profiles, Programmes
from services.scoring.domain.state import Home, State

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


class Partition:
    """Owned by one worker at a time; recovered from its states and watermark."""

    def __init__(self, programmes: Programmes, states: Mapping[str, State], watermark: Watermark) -> None:
        self._programmes = programmes
        self.states = dict(states)
        self.offset, self.clock = watermark.offset, watermark.clock
        self._histories: dict[str, History] = {}
        self._due: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        for relationship in self.states:
            self._schedule(relationship)

    def apply(self, event: MentoringEvent, key: str, offset: int) -> list[Emission]:
        """One record of the log, `key` being its partition key. First the rows that became due before it, oldest
        first, then those it changes: past ones oldest first, the newest always last."""
        out = [emission for step in self.advance(to_micros(event.recordedtime)) for emission in step]
        self.offset = offset
        if isinstance(event, OfRelationship):
            out += self._changes(event, key, offset)
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

    def tell(self, tenant: str, program: str, profiles: Profiles) -> set[str]:
        """A programme has other profiles. Only rows to come may change by it; where rows that are out would have been
        others, their relationship is stale. Returns the relationships whose states are to be stored."""
        since = profiles.differ_from(self._programmes.tell(tenant, program, profiles))
        stale: set[str] = set()
        for name, state in self.states.items():
            if since is None or (name.split("/", 1)[0], state.home.program) != (tenant, program):
                continue
            self._histories.pop(name, None)
            self._schedule(name)
            if since <= max(self.clock, state.clock) and state.facts:
                self.states[name] = replace(state, stale_position=state.position)
                stale.add(name)
        return stale

    def clocked(self, relationships: set[str]) -> dict[str, State]:
        """The states of these relationships, marked with how far their rows are out: what must be stored."""
        for relationship in relationships & self.states.keys():
            self.states[relationship] = self.states[relationship].clocked(self.clock)
        return {relationship: self.states[relationship] for relationship in relationships & self.states.keys()}

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

    def _changes(self, event: OfRelationship, key: str, offset: int) -> list[Emission]:
        old = self.states.get(key, State())
        facts = facts_of(event, offset)
        if not facts or offset <= old.position:
            return []
        time = next(iter(facts)).time
        new = old.merge(State(facts, offset, home=Home(offset, event.program)))
        floor = memory.floor(new.facts, self.clock)
        # Below the floor nothing but the newest row can be told; what is between needs a heal.
        low = max(floor, time if time >= floor else self.clock + 1)
        # A copy of a fact that is still known changes no row of the past either: retries after a crash are such copies.
        if time < floor and not adds_nothing(old.facts, facts):
            new = replace(new, stale_position=offset)
        if floor > self.clock:
            new = replace(new, inexact_until=max(floor, new.inexact_until))
        self.states[key] = new
        before = self._history(key, old)
        self._histories[key] = before.succeeded(new.facts, time)
        self._schedule(key)
        rows = self._differences(before, self._history(key), low)
        return self._told(rows, key, event, floor)

    def _differences(self, before: History, after: History, low: int) -> dict[int, Row | None]:
        was, now = before.rows(low - 1, self.clock), after.rows(low - 1, self.clock)
        return {at: now.get(at) for at in sorted(was.keys() | now.keys()) if was.get(at) != now.get(at)}

    def _told(self, rows: dict[int, Row | None], key: str, event: OfRelationship, floor: int) -> list[Emission]:
        """Corrections oldest first, the newest row last as `score.changed`, changed or not."""
        newest = self._history(key).newest(self.clock)
        if newest is not None and newest < floor:
            if not rows:
                return []
            self.states[key] = replace(self.states[key], stale_position=self.states[key].position)
        if newest is not None:
            rows.pop(newest, None)
            rows[newest] = self._history(key).rows(newest - 1, newest)[newest]
        state, last = self.states[key], next(reversed(rows), None)
        return [
            Emission(key, state.home.program, at, state.position, row, changed=at == last, trigger=event)
            for at, row in rows.items()
        ]

    def _history(self, relationship: str, state: State | None = None) -> History:
        found = self._histories.get(relationship)
        if found is None:
            facts = (state or self.states[relationship]).facts
            profiles = self._programmes.of(relationship, self.states[relationship].home.program)
            found = self._histories[relationship] = History(facts, profiles)
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
        while self._heap:
            due, relationship = self._heap[0]
            if self._due.get(relationship) == due:
                return due
            heapq.heappop(self._heap)
        return None


def _by_instant(emission: Emission) -> tuple[int, str]:
    return emission.as_of, emission.relationship
