"""Stored states: exact bytes, generations that merge, and no guess at what a newer service wrote."""

import pytest

from services.scoring.domain import layout
from services.scoring.domain.changelog import WATERMARK, Entry, Recovery, state_entry, watermark_entry
from services.scoring.domain.facts import facts_of
from services.scoring.domain.partition import Watermark
from services.scoring.domain.state import Home, State
from tests.scoring.building import booked, facts, held, message, micros, started


def test_a_state_survives_its_bytes() -> None:
    state = State(
        facts(started(0), held(1), message(2, "mentee"), booked(3, "s", 5)),
        position=3,
        clock=micros(4),
        stale_position=1,
        inexact_until=micros(2),
        healed_position=0,
        healed_clock=micros(1),
        home=Home(0, "programme"),
    )

    assert layout.load(layout.dump(state)) == state


def test_equal_facts_are_equal_bytes_whatever_the_order() -> None:
    forwards, backwards = facts(started(0), held(1)), dict(reversed(list(facts(started(0), held(1)).items())))

    assert layout.facts_bytes(forwards) == layout.facts_bytes(backwards)


def test_a_layout_of_a_newer_service_is_refused() -> None:
    newer = bytes([layout.VERSION + 1]) + layout.dump(State())[1:]

    with pytest.raises(layout.UnknownLayoutError, match="upgrade the service"):
        layout.load(newer)


def test_a_watermark_of_a_newer_service_is_refused() -> None:
    recovery = Recovery()
    recovery.add(Entry(WATERMARK, 1, None).key, bytes([9]) + bytes(24))

    with pytest.raises(layout.UnknownLayoutError):
        recovery.finish()


def test_recovery_merges_generations_and_takes_the_greatest_watermark() -> None:
    late, early = State(facts_of(held(2), 2), 2), State(facts_of(held(1), 1), 1)
    recovery = Recovery()
    for entry in (
        state_entry("t/r", 2, late),
        watermark_entry(2, Watermark(2, 20, 20)),
        state_entry("t/r", 1, early),
        watermark_entry(1, Watermark(1, 10, 30)),
    ):
        recovery.add(entry.key, entry.value)

    found = recovery.finish()

    assert found.states["t/r"] == late.merge(early)
    assert found.watermark == Watermark(2, 20, 20)
    assert found.generations["t/r"] == {1, 2}


def test_of_one_generation_the_last_record_counts_and_a_tombstone_takes_it_away() -> None:
    recovery = Recovery()
    for entry in (
        state_entry("t/r", 1, State(facts_of(held(1), 1), 1)),
        state_entry("t/r", 2, State(facts_of(held(2), 2), 2)),
        Entry("t/r", 1, None),
        state_entry("t/gone", 1, State()),
        Entry("t/gone", 1, None),
    ):
        recovery.add(entry.key, entry.value)

    found = recovery.finish()

    assert found.states["t/r"].position == 2
    assert "t/gone" not in found.states


def test_the_programme_of_a_relationship_is_that_of_its_first_fact_on_the_log() -> None:
    first, second = State(home=Home(3, "alpha")), State(home=Home(7, "beta"))

    assert first.merge(second).home == second.merge(first).home == Home(3, "alpha")
