"""Rows of facts as the kernel's columns: sorted, copies merged, grouped; all in whole arrays."""

from typing import Any

import numpy as np

from services.scoring.domain.bounds import CONTACT_DAYS, CONTACT_WINDOW_DAYS, DAY, NONE
from services.scoring.domain.columns import GROUP_NUMBER
from services.scoring.domain.facts import Key
from services.scoring.domain.kernel.places import GROUPS, OUTCOMES, Columns
from services.scoring.domain.kinds import CONTACTS, GOALS, LATE, Kind, slots_of
from services.scoring.domain.memory import LOOKED_AT, groups
from services.scoring.fast.lines import Rows, Whole

LEAST = 2
"""Contacts by which a day is known."""
NO_POSITION = np.iinfo(np.int64).max


def columns(rows: Rows) -> tuple[Columns, list[str]]:
    """The facts of all relationships, in the order of their names; closed, as a batch wants them. Equal to
    `domain.columns.columns_of` of the same facts."""
    rows, names = _sorted(rows)
    rows = _merged(rows)
    fact_begin = np.searchsorted(rows.pair, np.arange(len(names) + 1))
    members, begin, of_outcomes = _members(rows, len(names))
    contact, contact_begin, days = _contacts(rows, len(names))
    found: dict[str, Any] = days | {
        "time": rows.time,
        "kind": rows.kind,
        "slot": rows.slot,
        "stands": _stands(rows),
        "first": rows.first,
        "second": rows.second,
        "ref": rows.ref,
        "value": rows.value,
        "evidence": rows.evidence,
        "twin": _twins(rows, of_outcomes),
        "members": members,
        "begin": begin,
        "contact": contact,
        "contact_begin": contact_begin,
        "fact_begin": fact_begin,
        "looked_at": np.array([*LOOKED_AT.values(), CONTACT_DAYS, CONTACT_WINDOW_DAYS]),
    }
    return Columns(**found), names


def _sorted(rows: Rows) -> tuple[Rows, list[str]]:
    """By relationship, key and position; marks that have none come last."""
    names = sorted(rows.names)
    place = {name: number for number, name in enumerate(names)}
    pair = np.array([place[name] for name in rows.names], dtype=np.int64)[rows.pair] if rows.names else rows.pair
    uid = np.frombuffer(rows.uid, dtype=">u8").reshape(-1, 2)
    order = _order(rows, pair, uid)
    rest = {name: getattr(rows, name)[order] for name in Rows._fields[2:] if name != "uid"}
    return Rows(names=names, pair=pair[order], uid=uid[order].tobytes(), **rest), names


def _order(rows: Rows, pair: Whole, uid: Whole) -> Whole:
    """Nearly always relationship and time alone decide: the rest of the key is only looked at where they are equal."""
    order = np.lexsort((rows.time, pair))
    same = (np.diff(pair[order]) == 0) & (np.diff(rows.time[order]) == 0)
    tied = np.flatnonzero(np.append(same, [False]) | np.append([False], same)) if len(order) else order
    some = order[tied]
    last = np.where(rows.position[some] == NONE, NO_POSITION, rows.position[some])
    rest = (last, rows.slot[some], uid[some, 1], uid[some, 0], rows.kind[some])
    order[tied] = some[np.lexsort((*rest, rows.time[some], pair[some]))]
    return order


def _merged(rows: Rows) -> Rows:
    """One row per key: what the copy first on the log says, and whether any of them is a mark."""
    if not len(rows.pair):
        return rows
    uid = np.frombuffer(rows.uid, dtype=">u8").reshape(-1, 2)
    new = np.ones(len(rows.pair), dtype=bool)
    same = [rows.pair, rows.time, rows.kind, rows.slot, uid[:, 0], uid[:, 1]]
    new[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in same])
    at = np.flatnonzero(new)
    rest = {name: getattr(rows, name)[at] for name in Rows._fields[1:] if name not in {"uid", "marked"}}
    return Rows(names=rows.names, uid=uid[at].tobytes(), marked=np.maximum.reduceat(rows.marked, at), **rest)


def _stands(rows: Rows) -> Whole:
    stands: Whole = ((rows.position != NONE) & (rows.marked == 0)).astype(np.int64)
    return stands


def _members(rows: Rows, count: int) -> tuple[Whole, Whole, Whole]:
    """Places by relationship and group, where each group begins, and whether a fact is an outcome."""
    of_kind = np.zeros((max(Kind) + 1, LATE + 1, GROUPS), dtype=bool)
    for kind in Kind:
        for slot in {0} if kind in GOALS else slots_of(kind):
            of_kind[kind, slot, [GROUP_NUMBER[name] for name in groups(Key(0, kind, b"", slot))]] = True
    membership = of_kind[rows.kind, np.where(rows.slot <= LATE, rows.slot, 0)]
    places, group = np.nonzero(membership)
    where = rows.pair[places] * GROUPS + group
    order = np.argsort(where, kind="stable")
    begin = np.searchsorted(where[order], np.arange(count * GROUPS + 1))
    return places[order], begin, membership[:, OUTCOMES]


def _twins(rows: Rows, of_outcomes: Whole) -> Whole:
    """The place of the fact before it that tells of the same meeting."""
    twin = np.full(len(rows.pair), -1, dtype=np.int64)
    told = np.flatnonzero(of_outcomes & (rows.ref != 0))
    told = told[np.lexsort((told, rows.ref[told], rows.pair[told]))]
    same = (rows.ref[told[1:]] == rows.ref[told[:-1]]) & (rows.pair[told[1:]] == rows.pair[told[:-1]])
    twin[told[1:][same]] = told[:-1][same]
    return twin


def _contacts(rows: Rows, count: int) -> tuple[Whole, Whole, dict[str, Whole]]:
    """Places of contacts, where those of each relationship begin, and their days."""
    contact = np.flatnonzero(np.isin(rows.kind, list(CONTACTS)))
    pair, day = rows.pair[contact], rows.time[contact] // DAY
    new = np.ones(len(contact), dtype=bool)
    new[1:] = (day[1:] != day[:-1]) | (pair[1:] != pair[:-1])
    first = np.flatnonzero(new)
    stands = _stands_so_far(rows, contact, first)
    last = np.append(first[1:], len(contact)) - 1
    days = {
        "of_day": np.cumsum(new) - 1,
        "stands_so_far": stands,
        "day": day[first],
        "day_stands": stands[last] if len(first) else stands,
        "day_begin": np.searchsorted(pair[first], np.arange(count + 1)),
    }
    return contact, np.searchsorted(pair, np.arange(count + 1)), days


def _stands_so_far(rows: Rows, contact: Whole, first: Whole) -> Whole:
    """Whether one of the two least contacts of the day, of those up to each, stands. Two are always the two least."""
    stands = _stands(rows)[contact]
    so_far = stands.copy()
    uids, ends = rows.uid, np.append(first[1:], len(contact))
    second = first[ends - first > 1] + 1
    so_far[second] |= stands[second - 1]
    # Where all stand, so do the two least.
    more = (ends - first > LEAST) & (np.minimum.reduceat(stands, first) == 0 if len(first) else first > 0)
    for begin, end in zip(first[more], ends[more], strict=True):
        least: list[tuple[bytes, int]] = []
        for j in range(begin, end):
            place = contact[j]
            least = sorted([*least, (uids[16 * place : 16 * place + 16], j)])[:LEAST]
            so_far[j] = max(stands[k] for _, k in least)
    return so_far
