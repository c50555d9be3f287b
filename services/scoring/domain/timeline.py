"""The timeline of one relationship: its snapshot at any instant, which instants have a row, and the spans in between,
in which silence alone may take the score to a watched level."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from functools import cached_property
from operator import itemgetter
from typing import NamedTuple

from services.scoring.domain.bounds import DAY, FOREVER, NONE, SECOND, UNSET
from services.scoring.domain.crossings import Instant, SilentSpan
from services.scoring.domain.facts import CAUSE_OF_KIND, Fact, Facts, Key
from services.scoring.domain.kinds import FactKind
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.snapshots.index import FactIndex, View
from services.scoring.domain.snapshots.snapshot import Snapshot, snapshot

CACHED_SNAPSHOTS = 2
"""Snapshots cached per relationship: those of the newest facts."""

RETRACTED = "event.retracted"
MIDNIGHT = "midnight"
BOOKING_STARTS = "booking.starts"
PROFILE_CHANGED = "profile.changed"
GOAL_STALLED = "goal.stalled"
PAUSE_BOUNDARY = "pause.boundary"
SCHEDULING_KINDS = frozenset({FactKind.SCHEDULED, FactKind.RESCHEDULED, FactKind.PAUSED})
"""Facts that name future instants."""


def scheduled_instants(key: Key, fact: Fact) -> Collection[int]:
    """The instants that a fact names besides its own time."""
    if key.kind not in SCHEDULING_KINDS:
        return ()
    return {fact.first, *((fact.second,) if key.kind == FactKind.PAUSED else ())} - {UNSET}


SESSIONS = 4
"""Upcoming sessions stored in an outlook: a restart after some of them have begun need not read the facts again."""
_NO_SESSIONS = (UNSET,) * SESSIONS


class Lookahead(NamedTuple):
    """Seen from an instant. `upcoming`: the next instant named by facts, profiles or stalling goals. `turn`: the same,
    but ignoring the plain start of a session that is followed by another known one. Both are FOREVER if there is none.
    `sessions`: the next booked sessions, UNSET where there are no more."""

    upcoming: int
    turn: int
    sessions: tuple[int, ...]


class Timeline:
    """Append-only. `facts` are those of the relationship; the caller adds a fact to them before appending it here. Each
    instant is evaluated from the facts up to it."""

    def __init__(self, facts: Facts, profiles: Profiles) -> None:
        self.index = FactIndex(facts)
        self._facts, self.profiles = facts, profiles
        self._changes = profiles.changes
        self._cached: dict[tuple[int, int], Snapshot] = {}
        self._latest: dict[int, Snapshot] = {}

    def at(self, instant: int) -> Snapshot:
        """The snapshot of the facts up to and including this instant, under the profile version in force then."""
        # Called for every row, and most programmes have one version.
        index = bisect_right(self.index.times, instant), bisect_right(self._changes, instant) if self._changes else 0
        found = self._cached.get(index)
        if found is None:
            count, version = index
            previous, parameters = self._latest.get(version), self.profiles.parameters[version]
            if previous is not None and previous.view.count + 1 == count:
                view, changed = previous.view.with_next()
                found = snapshot(view, parameters, previous, changed)
            else:
                found = snapshot(View(self.index, count), parameters, previous)
            self._cached[index] = found
            if previous is None or previous.view.count < count:
                self._latest[version] = found
        return found

    def append(self, key: Key, fact: Fact) -> None:
        """Add a fact that is newer than all others: earlier snapshots stay valid."""
        self.index.append(key, fact)
        time, breakpoints, causes = key.time, self.breakpoints, self._causes_of_facts
        for at in (time, *scheduled_instants(key, fact)):
            index = bisect_left(breakpoints, at)
            if breakpoints[index : index + 1] != [at]:
                breakpoints.insert(index, at)
        cause = CAUSE_OF_KIND[key.kind] if fact.position != NONE and not fact.marked else RETRACTED
        causes[time] = tuple(sorted({*causes[time], cause})) if time in causes else (cause,)

    def trim_cache(self) -> None:
        """Drop all snapshots but those of the newest facts."""
        if len(self._cached) > 2 * CACHED_SNAPSHOTS:
            self._replace_cache(sorted(self._cached.items(), key=itemgetter(0))[-CACHED_SNAPSHOTS:])

    def inherit(self, older: "Timeline", since: int) -> None:
        """Take over the snapshots of the facts before `since`, if both timelines have the same facts before it."""
        count = bisect_left(self.index.times, since)
        if older.index.keys[:count] != self.index.keys[:count]:
            return
        # Both indexes begin with the same facts; repoint the views, so that the older index can be freed.
        kept = [(index, found) for index, found in older._cached.items() if 0 < index[0] <= count]  # noqa: SLF001 (of its own kind)
        for _, found in kept:
            found.view.index = self.index
        self._replace_cache(sorted(kept, key=itemgetter(0)))

    def between(self, after: int, upto: int) -> tuple[list[Instant], list[SilentSpan]]:
        """The instants in (after, upto] that have a row because of facts and profiles, and the silent spans in between,
        in which every midnight and every crossing has a row."""
        found: list[Instant] = []
        spans: list[SilentSpan] = []
        points = self.breakpoints[bisect_right(self.breakpoints, after) : bisect_right(self.breakpoints, upto)]
        if after < upto != (points or [after])[-1]:
            points.append(upto)
        at, snapshot = after, self.at(after)
        for point in points:
            stalls = snapshot.stalls
            for edge in (stalls, point) if stalls is not None and at < stalls < point else (point,):
                following = self.at(edge)
                causes = self.causes(following, edge)
                if snapshot.is_running(at):
                    # Between two breakpoints only midnights and crossings have a row.
                    spans.append(
                        SilentSpan(snapshot, self.search_begin(snapshot, at), edge - 1 if causes else edge, edge)
                    )
                if causes:
                    found.append(Instant(edge, causes, following))
                at, snapshot = edge, following
        return found, spans

    def causes(self, snapshot: Snapshot, at: int) -> tuple[str, ...]:
        """Why a row exists at an instant other than a crossing; empty if there is no row."""
        frame = snapshot.frame
        if not snapshot.exists or (frame.ended is not None and frame.ended < at):
            return ()
        out = self._causes_of_facts.get(at, ())
        if at % DAY == 0 and not frame.pauses.holds(at):
            out = (*out, MIDNIGHT)
        if at in snapshot.meetings.bookings:
            out = (*out, BOOKING_STARTS)
        if at in frame.boundaries:
            out = (*out, PAUSE_BOUNDARY)
        if at == snapshot.stalls:
            out = (*out, GOAL_STALLED)
        if at in self._changes:
            out = (*out, PROFILE_CHANGED)
        return out

    def search_begin(self, snapshot: Snapshot, after: int) -> int:
        """Where a search for crossings begins: the whole second before `after`, but no earlier than the last
        breakpoint, so that the result does not depend on where the search began. The next whole second lies beyond
        `after`."""
        whole_second = after // SECOND * SECOND
        last = bisect_right(self.breakpoints, after) - 1
        breakpoints = whole_second if last < 0 else max(whole_second, self.breakpoints[last])
        # Risk jumps where a goal begins to stall: a level passed by that jump is not a crossing within the following
        # second.
        stalls = snapshot.stalls
        return breakpoints if stalls is None or stalls > after else max(breakpoints, stalls)

    def next_breakpoint(self, after: int) -> int:
        """The next instant named by facts or profiles; FOREVER if there is none."""
        index = bisect_right(self.breakpoints, after)
        return self.breakpoints[index] if index < len(self.breakpoints) else FOREVER

    def lookahead(self, snapshot: Snapshot, after: int) -> Lookahead:
        breakpoints, index, bookings = (
            self.breakpoints,
            bisect_right(self.breakpoints, after),
            snapshot.meetings.bookings,
        )
        stalls = FOREVER if snapshot.stalls is None or snapshot.stalls <= after else snapshot.stalls
        upcoming = min(breakpoints[index], stalls) if index < len(breakpoints) else stalls
        if not bookings or bookings[-1] <= after:
            return Lookahead(upcoming, upcoming, _NO_SESSIONS)
        begins = bookings[(first := bisect_right(bookings, after)) : first + SESSIONS]
        # If more sessions are booked, they would be missed once the last of these has begun.
        plain, turn = begins if first + SESSIONS >= len(bookings) else begins[:-1], stalls
        for at in breakpoints[index:]:
            if at >= turn or at not in plain or at in self._causes_of_facts:
                turn = min(turn, at)
                break
            if at in self._changes or at in snapshot.frame.boundaries:
                turn = at
                break
        return Lookahead(upcoming, turn, (*begins, *_NO_SESSIONS[len(begins) :]))

    @cached_property
    def breakpoints(self) -> list[int]:
        """Sorted times of facts, retracted or not, and the instants that facts and profiles name."""
        found = {*self.index.times, *self._changes}
        for key, fact in self._facts.items():
            found.update(scheduled_instants(key, fact))
        return sorted(found)

    @cached_property
    def _causes_of_facts(self) -> dict[int, tuple[str, ...]]:
        found: dict[int, set[str]] = {}
        for key, fact in self._facts.items():
            found.setdefault(key.time, set()).add(CAUSE_OF_KIND[key.kind] if fact.stands else RETRACTED)
        return {at: tuple(sorted(causes)) for at, causes in found.items()}

    def _replace_cache(self, snapshots: Sequence[tuple[tuple[int, int], Snapshot]]) -> None:
        """Keep only these snapshots, ordered by fact count and profile version."""
        self._cached = dict(snapshots)
        self._latest = {version: found for (_, version), found in snapshots}
