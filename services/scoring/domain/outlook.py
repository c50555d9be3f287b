"""The outlook of a relationship: the numbers of its snapshot, its healths of the last four weeks, and when its next row
is due. That is either at the next midnight, shared with all relationships for which only time passes, or at an instant
of its own. All relationships of a partition are stored as columns, so that a midnight is a few array operations.

An outlook is derived from the facts: a stored one is valid only under the version of the formulas and profiles that
made it."""

import heapq
import struct
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from services.scoring.domain import bounds
from services.scoring.domain.bounds import DAY, FOREVER, NONE, UNSET
from services.scoring.domain.layout import dump_names, load_names
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.score import Aging, OpenGoal
from services.scoring.domain.snapshots.snapshot import STEADY_FACTORS, STEADY_FEATURES, WIDTH, Snapshot
from services.scoring.domain.timeline import Lookahead

KEPT_DAYS = 30
"""Midnights whose health is stored: a trend looks back to the one 28 days before a row's day."""
NO_HEALTH = -1
"""At a midnight before any fact stood."""
BLOCK = 1_024
"""Relationships per block of numbers: the table grows block by block, without copying."""

_FORMULAS = "1 silence-4"
"""Change it whenever a snapshot of the same facts gets other numbers, or the same numbers get another meaning."""


class Schedule(NamedTuple):
    """Instants in microseconds. `paused`: how far the active clock is behind. `newest`: the newest row, NONE if there
    is none. `due`: no row comes before it. `upcoming`: the next instant that facts, profiles or stalling goals name.
    `turn`: the same, but ignoring the start of the next sessions, which changes no snapshot; FOREVER if there is none.
    `steady`: 1 if rows come by time alone and the newest row is of the same snapshot. `nightly`: 1 if, in addition, the
    next row is that of the next midnight and nothing else causes it. `last_contact` and the next sessions: UNSET if
    there is none. `version`: the index of the profile version; `profiles`: the fingerprint of the profiles."""

    paused: int
    newest: int
    due: int
    upcoming: int
    turn: int
    booked_until: int
    started: int
    last_contact: int
    next_session: int
    second_session: int
    third_session: int
    fourth_session: int
    steady: int
    nightly: int
    version: int
    profiles: int


class Labels(NamedTuple):
    """The texts that rows of a snapshot contain; the same for most relationships."""

    sources: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    caps: tuple[str, ...] = ()


class Outlook(NamedTuple):
    numbers: tuple[float, ...]
    schedule: Schedule
    labels: Labels


SESSION_FIELDS = ("next_session", "second_session", "third_session", "fourth_session")
_NO_SESSIONS = (UNSET,) * len(SESSION_FIELDS)
_NO_SCHEDULE = Schedule._make((0, NONE, FOREVER, FOREVER, FOREVER, NONE, 0, UNSET, *_NO_SESSIONS, 0, 0, 0, 0))
NO_OUTLOOK = Outlook((0.0,) * WIDTH, _NO_SCHEDULE, Labels())
"""The outlook of a relationship without facts."""

RECORD = np.dtype(
    [
        ("numbers", "<f8", (WIDTH,)),
        ("healths", "<i4", (KEPT_DAYS,)),
        ("healths_until", "<i8"),
        *((name, "<i8") for name in Schedule._fields),
    ]
)
_NUMBERS = struct.Struct(f"<{WIDTH}d")
_SCHEDULE = struct.Struct(f"<{len(Schedule._fields)}q")
_SCHEDULE_AT = RECORD.itemsize - _SCHEDULE.size
_HEALTHS = struct.Struct(f"<{KEPT_DAYS}iq")
_HEALTHS_AT = _NUMBERS.size
_I64 = struct.Struct("<q")
_UNTIL_AT = _SCHEDULE_AT - _I64.size
_NEWEST_AT = _SCHEDULE_AT + Schedule._fields.index("newest") * _I64.size
_U32 = struct.Struct(">I")
VERSION = zlib.crc32(
    f"{_FORMULAS} {Aging._fields} {OpenGoal._fields} {STEADY_FACTORS} {STEADY_FEATURES} {RECORD}".encode()
)
"""Version of the derived data: any other set of numbers changes it automatically."""

_VERSION = _U32.pack(VERSION)

Records = npt.NDArray[np.void]


def outlook_of(
    snapshot: Snapshot, after: int, rows: tuple[int, Snapshot, int | None], ahead: Lookahead, profiles: Profiles
) -> Outlook:
    """The outlook at an instant. `rows`: the instant of the newest row up to it, its snapshot, and when the next row is
    due (None: never without another fact)."""
    (newest, scored, due), (upcoming, turn, sessions) = rows, ahead
    midnight, pauses = (after // DAY + 1) * DAY, snapshot.frame.pauses
    paused = after - pauses.active(after) if pauses.union else 0
    is_steady = (
        scored is snapshot
        and snapshot.is_running(after)
        and (not pauses.union or newest - pauses.active(newest) == paused)
    )
    is_nightly = is_steady and due == midnight < upcoming and newest > midnight - bounds.LOOKBACK
    bookings, contact = snapshot.meetings.bookings, snapshot.last_contact
    # Positional: naming the fields takes twice as long, and every event makes one.
    schedule = Schedule._make(
        (
            paused,
            newest,
            FOREVER if due is None else due,
            upcoming,
            turn,
            bookings[-1] if bookings else NONE,
            snapshot.started,
            UNSET if contact is None else contact,
            *sessions,
            int(is_steady),
            int(is_nightly),
            bisect_right(profiles.changes, after) if profiles.changes else 0,
            profiles.fingerprint,
        )
    )
    reports = snapshot.reports
    labels = Labels(snapshot.sources, reports.requests, reports.caps) if snapshot.exists else Labels()
    return Outlook(snapshot.numbers, schedule, labels)


class RecentHealths(NamedTuple):
    """The instant of the newest row (NONE if there is none), the last midnight whose health is stored, and the
    requested healths (None if not all of them are stored)."""

    newest: int
    until: int
    healths: list[int | None] | None


class OutlookTable:
    """The outlooks of the relationships of one partition. An index is a block and a row in it."""

    def __init__(self) -> None:
        self.blocks: list[Records] = []
        self.names: list[str] = []
        self.next_shared_midnight = FOREVER
        """No relationship's shared midnight row is due before it."""
        self._individual: list[tuple[int, str]] = []
        self._bytes: list[memoryview] = []
        self._indexes: dict[str, int] = {}
        self._labels: list[Labels] = []
        self._shared_labels: dict[Labels, Labels] = {}

    @property
    def size(self) -> int:
        """Bytes of all columns."""
        return len(self.blocks) * BLOCK * RECORD.itemsize

    def schedule(self, name: str) -> Schedule | None:
        """None if the relationship has no outlook yet."""
        index = self._indexes.get(name)
        if index is None:
            return None
        return Schedule._make(
            _SCHEDULE.unpack_from(self._bytes[index // BLOCK], index % BLOCK * RECORD.itemsize + _SCHEDULE_AT)
        )

    def recent(self, name: str, midnights: Sequence[int]) -> RecentHealths | None:
        """`midnights`: the requested ones, ascending. None if the relationship has no outlook yet."""
        index = self._indexes.get(name)
        if index is None:
            return None
        data, begin = self._bytes[index // BLOCK], index % BLOCK * RECORD.itemsize
        newest = int(_I64.unpack_from(data, begin + _NEWEST_AT)[0])
        kept = _HEALTHS.unpack_from(data, begin + _HEALTHS_AT)
        until = kept[-1]
        if not until - KEPT_DAYS * DAY < midnights[0] <= midnights[-1] <= until:
            return RecentHealths(newest, until, None)
        found = [kept[midnight // DAY % KEPT_DAYS] for midnight in midnights]
        if NO_HEALTH in found:
            return RecentHealths(newest, until, [None if health == NO_HEALTH else health for health in found])
        return RecentHealths(newest, until, found)

    def labels(self, index: int) -> Labels:
        return self._labels[index]

    def write(self, name: str, outlook: Outlook) -> None:
        numbers, schedule, labels = outlook
        index = self._indexes[name] if name in self._indexes else self._index_of(name)
        data, begin = self._bytes[index // BLOCK], index % BLOCK * RECORD.itemsize
        _NUMBERS.pack_into(data, begin, *numbers)
        _SCHEDULE.pack_into(data, begin + _SCHEDULE_AT, *schedule)
        self._labels[index] = self._shared_labels.setdefault(labels, labels)
        if schedule.nightly:
            self.next_shared_midnight = min(self.next_shared_midnight, schedule.due)
        else:
            self.push_individual(name, schedule.due)

    def next_due(self) -> int | None:
        """No row is due before it; None if no row is due without another fact."""
        alone, night = self.next_individual(), self.next_shared_midnight
        return alone if night == FOREVER or (alone is not None and alone < night) else night

    def next_individual(self) -> int | None:
        """The earliest instant at which a relationship is due that is scheduled individually; discards heap entries
        that a later one replaced."""
        while self._individual:
            due, name = self._individual[0]
            schedule = self.schedule(name)
            if schedule is not None and schedule.due == due and not schedule.nightly:
                return due
            heapq.heappop(self._individual)
        return None

    def pop_individual(self) -> str:
        """The relationship that is due at `next_individual`."""
        return heapq.heappop(self._individual)[1]

    def push_individual(self, name: str, due: int) -> None:
        if due != FOREVER:
            heapq.heappush(self._individual, (due, name))

    def refresh_shared_midnight(self) -> None:
        nights = (block["due"][block["nightly"] == 1] for block in self.blocks)
        self.next_shared_midnight = min((int(due.min()) for due in nights if len(due)), default=FOREVER)

    def missing_healths(self, name: str, until: int) -> range:
        """The midnights up to `until` whose health is needed and not stored, for a relationship with an outlook."""
        index = self._indexes[name]
        (kept_until,) = _I64.unpack_from(self._bytes[index // BLOCK], index % BLOCK * RECORD.itemsize + _UNTIL_AT)
        return range(max(kept_until + DAY, until - (KEPT_DAYS - 1) * DAY), until + 1, DAY)

    def store_healths(self, name: str, midnights: range, healths: Sequence[int | None]) -> None:
        if not midnights:
            return
        record = self.blocks[(index := self._index_of(name)) // BLOCK][index % BLOCK]
        kept = record["healths"]
        for midnight, health in zip(midnights, healths, strict=True):
            kept[midnight // DAY % KEPT_DAYS] = NO_HEALTH if health is None else health
        record["healths_until"] = midnights[-1]

    def invalidate_healths(self, name: str, since: int) -> None:
        """Discard the healths at and after `since`."""
        index, until = self._indexes.get(name), -(-since // DAY) * DAY - DAY
        if index is not None:
            data, at = self._bytes[index // BLOCK], index % BLOCK * RECORD.itemsize + _UNTIL_AT
            if _I64.unpack_from(data, at)[0] > until:
                _I64.pack_into(data, at, until)

    def dump(self, name: str) -> bytes:
        """The bytes that a state stores; empty if the relationship has no outlook yet."""
        index = self._indexes.get(name)
        if index is None:
            return b""
        begin = index % BLOCK * RECORD.itemsize
        record = self._bytes[index // BLOCK][begin : begin + RECORD.itemsize]
        return b"".join([_VERSION, record, _dump_labels(self._labels[index])])

    def load(self, name: str, derived: bytes) -> int | None:
        """Restore a stored outlook; returns its index, None if it is of another version."""
        if len(derived) < _U32.size + RECORD.itemsize or _U32.unpack_from(derived)[0] != VERSION:
            return None
        index, end = self._index_of(name), _U32.size + RECORD.itemsize
        begin = index % BLOCK * RECORD.itemsize
        self._bytes[index // BLOCK][begin : begin + RECORD.itemsize] = derived[_U32.size : end]
        labels, at = [], end
        for _ in Labels._fields:
            names, at = load_names(derived, at)
            labels.append(tuple(names))
        found = Labels(*labels)
        self._labels[index] = self._shared_labels.setdefault(found, found)
        return index

    def _index_of(self, name: str) -> int:
        found = self._indexes.get(name)
        if found is None:
            found = self._indexes[name] = len(self.names)
            if found % BLOCK == 0:
                block = np.zeros(BLOCK, RECORD)
                block["healths_until"] = NONE
                self.blocks.append(block)
                self._bytes.append(memoryview(block.view(np.uint8)))  # type: ignore[arg-type]
            self.names.append(name)
            self._labels.append(Labels())
        return found


@lru_cache(1 << 10)
def _dump_labels(labels: Labels) -> bytes:
    """Cached: the same for most relationships."""
    return b"".join(map(dump_names, labels))
