"""Midnights of many relationships at once: their rows, and when each is due again, as operations on columns."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.programs import Profile
from services.scoring.domain.bounds import DAY, FOREVER, NONE, UNSET
from services.scoring.domain.crossings import SilentPeriods, crossings, passed_of_many
from services.scoring.domain.evaluation import evaluations, midnights, trends
from services.scoring.domain.outlook import BLOCK, KEPT_DAYS, NO_HEALTH, SESSION_FIELDS, Labels, OutlookTable, Records
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.row import Evaluation, HistoryRow, PrecedingRow
from services.scoring.domain.score import MANY, score
from services.scoring.domain.snapshots.snapshot import columns
from services.scoring.domain.timeline import MIDNIGHT

Indexes = npt.NDArray[np.int64]
"""Rows of a block."""


ProfilesOf = Callable[[str], Profiles]
"""Returns the profiles of a relationship."""

_Scored = tuple[Evaluation, PrecedingRow, int]
"""The evaluation, the row its deltas are measured against, and the trend."""


class Group(NamedTuple):
    """Relationships of one block that are scored by the same version of the same profiles."""

    block: int
    indexes: Indexes
    profiles: int
    version: int


class NightlyRow(NamedTuple):
    """`due`: when the next row is due; `nightly`: whether that is the next midnight alone."""

    name: str
    row: HistoryRow
    due: int
    nightly: bool


def due_midnight_rows(
    outlooks: OutlookTable, midnight: int, most: int, profiles_of: ProfilesOf
) -> Iterator[list[NightlyRow]]:
    """The rows of all relationships whose next row is that of this midnight, at most `most` at once. Each is scheduled
    again."""
    if outlooks.next_shared_midnight > midnight:
        return
    for number, block in enumerate(outlooks.blocks):
        indexes = np.flatnonzero((block["due"] == midnight) & (block["nightly"] == 1))
        for group in _groups(block, number, indexes, most):
            rows = midnight_rows(outlooks, group, midnight, profiles_of(_names(outlooks, group)[0]))
            for found in rows:
                if not found.nightly:
                    outlooks.push_individual(found.name, found.due)
            yield rows
    outlooks.refresh_shared_midnight()


def restore_outlooks(
    outlooks: OutlookTable, stored: Mapping[str, bytes], clock: int, profiles_of: ProfilesOf
) -> set[str]:
    """Restore stored outlooks, by relationship, where only midnights and session starts lie between then and the clock.
    Returns the other relationships, which have to be recomputed."""
    outdated: set[str] = set()
    indexes: dict[int, list[int]] = {}
    for name, derived in stored.items():
        index = outlooks.load(name, derived)
        if index is None:
            outdated.add(name)
        else:
            indexes.setdefault(index // BLOCK, []).append(index % BLOCK)
    for number, rows in indexes.items():
        block = outlooks.blocks[number]
        for group in _groups(block, number, np.array(rows), BLOCK):
            names = dict(zip(group.indexes.tolist(), _names(outlooks, group), strict=True))
            profiles, left = profiles_of(next(iter(names.values()))), group.indexes
            if profiles.fingerprint == group.profiles:
                left = _fast_forward(outlooks, group, clock, profiles)
            else:
                for name in names.values():
                    outlooks.invalidate_healths(name, 0)
            block["nightly"][left] = 0
            for row in np.setdiff1d(group.indexes[block["nightly"][group.indexes] == 0], left).tolist():
                outlooks.push_individual(names[row], int(block["due"][row]))
            outdated.update(names[row] for row in left.tolist())
    outlooks.refresh_shared_midnight()
    return outdated


def _groups(block: Records, number: int, indexes: Indexes, most: int) -> Iterator[Group]:
    made_by = np.stack([block["profiles"][indexes], block["version"][indexes]], axis=1)
    for profiles, version in np.unique(made_by, axis=0).tolist():
        own = indexes[(made_by == (profiles, version)).all(axis=1)]
        for begin in range(0, len(own), most):
            yield Group(number, own[begin : begin + most], profiles, version)


def midnight_rows(outlooks: OutlookTable, group: Group, midnight: int, profiles: Profiles) -> list[NightlyRow]:
    """The rows of a group at the midnight that is due. Updates the outlooks to this midnight."""
    block = outlooks.blocks[group.block]
    some, labels = (
        block[group.indexes],
        [outlooks.labels(group.block * BLOCK + index) for index in group.indexes.tolist()],
    )
    # 1. At the midnight, and at the newest row before it.
    instants = np.concatenate([np.full(len(some), midnight), some["newest"]])
    now = (instants - np.tile(some["paused"], 2)).astype(np.float64)
    booked = (np.tile(some["booked_until"], 2) > instants).astype(np.float64)
    both, caps = columns(np.tile(some["numbers"].T, 2)), [label.caps for label in labels]
    found = evaluations(profiles.parameters[group.version], both, now, booked, caps * 2)
    found, before = found[: len(some)], map(PrecedingRow, some["newest"].tolist(), found[len(some) :])
    # 2. The trend.
    healths, times = [evaluation.health for evaluation in found], midnights(midnight)
    kept = [some["healths"][:, time // DAY % KEPT_DAYS].astype(np.float64) for time in times]
    points = [np.where(health == NO_HEALTH, np.nan, health) for health in kept]
    slopes = trends([*times, midnight], [*points, np.array(healths, dtype=np.float64)])
    # 3. The rows, and when the next ones are.
    rows = _rows(some, zip(found, before, slopes, strict=True), labels, profiles.versions[group.version])
    block["healths"][group.indexes, midnight // DAY % KEPT_DAYS] = healths
    block["healths_until"][group.indexes] = midnight
    block["newest"][group.indexes] = midnight
    due = _due_next(outlooks, group, np.full(len(some), midnight), midnight + DAY, profiles)
    nightly = block["nightly"][group.indexes].astype(bool).tolist()
    return list(map(NightlyRow, _names(outlooks, group), rows, due, nightly))


def _fast_forward(outlooks: OutlookTable, group: Group, clock: int, profiles: Profiles) -> Indexes:
    """Bring stored outlooks forward to a clock up to which all rows are emitted. An outlook for which nothing became
    due stays as it is. One for which only midnights and session starts lie in between is updated in columns, whatever
    lies ahead. Returns the indexes of the others: recomputing one takes a hundred times as long."""
    block, midnight = outlooks.blocks[group.block], clock // DAY * DAY
    some = block[group.indexes]
    as_stored = some["due"] > clock
    simple = ~as_stored & (some["steady"] == 1) & (some["turn"] > clock)
    # Rows emitted ahead of the clock need a recomputation.
    simple &= (some["newest"] <= clock) & (some["healths_until"] <= midnight)
    indexes = group.indexes[simple]
    if len(indexes):
        # The healths of the midnights since the outlooks were stored.
        some = block[indexes]
        aging, first = columns(np.ascontiguousarray(some["numbers"].T)).aging, int(some["healths_until"].min()) + DAY
        for at in range(max(first, midnight - (KEPT_DAYS - 1) * DAY), midnight + 1, DAY):
            health = score(aging, (at - some["paused"]).astype(np.float64), np.zeros(len(indexes)), MANY).health
            later = some["healths_until"] < at
            block["healths"][indexes[later], at // DAY % KEPT_DAYS] = health[later]
        block["healths_until"][indexes] = midnight
        newest = np.maximum(np.maximum(block["newest"][indexes], midnight), _begin_sessions(block, indexes, clock))
        block["newest"][indexes] = newest
        _due_next(outlooks, group._replace(indexes=indexes), newest, midnight + DAY, profiles)
    # If a level was crossed since then, its row is the newest, and the next row comes later.
    return np.concatenate([group.indexes[~simple & ~as_stored], indexes[block["due"][indexes] <= clock]])


def _begin_sessions(block: Records, indexes: Indexes, clock: int) -> Indexes:
    """Remove the sessions up to the clock; returns when the last of them began, NONE where none did."""
    ahead = np.stack([block[name][indexes] for name in SESSION_FIELDS])
    last: Indexes = np.where((ahead != UNSET) & (ahead <= clock), ahead, NONE).max(axis=0)
    # The remaining ones move to the front, in the same order.
    ahead = np.sort(np.where(ahead > clock, ahead, FOREVER), axis=0)
    for name, starts in zip(SESSION_FIELDS, ahead, strict=True):
        block[name][indexes] = np.where(starts == FOREVER, UNSET, starts)
    block["upcoming"][indexes] = np.minimum(block["turn"][indexes], ahead[0])
    return last


def _rows(some: Records, scored: Iterable[_Scored], labels: Sequence[Labels], profile: Profile) -> list[HistoryRow]:
    cadences = columns(some["numbers"].T).aging.cadence.tolist()
    instants = [some[name].tolist() for name in ("started", "last_contact", "next_session")]
    return [
        HistoryRow(
            causes=(MIDNIGHT,),
            evaluation=evaluation,
            before=before,
            trend=slope,
            status="active",
            started=started,
            cadence=cadence,
            last_contact=None if contact == UNSET else contact,
            next_session=None if session == UNSET else session,
            open_requests=label.requests,
            sources=label.sources,
            profile=profile.version,
            calibration=profile.calibration,
            evidence=profile.evidence,
        )
        for (evaluation, before, slope), label, cadence, started, contact, session in zip(
            scored, labels, cadences, *instants, strict=True
        )
    ]


def _due_next(outlooks: OutlookTable, group: Group, newest: Indexes, midnight: int, profiles: Profiles) -> list[int]:
    """When the next row is due, after the newest one and up to the following midnight. Searches for a crossing only
    where the value at the next point has passed a level."""
    block, indexes = outlooks.blocks[group.block], group.indexes
    some = block[indexes]
    numbers = np.ascontiguousarray(some["numbers"].T)
    aging = columns(numbers).aging
    point = np.minimum(some["upcoming"], midnight)
    begin, end = (
        score(aging, (at - some["paused"]).astype(np.float64), (some["booked_until"] > at) * 1.0, MANY)
        for at in (newest, point)
    )
    due, crossed = point.copy(), list(passed_of_many(profiles.levels[group.version], begin, end))
    if crossed:
        who = np.array([index for index, _ in crossed])
        ones, begins = columns(np.ascontiguousarray(numbers[:, who])).aging, newest[who]
        periods = SilentPeriods(ones, begins - some["paused"][who], (some["booked_until"][who] > begins) * 1.0)
        for index, at in zip(
            who.tolist(), crossings(periods, begins, point[who], [one for _, one in crossed]), strict=True
        ):
            if at is not None:
                due[index] = min(int(due[index]), at)
    nightly = (due == midnight) & (some["upcoming"] > midnight)
    block["due"][indexes], block["nightly"][indexes] = due, nightly
    found: list[int] = due.tolist()
    return found


def _names(outlooks: OutlookTable, group: Group) -> list[str]:
    return [outlooks.names[group.block * BLOCK + index] for index in group.indexes.tolist()]
