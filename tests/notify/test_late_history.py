"""However a history is split into what was told in time and what was imported late: in the end it is as if it had
always been there."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from schemas.rules import RULES
from schemas.scores import ScoreEvent
from services.notify.domain.guards import SETTLE
from services.notify.domain.lifecycle import OPEN, RuleState
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.pipeline import Decision
from tests.notify.building import Pair, clock, day, decide, digests, late_trigger, new_alerts

PAIR = Pair()
NOW = day(13)
"""The window holds all of the history."""
MINUTE = timedelta(minutes=1)


class Told(NamedTuple):
    """A row of the true history, and whether it was told in time (0), or in which piece of the import."""

    hours: int
    health: float
    risk: float
    status: str
    piece: int


TOLD = st.builds(
    Told,
    hours=st.integers(0, 13 * 24 - 1),
    health=st.sampled_from([20.0, 25.0, 38.0, 40.0, 45.0, 50.0, 51.0, 90.0]),
    risk=st.sampled_from([0.1, 0.549999, 0.6, 0.7, 0.9]),
    status=st.sampled_from(["active"] * 6 + ["paused"]),
    piece=st.integers(0, 3),
)
HISTORY = st.lists(TOLD, min_size=1, max_size=30, unique_by=lambda told: told.hours).map(sorted)


def instant(told: Told) -> datetime:
    return day(0) + timedelta(hours=told.hours)


def values(told: Told) -> dict[str, Any]:
    return {"health": told.health, "risk": told.risk, "status": told.status}


def in_time(history: Sequence[Told]) -> list[ScoreEvent]:
    return [PAIR.changed(instant(told), **values(told)) for told in history]


def as_it_ends(history: Sequence[Told]) -> list[ScoreEvent]:
    """The row of how the pair is now, with which the last piece of an import ends: it decides like any other."""
    last = max(told.piece for told in history)
    return [PAIR.changed(NOW + last * MINUTE, **values(history[-1]))] if last else []


def imported(history: Sequence[Told]) -> list[ScoreEvent]:
    """Piece by piece; each corrects the past, and ends with how the pair is now by what is known so far."""
    events: list[ScoreEvent] = []
    for piece in (1, 2, 3):
        late = [told for told in history if told.piece == piece]
        known = [told for told in history if told.piece <= piece]
        if late:
            trigger = late_trigger(day(-30), NOW + piece * MINUTE)
            events += [PAIR.corrected(instant(told), piece + 1, **values(told)) for told in late]
            events.append(PAIR.changed(NOW + piece * MINUTE, piece + 1, **values(known[-1]), trigger=trigger))
            # The row by which it ended the piece before is gone.
            events += [PAIR.corrected(NOW + n * MINUTE, piece + 1, deleted=True) for n in range(1, piece)]
            events.append(PAIR.changed(NOW + piece * MINUTE, piece + 1, **values(known[-1]), trigger=trigger))
    return events


def state(alerts: PartitionAlerts) -> dict[str, tuple[object, ...]]:
    watch = alerts.drain_changes().watches["acme/4F2"]
    # A rule of which nothing has ever been has no state.
    found = {rule.name: watch.rules.get(rule.name, RuleState()) for rule in RULES}
    return {name: (rule.condition, rule.since, rule.urgency, rule.dues) for name, rule in found.items()}


def transitions(decisions: Sequence[Decision]) -> list[tuple[str, str, datetime]]:
    return [(d.event.data.rule, d.event.data.transition, d.event.data.at) for d in decisions]


@given(HISTORY)
def test_what_is_imported_late_ends_as_if_it_had_always_been_there(history: list[Told]) -> None:
    caught_up = NOW + 3 * MINUTE + SETTLE
    always, late = new_alerts("wall", RULES), new_alerts("wall", RULES)
    decide(always, *in_time(history), *as_it_ends(history), clock(caught_up))
    before = decide(late, *in_time([told for told in history if told.piece == 0]), clock(NOW))
    during = decide(late, *imported(history), clock(caught_up))

    now = state(always), state(late)
    open_rules = {name for name, found in now[0].items() if found[0] in OPEN}
    if not before:
        assert now[1] == now[0]
        assert {d.event.data.rule for d in during} == open_rules
        assert len(digests(during)) == bool(open_rules)
    assert len(digests(during)) <= 1
    after = clock(caught_up + timedelta(days=9))
    if now[1] == now[0]:
        assert transitions(decide(late, after)) == transitions(decide(always, after))


@given(st.lists(st.tuples(st.sampled_from([20.0, 38.0, 45.0, 90.0]), st.integers(1, 90)), min_size=1, max_size=60))
def test_years_of_history_in_one_piece_end_as_if_they_had_always_been_there(rows: list[tuple[float, int]]) -> None:
    always, late = new_alerts("wall", RULES), new_alerts("wall", RULES)
    at, events, corrections = day(0), list[ScoreEvent](), list[ScoreEvent]()
    for health, hours in rows:
        at += timedelta(hours=hours)
        events.append(PAIR.changed(at, health=health))
        corrections.append(PAIR.corrected(at, health=health))
    trigger = late_trigger(day(0), at + MINUTE)
    last = PAIR.changed(at + MINUTE, health=rows[-1][0], trigger=trigger)

    decide(always, *events, clock(at + 2 * MINUTE + SETTLE))
    found = decide(late, *corrections, last, clock(at + 2 * MINUTE + SETTLE))

    now = state(always), state(late)
    assert now[0] == now[1]
    assert len(digests(found)) <= 1
