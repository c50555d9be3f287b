"""The time of one relationship: its snapshot at any instant, which instants have a row, and where silence takes the
score to a watched level in the spans in between."""

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
"""Snapshots kept for a relationship: those of the newest facts."""

RETRACTED = "event.retracted"
MIDNIGHT = "midnight"
BOOKING_STARTS = "booking.starts"
PROFILE_CHANGED = "profile.changed"
GOAL_STALLED = "goal.stalled"
PAUSE_BOUNDARY = "pause.boundary"
SCHEDULING_KINDS = frozenset({FactKind.SCHEDULED, FactKind.RESCHEDULED, FactKind.PAUSED})
"""Facts that name instants to come."""


def scheduled_instants(key: Key, fact: Fact) -> Collection[int]:
    """The instants that a fact names beside its own."""
    if key.kind not in SCHEDULING_KINDS:
        return ()
    return {fact.first, *((fact.second,) if key.kind == FactKind.PAUSED else ())} - {UNSET}


SESSIONS = 4
"""Next sessions that a relationship looks forward to: a start after some of them have begun need not look at the facts
again."""
_NO_SESSIONS = (UNSET,) * SESSIONS


class Lookahead(NamedTuple):
    """After an instant: the next one that facts, profiles or stalling goals name, the next such one but the plain begin
    of a session that is not the last known, FOREVER if there is none; and the next sessions that are booked, UNSET
    where there are no more."""

    upcoming: int
    turn: int
    sessions: tuple[int, ...]


class Timeline:
    """Grows at its end; `facts` are those of the relationship, which whoever appends one has added already. Each
    instant is judged from the facts up to it."""

    def __init__(self, facts: Facts, profiles: Profiles) -> None:
        self.index = FactIndex(facts)
        self._facts, self.profiles = facts, profiles
        self._changes = profiles.changes
        self._cached: dict[tuple[int, int], Snapshot] = {}
        self._latest: dict[int, Snapshot] = {}

    def at(self, instant: int) -> Snapshot:
        """Of the facts up to and including this instant, under the version of the profile that is in force then."""
        # Most programmes have one version; this is asked for every row.
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
        """One more fact, newer than all others: what is known before it stays."""
        self.index.append(key, fact)
        time, breakpoints, causes = key.time, self.breakpoints, self._causes_of_facts
        for at in (time, *scheduled_instants(key, fact)):
            index = bisect_left(breakpoints, at)
            if breakpoints[index : index + 1] != [at]:
                breakpoints.insert(index, at)
        cause = CAUSE_OF_KIND[key.kind] if fact.position != NONE and not fact.marked else RETRACTED
        causes[time] = tuple(sorted({*causes[time], cause})) if time in causes else (cause,)

    def trim_cache(self) -> None:
        """All snapshots but those of the newest facts."""
        if len(self._cached) > 2 * CACHED_SNAPSHOTS:
            self._replace_cache(sorted(self._cached.items(), key=itemgetter(0))[-CACHED_SNAPSHOTS:])

    def inherit(self, older: "Timeline", since: int) -> None:
        """Keeps the snapshots of the facts before `since`, if the two have the same ones before it."""
        count = bisect_left(self.index.times, since)
        if older.index.keys[:count] != self.index.keys[:count]:
            return
        # The first facts of both indexes are the same, and the older one need not live on.
        kept = [(index, found) for index, found in older._cached.items() if 0 < index[0] <= count]  # noqa: SLF001 (of its own kind)
        for _, found in kept:
            found.view.index = self.index
        self._replace_cache(sorted(kept, key=itemgetter(0)))

    def between(self, after: int, upto: int) -> tuple[list[Instant], list[SilentSpan]]:
        """The instants in (after, upto] that have a row by what facts and profiles name, and the time in between, in
        which every midnight has one, and every crossing."""
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
                    # Between two named instants nothing but midnights and crossings has a row.
                    spans.append(
                        SilentSpan(snapshot, self.search_begin(snapshot, at), edge - 1 if causes else edge, edge)
                    )
                if causes:
                    found.append(Instant(edge, causes, following))
                at, snapshot = edge, following
        return found, spans

    def causes(self, snapshot: Snapshot, at: int) -> tuple[str, ...]:
        """Why a row exists at an instant other than a crossing; empty: there is none."""
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
        """Where a search for crossings begins: the whole second before, but no earlier than the last point, so that
        what is found does not depend on where the search began. The next whole second is beyond `after`."""
        whole_second = after // SECOND * SECOND
        last = bisect_right(self.breakpoints, after) - 1
        breakpoints = whole_second if last < 0 else max(whole_second, self.breakpoints[last])
        # Risk jumps where a goal begins to stall: what is passed there was not crossed within the second after.
        stalls = snapshot.stalls
        return breakpoints if stalls is None or stalls > after else max(breakpoints, stalls)

    def next_breakpoint(self, after: int) -> int:
        """By facts or profiles; FOREVER: there is none."""
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
        # Where still more are booked, nobody would know of them once the last of these has begun.
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
        """Times of facts, retracted or not, and the times that facts and profiles name, in order."""
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
        """These alone, in order of how many facts and which version of the profile they are of."""
        self._cached = dict(snapshots)
        self._latest = {version: found for (_, version), found in snapshots}
