"""The effect of a fact that does not arrive in order: which rows of the relationship it changes, and which of them the
bounded memory can no longer compute."""

from dataclasses import replace
from typing import NamedTuple

from services.scoring.domain.facts import Facts, adds_nothing, merged
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.kinds import FactKind
from services.scoring.domain.layout import RelationshipState
from services.scoring.domain.memory import trimmed
from services.scoring.domain.row import HistoryRow


class FactChange(NamedTuple):
    """`rows`: the rows that changed, None where a row is deleted; oldest first, the newest row always last, changed or
    not. `floor`: below it only the newest row can be emitted."""

    state: RelationshipState
    history: ScoreHistory
    rows: dict[int, HistoryRow | None]
    floor: int


def change_of(before: ScoreHistory, old: RelationshipState, facts: Facts, clock: int) -> FactChange:
    """The effect of one fact or mark, all rows up to the clock being emitted. `old` already has the position of the
    fact."""
    if any(key.kind == FactKind.ERASED for key in facts):
        return with_newest(_erased(before, old, facts, clock), clock)
    time, is_new = next(iter(facts)).time, not adds_nothing(before.facts, facts)
    rows_before = before.rows(max(time, before.index.floor(clock)) - 1, clock) if is_new else {}
    history, key = before, next(iter(facts))
    if is_new and before.is_newer(key):
        before.append(key, facts[key])
    elif is_new:
        history = before.with_facts(merged(before.facts, facts), time)
    floor, state = history.index.floor(clock), replace(old, facts=history.facts)
    # Below the floor only the newest row can be emitted; the rows in between need a heal. A copy of a fact that is
    # still kept changes no past row either: retries after a crash are such copies.
    if time < floor and is_new:
        state = replace(state, stale_position=state.position)
    if floor > clock:
        state = replace(state, inexact_until=max(floor, state.inexact_until))
    if state.inexact_until > clock:
        # Inexact rows must be the same again after a crash: compute them from what is stored.
        history = history.with_facts(trimmed(history.facts), 0)
        state = replace(state, facts=history.facts)
    rows_now = history.rows(max(time, floor) - 1, clock) if is_new and time >= floor else {}
    rows_before = {at: row for at, row in rows_before.items() if time >= floor and at >= floor}
    rows = {
        at: rows_now.get(at)
        for at in sorted(rows_before.keys() | rows_now.keys())
        if rows_before.get(at) != rows_now.get(at)
    }
    return with_newest(FactChange(state, history, rows, floor), clock)


def with_newest(change: FactChange, clock: int) -> FactChange:
    """With the newest row, if there is one, as the last."""
    state, history, rows, floor = change
    exact, newest = history, history.newest(clock)
    if newest is None or newest < floor:
        # This far back, only the stored facts determine the row.
        exact = history.with_facts(trimmed(history.facts), 0)
        newest = exact.newest(clock)
    if newest is None or (newest < floor and not rows):
        return change
    if newest < floor:
        state = replace(state, stale_position=state.position)
    rows[newest] = rows.pop(newest, None) or exact.rows(newest - 1, newest)[newest]
    return FactChange(state, history, rows, floor)


def _erased(before: ScoreHistory, old: RelationshipState, facts: Facts, clock: int) -> FactChange:
    """Nothing is left. The rows above the floor are deleted at once, and the newest row wherever it is; a heal deletes
    the others."""
    floor = before.index.floor(clock)
    rows: dict[int, HistoryRow | None] = dict.fromkeys(before.rows(floor - 1, clock))
    newest = before.newest(clock)
    if newest is not None:
        rows = dict.fromkeys(sorted({newest, *rows}))
    history = before.with_facts(trimmed(merged(before.facts, facts)), 0)
    state = replace(old, facts=history.facts, stale_position=old.position if rows else old.stale_position)
    return FactChange(state, history, rows, floor)
