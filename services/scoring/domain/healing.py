"""Healing: what the bounded memory of a relationship could not tell is told from all that the log says of it."""

from collections.abc import Mapping
from typing import NamedTuple

from services.scoring.domain.bounds import FOREVER, NONE
from services.scoring.domain.changelog import ChangelogEntry, state_entry
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.layout import RelationshipState
from services.scoring.domain.partition import Emission
from services.scoring.domain.profiles import Programmes
from services.scoring.domain.verification import ComparableRow, comparable

OF_HEAL = 1 << 63
"""Set in the generation of every heal, never in that of a worker."""


class HealBound(NamedTuple):
    """How far a partition is applied: the position of its last record, its clock, and by which profiles."""

    position: int
    clock: int
    programmes: Programmes


class Healing(NamedTuple):
    """When the emissions are acknowledged, in this order, `state` is stored: it merges with whatever state a worker
    has, or writes later."""

    emissions: list[Emission]
    state: RelationshipState


def healing(relationship: str, account: FullHistory, stored: Mapping[int, ComparableRow], mark: HealBound) -> Healing:
    """`account` and `stored` (the rows of the table) reach up to the mark. Emitted are rows that are stored otherwise
    or not at all, and instants that are stored and no more, oldest first; at the end always the newest row as
    `score.changed` (where no row is left, the last deletion). They have the position of the relationship's own last
    fact, as the live rows have that they replace."""
    profiles = mark.programmes.of(relationship, account.program)
    true = ScoreHistory(account.facts, profiles).rows(NONE, mark.clock)
    told = {at: comparable(row) for at, row in true.items()}
    rows = {at: true.get(at) for at in sorted(true.keys() | stored.keys()) if told.get(at) != stored.get(at)}
    newest = next(reversed(true), None)
    if newest is not None:
        rows.pop(newest, None)
        rows[newest] = true[newest]
    last = next(reversed(rows), None)
    emissions = [
        Emission(relationship, account.program, at, account.position, row, changed=at == last, trigger=None)
        for at, row in rows.items()
    ]
    # Whatever an older version was told of the programme: the log has it.
    state = RelationshipState(healed_position=mark.position, healed_clock=mark.clock, healed_programme=FOREVER)
    return Healing(emissions, state)


def healed_entry(relationship: str, state: RelationshipState, number: int) -> ChangelogEntry:
    """`number` is another one for every writing. Under one that a worker has merged already it would be lost: the
    worker deletes the generations that it has merged, whatever was written under them since."""
    return state_entry(relationship, OF_HEAL | number, state)


def is_within_reach(state: RelationshipState, mark: HealBound) -> bool:
    """Whether the mark covers a fact of the relationship, and the one that made it stale: states run ahead of their
    watermark."""
    return max(state.home.position, state.stale_position) <= mark.position
