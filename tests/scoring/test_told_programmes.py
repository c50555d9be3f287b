"""What a partition is told of programmes: what is remembered, what is told again, and whose rows it makes stale."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import pytest

from schemas.programs import Profile, Programme, Weights
from services.scoring.domain.causes import PROFILE_CHANGED
from services.scoring.domain.changelog import PROGRAMME, Entry, Recovery, programme_entry
from services.scoring.domain.layout import UnknownLayoutError
from services.scoring.domain.partition import Emission, Partition, Watermark
from services.scoring.domain.profiles import DEFAULT, Profiles, Programmes
from services.scoring.domain.programme_record import ProgrammeRecord, Unreadable, dump, load, read_record
from services.scoring.domain.state import State
from services.scoring.domain.steps import Generation, Phase, Record
from services.scoring.domain.told_programmes import ProgrammeTable, remembered
from tests.schemas.golden import read, value
from tests.scoring.building import KEY, at, held, micros

FIRST = Profile(version="default-1")
NAME = "t/p"


def later(days: float, version: str = "v2", rhythm: float = 60) -> Profile:
    return Profile(version=version, effective_from=at(days), weights=Weights(rhythm=rhythm))


def described(offset: int, *versions: Profile) -> ProgrammeRecord:
    return ProgrammeRecord("t", "p", Profiles(versions), offset)


def partition(*days: float) -> Partition:
    """One relationship of programme p, with rows up to two days after the last session."""
    found = Partition(Programmes(), {}, Watermark())
    for offset, day in enumerate(days):
        found.apply(held(day), KEY, offset)
    list(found.advance(micros(days[-1] + 2)))
    return found


def is_stale(found: Partition) -> bool:
    return found.states[KEY].is_stale(found.clock)


# --- The record and its bytes ---


def test_a_record_is_a_programme_under_its_own_key() -> None:
    programme = read("programme")
    assert isinstance(programme, Programme)

    found = read_record(b"acme/spruce", value("programme"), 7)

    assert found == ProgrammeRecord("acme", "spruce", Profiles(programme.profiles), 7)


def test_a_record_without_a_value_gives_the_defaults_again() -> None:
    assert read_record(b"acme/spruce", None, 7) == ProgrammeRecord("acme", "spruce", DEFAULT, 7)


@pytest.mark.parametrize(
    ("key", "change", "reason"),
    [
        (b"acme/spruce", {"profiles": []}, "profiles: Tuple should have at least 1 item"),
        (b"acme/spruce", {"colour": "green"}, "colour: Extra inputs are not permitted"),
        (b"acme/oak", {}, "it describes acme/spruce"),
        (b"spruce", {}, "the key must be tenant/program"),
        (None, {}, "the key must be tenant/program"),
    ],
)
def test_an_unreadable_record_is_named_with_the_reason(
    key: bytes | None, change: Mapping[str, object], reason: str
) -> None:
    changed = json.dumps({**json.loads(value("programme")), **change}).encode()

    found = read_record(key, changed, 7)

    assert isinstance(found, Unreadable)
    assert found.name == (key or b"").decode()
    assert found.reason.startswith(reason)


def test_what_was_told_survives_its_bytes() -> None:
    record = read_record(b"acme/spruce", value("programme"), 7)
    assert isinstance(record, ProgrammeRecord)

    assert load("acme/spruce", dump(record)) == record


@pytest.mark.parametrize("newer", [lambda b: bytes([9]) + b[1:], lambda b: b.replace(b'"version"', b'"colour"', 1)])
def test_what_a_newer_service_was_told_is_refused(newer: Callable[[bytes], bytes]) -> None:
    with pytest.raises(UnknownLayoutError, match="t/p"):
        load(NAME, newer(dump(described(1, FIRST))))


# --- What is still to be told ---


def table(*records: ProgrammeRecord | Unreadable) -> ProgrammeTable:
    found = ProgrammeTable()
    for record in records:
        found.apply(record)
    return found


def test_of_a_programme_the_last_readable_record_counts() -> None:
    old, new, other = described(0, FIRST), described(1, FIRST, later(3)), described(3, FIRST)._replace(program="q")

    found = table(old, new, Unreadable(NAME, 2, "broken"), other)

    assert found.since(-1) == [new, other]
    assert found.since(1) == [other]
    assert [record.name for record in found.unreadable] == [NAME]
    assert found.programmes().of(KEY, "p") == new.profiles
    assert found.offset == 3


def test_a_partition_is_told_what_it_does_not_remember() -> None:
    old, new = described(0, FIRST), described(1, FIRST, later(3))

    assert table(old, new).untold({}) == [new]
    assert table(new).untold({NAME: [new]}) == []
    assert table(old, new).untold({NAME: [old]}) == [new]


def test_where_two_generations_were_told_different_things_it_is_told_both() -> None:
    old, new = described(0, FIRST), described(1, FIRST, later(3))

    assert table(old, new).untold({NAME: [old, new]}) == [old, new]
    assert remembered({NAME: [old, new]}).of(KEY, "p") == new.profiles


def test_a_programme_that_the_topic_forgot_has_the_defaults_and_one_that_cannot_be_read_stays() -> None:
    told = {NAME: [described(4, FIRST, later(3))]}

    assert table(described(9, FIRST)._replace(program="q")).untold(told)[-1:] == [ProgrammeRecord("t", "p", DEFAULT, 9)]
    assert table(Unreadable(NAME, 9, "broken")).untold(told) == []


def test_the_changelog_remembers_by_generation_and_the_latest_last() -> None:
    old, new = described(0, FIRST), described(1, FIRST, later(3))
    recovery = Recovery()
    for entry in (programme_entry(2, new), programme_entry(1, old)):
        recovery.add(entry.key, entry.value)

    found = recovery.finish()

    assert found.told == {NAME: [old, new]}
    assert found.generations[PROGRAMME + NAME] == {1, 2}
    assert found.states == {}


# --- Whose rows are stale ---


def test_a_version_that_begins_later_leaves_nothing_stale_and_has_a_row_when_it_begins() -> None:
    found = partition(0, 1)

    stale = found.tell(*described(0, FIRST, later(4.5)))
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

    assert found.tell(*described(0, *versions)) == {KEY}

    assert is_stale(found)


def test_the_same_profiles_make_nothing_stale() -> None:
    found = partition(0, 1)

    assert found.tell(*described(0, FIRST)) == set()
    assert not is_stale(found)


def test_another_programme_or_tenant_is_nothing_to_it() -> None:
    found = partition(0, 1)
    own = described(0, Profile(version="own"))

    assert found.tell(*own._replace(program="q")) == set()
    assert found.tell(*own._replace(tenant="u")) == set()
    assert not is_stale(found)


def test_what_a_heal_has_covered_is_no_more_stale_until_the_next_record() -> None:
    """Whatever else it covered: it may know the log to its end, and not yet the programme."""
    found = partition(0, 1)
    found.states[KEY] = replace(found.states[KEY], healed_position=9, healed_clock=micros(9))

    found.tell(*described(5, Profile(version="own")))

    state = found.states[KEY]
    assert state.is_stale(found.clock)
    assert not state.merge(State(healed_programme=5)).is_stale(found.clock)
    assert state.merge(State(healed_programme=4)).is_stale(found.clock)


# --- Phases ---


def test_stale_states_are_written_before_what_was_told_and_nothing_is_forgotten_before_that() -> None:
    generation = Generation(2, partition(0, 1), {PROGRAMME + NAME: {1}, KEY: {1}})
    own = described(5, Profile(version="own"))

    states, told, forgotten = written(generation.told([own]))

    assert named(states) == [(KEY, 2, False)]
    assert named(told) == [(PROGRAMME + NAME, 2, False)]
    assert named(forgotten) == [(KEY, 1, True), (PROGRAMME + NAME, 1, True)]


def test_of_what_is_told_twice_the_last_is_remembered() -> None:
    generation = Generation(2, partition(0, 1), {})
    old, new = described(0, FIRST), described(1, FIRST, later(9))

    (told,) = written(generation.told([old, new]))

    assert told == [programme_entry(2, new)]


def test_after_a_death_between_the_two_phases_it_is_told_again() -> None:
    recovery = Recovery()
    generation = Generation(1, Partition(Programmes(), {}, Watermark()), {})
    for phase in generation.run([Record(0, KEY, held(0)), Record(1, KEY, held(1))]):
        wrote(recovery, phase)
    own = described(5, Profile(version="own"))

    wrote(recovery, written(generation.told([own]))[0])
    found = recovery.finish()

    assert found.states[KEY].is_stale(found.watermark.clock)
    assert table(own).untold(found.told) == [own]


def test_what_changed_while_nobody_worked_is_found_out() -> None:
    recovery, own = Recovery(), described(5, Profile(version="own"))
    first = Generation(1, Partition(Programmes(), {}, Watermark()), {})
    for phase in first.run([Record(0, KEY, held(0)), Record(1, KEY, held(1))]):
        wrote(recovery, phase)

    found = recovery.finish()
    successor = Generation(2, Partition(remembered(found.told), found.states, found.watermark), found.generations)
    list(successor.told(table(own).untold(found.told)))

    assert is_stale(successor.partition)


def written(phases: Iterable[Phase]) -> list[Phase]:
    return [phase for phase in phases if phase]


def named(phase: Phase) -> list[tuple[str, int, bool]]:
    """Names, generations, and whether the record is a tombstone."""
    return [(w.name, w.generation, w.value is None) for w in phase if isinstance(w, Entry)]


def wrote(recovery: Recovery, phase: Phase) -> None:
    for write in phase:
        if not isinstance(write, Emission):
            recovery.add(write.key, write.value)
