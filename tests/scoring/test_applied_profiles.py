"""What a partition remembers of profiles, and whose rows they make stale."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from schemas.programs import Profile, Weights
from services.scoring.domain.changelog import (
    PROGRAMME,
    ChangelogEntry,
    Recovery,
    dump_profiles,
    load_profiles,
    programme_entry,
)
from services.scoring.domain.layout import PartitionWatermark, RelationshipState, UnknownLayoutError
from services.scoring.domain.partition import Emission, ScoredPartition
from services.scoring.domain.profiles import (
    DEFAULT,
    AppliedProfiles,
    Profiles,
    Programmes,
    applied_profiles,
    programmes_of,
)
from services.scoring.domain.timeline import PROFILE_CHANGED
from services.scoring.domain.write_phases import LogRecord, PartitionProcessor, Phase
from tests.scoring.building import KEY, apply, at, held, micros, profile_set

FIRST = Profile(version="default-1")
NAME = "t/p"


def later(days: float, version: str = "v2", rhythm: float = 60) -> Profile:
    return Profile(version=version, effective_from=at(days), weights=Weights(rhythm=rhythm))


def error_fields(position: int, *versions: Profile) -> AppliedProfiles:
    return AppliedProfiles("t", "p", Profiles(versions), position)


def partition(*days: float) -> ScoredPartition:
    """One relationship of programme p, with rows up to two days after the last session."""
    found = ScoredPartition(Programmes(), {}, PartitionWatermark())
    for offset, day in enumerate(days):
        apply(found, held(day), KEY, offset)
    list(found.advance(micros(days[-1] + 2)))
    return found


def is_stale(found: ScoredPartition) -> bool:
    return found.states[KEY].is_stale(found.clock)


def applied(found: ScoredPartition, profiles: AppliedProfiles) -> set[str]:
    """The relationships whose states are to be stored."""
    return {name for name in found.apply_profiles(profiles, profiles.position) if name is not None}


# --- What is remembered ---


def test_what_was_applied_survives_its_bytes() -> None:
    found = applied_profiles(profile_set(at(1), FIRST, later(3)), 7)

    assert found == error_fields(7, FIRST, later(3))
    assert load_profiles(NAME, dump_profiles(found)) == found


def test_what_an_older_version_was_told_is_known_from_before_the_log() -> None:
    older = bytes([1]) + dump_profiles(error_fields(40, FIRST, later(3)))[1:]

    assert load_profiles(NAME, older) == error_fields(-1, FIRST, later(3))


@pytest.mark.parametrize("newer", [lambda b: bytes([9]) + b[1:], lambda b: b.replace(b'"version"', b'"colour"', 1)])
def test_what_a_newer_service_applied_is_refused(newer: Callable[[bytes], bytes]) -> None:
    with pytest.raises(UnknownLayoutError, match="t/p"):
        load_profiles(NAME, newer(dump_profiles(error_fields(1, FIRST))))


def test_the_changelog_remembers_by_generation_and_the_last_on_the_log_counts() -> None:
    old, new = error_fields(0, FIRST), error_fields(1, FIRST, later(3))
    recovery = Recovery()
    for entry in (programme_entry(2, new), programme_entry(1, old)):
        recovery.add(entry.key, entry.value)

    found = recovery.finish()

    assert found.profiles == {NAME: new}
    assert found.generations[PROGRAMME + NAME] == {1, 2}
    assert found.states == {}


def test_profiles_that_cannot_be_read_have_the_log_read_again() -> None:
    recovery = Recovery()
    recovery.add(programme_entry(1, error_fields(3, FIRST)).key, bytes([99, 1]))

    found = recovery.finish()

    assert found.profiles == {}
    assert found.watermark == PartitionWatermark()
    assert found.unreadable == {programme_entry(1, error_fields(3, FIRST)).key}


def test_of_two_events_the_later_on_the_log_counts_in_whatever_order_they_are_read() -> None:
    old, new = error_fields(1, FIRST), error_fields(2, FIRST, later(3))

    assert programmes_of([old, new]).of(KEY, "p") == programmes_of([new, old]).of(KEY, "p") == new.profiles
    assert programmes_of([new]).of(KEY, "q") == DEFAULT


# --- Whose rows are stale ---


def test_a_version_that_begins_later_leaves_nothing_stale_and_has_a_row_when_it_begins() -> None:
    found = partition(0, 1)

    stale = applied(found, error_fields(2, FIRST, later(4.5)))
    rows = {e.as_of: e.row for step in found.advance(micros(5)) for e in step}

    assert stale == set()
    assert not is_stale(found)
    row = rows[micros(4.5)]
    assert row is not None
    assert PROFILE_CHANGED in row.causes
    assert [part.weight for part in row.evaluation.parts if part.name == "rhythm"] == [60]
    assert row.before is not None
    assert [part.weight for part in row.before.evaluation.parts if part.name == "rhythm"] == [25]


@pytest.mark.parametrize("versions", [(Profile(version="own"),), (FIRST, later(2)), (FIRST, later(3))])
def test_rows_that_are_out_and_would_have_been_others_make_their_relationship_stale(
    versions: tuple[Profile, ...],
) -> None:
    found = partition(0, 1)

    assert applied(found, error_fields(2, *versions)) == {KEY}

    assert is_stale(found)


def test_the_same_profiles_make_nothing_stale() -> None:
    found = partition(0, 1)

    assert applied(found, error_fields(2, FIRST)) == set()
    assert not is_stale(found)


def test_another_programme_or_tenant_is_nothing_to_it() -> None:
    found = partition(0, 1)
    own = error_fields(2, Profile(version="own"))

    assert applied(found, own._replace(program="q")) == set()
    assert applied(found, own._replace(tenant="u")) == set()
    assert not is_stale(found)


def test_what_a_heal_has_covered_is_no_more_stale_until_the_next_event() -> None:
    found = partition(0, 1)
    found.states[KEY] = replace(found.states[KEY], healed_position=4, healed_clock=micros(9))

    applied(found, error_fields(5, Profile(version="own")))

    state = found.states[KEY]
    assert state.is_stale(found.clock)
    assert not state.merge(RelationshipState(healed_position=5)).is_stale(found.clock)
    assert state.merge(RelationshipState(healed_position=4)).is_stale(found.clock)


# --- Phases ---

OWN = LogRecord(2, "", profile_set(at(3), Profile(version="own")))


def test_stale_states_are_written_before_what_was_applied_and_the_watermark_comes_last() -> None:
    processor = PartitionProcessor(2, partition(0, 1), {PROGRAMME + NAME: {1}, KEY: {1}})

    states, forgotten, applied_, last = written(processor.run([OWN]))

    assert named(states) == [(KEY, 2, False)]
    assert named(forgotten) == [(KEY, 1, True)]
    assert named(applied_) == [(PROGRAMME + NAME, 2, False)]
    assert named(last) == [(PROGRAMME + NAME, 1, True), ("\0watermark", 2, False)]


def test_after_a_death_in_any_phase_it_is_applied_again_and_the_relationship_is_stale() -> None:
    for deaths_after in range(6):
        recovery = Recovery()
        first = PartitionProcessor(1, ScoredPartition(Programmes(), {}, PartitionWatermark()), {})
        for phase in first.run([LogRecord(0, KEY, held(0)), LogRecord(1, KEY, held(1))]):
            wrote(recovery, phase)
        for phase in written(first.run([OWN]))[:deaths_after]:
            wrote(recovery, phase)
        found = recovery.finish()
        again = ScoredPartition(programmes_of(found.profiles.values()), found.states, found.watermark)
        left = [OWN] if found.watermark.offset < OWN.offset else []
        list(PartitionProcessor(2, again, found.generations, found.watermark.clock_next).run(left))

        assert is_stale(again)


def written(phases: Iterable[Phase]) -> list[Phase]:
    return [phase for phase in phases if phase]


def named(phase: Phase) -> list[tuple[str, int, bool]]:
    """Names, generations, and whether the record is a tombstone."""
    return [(w.name, w.generation, w.value is None) for w in phase if isinstance(w, ChangelogEntry)]


def wrote(recovery: Recovery, phase: Phase) -> None:
    for write in phase:
        if not isinstance(write, Emission):
            recovery.add(write.key, write.value)
