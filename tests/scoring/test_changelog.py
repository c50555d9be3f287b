"""Stored states: exact bytes, generations that merge, and no guessing at a newer service's layout."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.domain import layout
from services.scoring.domain.changelog import (
    PROGRAMME,
    WATERMARK,
    ChangelogEntry,
    Recovery,
    state_entry,
    watermark_entry,
)
from services.scoring.domain.facts import facts_of
from services.scoring.domain.layout import Enrolment, PartitionWatermark, RelationshipState, facts_bytes
from services.scoring.domain.partition import ScoredPartition
from services.scoring.domain.profiles import Programmes, programmes_of
from tests.scoring.building import apply, booked, facts, held, message, micros, started


def test_a_state_survives_its_bytes() -> None:
    state = RelationshipState(
        facts(started(0), held(1), message(2, "mentee"), booked(3, "s", 5)),
        position=3,
        clock=micros(4),
        stale_position=1,
        inexact_until=micros(2),
        healed_position=0,
        healed_clock=micros(1),
        enrolment=Enrolment(0, "programme"),
    )

    assert layout.load(layout.dump(state)) == state


def test_equal_facts_are_equal_bytes_whatever_the_order() -> None:
    forwards, backwards = facts(started(0), held(1)), dict(reversed(list(facts(started(0), held(1)).items())))

    assert facts_bytes(forwards) == facts_bytes(backwards)


def test_a_layout_of_a_newer_service_is_refused() -> None:
    newer = bytes([layout.VERSION + 1]) + layout.dump(RelationshipState())[1:]

    with pytest.raises(layout.UnknownLayoutError, match="upgrade the service"):
        layout.load(newer)


def test_a_watermark_of_a_newer_service_is_refused() -> None:
    recovery = Recovery()
    recovery.add(ChangelogEntry(WATERMARK, 1, None).key, bytes([9]) + bytes(24))

    with pytest.raises(layout.UnknownLayoutError):
        recovery.finish()


def test_recovery_merges_generations_and_takes_the_greatest_watermark() -> None:
    late, early = RelationshipState(facts_of(held(2), 2), 2), RelationshipState(facts_of(held(1), 1), 1)
    recovery = Recovery()
    for entry in (
        state_entry("t/r", 2, late),
        watermark_entry(2, PartitionWatermark(2, 20, 20)),
        state_entry("t/r", 1, early),
        watermark_entry(1, PartitionWatermark(1, 10, 30)),
    ):
        recovery.add(entry.key, entry.value)

    found = recovery.finish()

    assert found.states["t/r"] == late.merge(early)
    assert found.watermark == PartitionWatermark(2, 20, 20)
    assert found.generations["t/r"] == {1, 2}


def test_of_one_generation_the_last_record_counts_and_a_tombstone_takes_it_away() -> None:
    recovery = Recovery()
    for entry in (
        state_entry("t/r", 1, RelationshipState(facts_of(held(1), 1), 1)),
        state_entry("t/r", 2, RelationshipState(facts_of(held(2), 2), 2)),
        ChangelogEntry("t/r", 1, None),
        state_entry("t/gone", 1, RelationshipState()),
        ChangelogEntry("t/gone", 1, None),
    ):
        recovery.add(entry.key, entry.value)

    found = recovery.finish()

    assert found.states["t/r"].position == 2
    assert "t/gone" not in found.states


def test_the_programme_of_a_relationship_is_that_of_its_first_fact_on_the_log() -> None:
    first, second = (
        RelationshipState(enrolment=Enrolment(3, "alpha")),
        RelationshipState(enrolment=Enrolment(7, "beta")),
    )

    assert first.merge(second).enrolment == second.merge(first).enrolment == Enrolment(3, "alpha")


TOLD = layout.dump(RelationshipState(facts(held(1), booked(1, "s", 5)), 7))
GARBAGE = st.one_of(
    st.binary(max_size=80),
    st.builds(lambda begin, rest: bytes([begin]) + rest, st.integers(0, layout.VERSION), st.binary(max_size=200)),
    st.builds(
        lambda at, byte: TOLD[:at] + bytes([byte]) + TOLD[at + 1 :], st.integers(0, len(TOLD) - 1), st.integers(0, 255)
    ),
)
NAMES = st.sampled_from(
    [b"t/r", b"t/other", WATERMARK.encode(), PROGRAMME.encode() + b"t/p", b"", b"\xff/x", b"no-slash"]
)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=9), GARBAGE | st.none()), max_size=12))
def test_whatever_lies_in_the_changelog_what_can_be_read_is_and_of_the_rest_the_log_is_read_again(
    written: list[tuple[bytes, bytes, bytes | None]],
) -> None:
    recovery = Recovery()
    full = state_entry("t/whole", 1, RelationshipState(facts_of(held(1), 1), 1))
    recovery.add(full.key, full.value)

    for name, generation, value in written:
        recovery.add(name + generation, value)
    recovery.add(None, b"x")
    try:
        found = recovery.finish()
    except layout.UnknownLayoutError:
        return  # it cannot be told from what a newer service wrote

    assert b"" in found.unreadable
    assert "t/whole" in found.states
    for _ in ScoredPartition(programmes_of(found.profiles.values()), found.states, found.watermark, 0).schedule_all():
        pass


def test_a_state_that_cannot_be_read_makes_the_log_be_read_again_from_its_beginning() -> None:
    recovery = Recovery()
    for entry in (
        state_entry("t/r", 1, RelationshipState(facts_of(held(1), 1), 7)),
        ChangelogEntry("t/broken", 1, b"\x02garbage"),
        watermark_entry(1, PartitionWatermark(7, 20, 20)),
    ):
        recovery.add(entry.key, entry.value)

    found = recovery.finish()

    assert found.unreadable == {ChangelogEntry("t/broken", 1, None).key}
    assert found.watermark == PartitionWatermark()
    assert not found.states["t/r"].facts
    assert found.states["t/r"].stale_position == 7


def test_states_are_written_in_the_same_order_by_whoever_works_on_the_same_log() -> None:
    """A set of names has another order in every process."""
    names = [f"acme/{number}" for number in range(50)]
    partition = ScoredPartition(Programmes(), {}, PartitionWatermark())
    for offset, name in enumerate(names):
        apply(partition, held(1).model_copy(update={"subject": name[5:]}), name, offset)

    assert list(partition.states_to_store(set(names))) == sorted(names)
