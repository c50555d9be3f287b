"""The outlooks that a partition keeps instead of histories: midnights in columns and restored outlooks give the same
rows as histories."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random

import pytest

from services.scoring.domain import midnights, outlook, partition
from services.scoring.domain.bounds import DAY
from services.scoring.domain.changelog import Recovery, state_entry, watermark_entry
from services.scoring.domain.facts import Facts
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.layout import Enrolment, PartitionWatermark, RelationshipState, facts_bytes
from services.scoring.domain.partition import Emission, ScoredPartition
from services.scoring.domain.profiles import DEFAULT, Profiles, Programmes, programmes_of
from services.scoring.domain.row import HistoryRow
from tests.scoring.building import (
    apply,
    booked,
    cancelled,
    facts,
    goal_set,
    held,
    message,
    micros,
    moved,
    paused,
    started,
)
from tests.scoring.full_logs import CHANGING, relationships

COUNT = 60
PLAIN = {f"t/{number:03}": found for number, found in enumerate(relationships(COUNT)) if found}
CLOCK = max(max(found).time for found in PLAIN.values()) + 1
SPAN = 40 * DAY
PROFILES = pytest.mark.parametrize("profiles", [DEFAULT, CHANGING], ids=["one version", "three versions"])
Rows = dict[tuple[str, int], HistoryRow | None]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many rows came from columns, and how many relationships were recomputed."""
    found: Counter[str] = Counter()
    in_columns, schedule = midnights.midnight_rows, ScoredPartition._schedule

    def rows(*arguments: object) -> list[object]:
        given = in_columns(*arguments)  # type: ignore[arg-type]
        found["in columns"] += len(given)
        return list(given)

    def counted_schedule(self: ScoredPartition, relationship: str, *after: int) -> None:
        found["anew"] += 1
        schedule(self, relationship, *after)

    monkeypatch.setattr(midnights, "midnight_rows", rows)
    monkeypatch.setattr(ScoredPartition, "_schedule", counted_schedule)
    return found


def programmes(profiles: Profiles) -> Programmes:
    known = Programmes()
    known.apply("t", "p", profiles, 0)
    return known


def begun(
    profiles: Profiles, given: Mapping[str, Facts] = PLAIN, clock: int = CLOCK, **options: int
) -> ScoredPartition:
    states = {
        name: RelationshipState(found, position=9, clock=clock, enrolment=Enrolment(0, "p"))
        for name, found in given.items()
    }
    return ScoredPartition(programmes(profiles), states, PartitionWatermark(9, clock, clock), **options)


def restarted(old: ScoredPartition, clock: int, profiles: Profiles) -> ScoredPartition:
    """From what is stored now; the partition itself has advanced to the clock."""
    recovery = Recovery()
    for name, state in old.states_to_store(set(old.states)).items():
        entry = state_entry(name, 1, state)
        recovery.add(entry.key, entry.value)
    for entry in (watermark_entry(1, PartitionWatermark(9, clock, clock)),):
        recovery.add(entry.key, entry.value)
    recovery.finish()
    assert programmes_of(recovery.profiles.values()).of("t/000", "p") == DEFAULT
    return ScoredPartition(programmes(profiles), recovery.states, recovery.watermark)


def rows(emissions: Iterator[list[Emission]]) -> Rows:
    return {(one.relationship, one.as_of): one.row for some in emissions for one in some}


def true_rows(profiles: Profiles, after: int, upto: int, given: Mapping[str, Facts] = PLAIN) -> Rows:
    return {
        (name, as_of): row
        for name, found in given.items()
        for as_of, row in ScoreHistory(found, profiles).rows(after, upto).items()
    }


@PROFILES
def test_midnights_in_columns_are_the_rows_of_the_histories(profiles: Profiles, counted: Counter[str]) -> None:
    worker = begun(profiles)

    found = rows(worker.advance(CLOCK + SPAN))

    assert found == true_rows(profiles, CLOCK, CLOCK + SPAN)
    assert counted["in columns"] > len(found) * 3 // 4


def test_rows_are_the_same_however_many_are_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = rows(begun(DEFAULT).advance(CLOCK + SPAN))

    monkeypatch.setattr(partition, "DUE_BATCH", 1)

    assert rows(begun(DEFAULT).advance(CLOCK + SPAN)) == at_once


@PROFILES
@pytest.mark.parametrize("days", [0, 1, 13, 70])
def test_a_start_takes_what_was_stored_and_goes_on_where_the_clock_is(
    profiles: Profiles, days: int, counted: Counter[str]
) -> None:
    """The states are those of the last event, the clock has gone on."""
    stored, clock = begun(profiles), CLOCK + days * DAY
    assert not stored.is_due(CLOCK)
    counted.clear()

    worker = restarted(stored, clock, profiles)

    assert not worker.is_due(clock)
    assert counted["anew"] < len(PLAIN) * 2 // 3, "most of what was stored is of use"
    assert rows(worker.advance(clock + SPAN)) == true_rows(profiles, clock, clock + SPAN)


def with_sessions(number: int) -> Facts:
    """Somebody with up to seven sessions ahead after two days, one of them perhaps cancelled or moved, and perhaps a
    goal that stalls or a pause that begins between them."""
    rng = Random(number)
    starts = [rng.uniform(2.1, 16) for _ in range(rng.randint(1, 7))]
    given = [started(0, 7), held(0.7), message(1.2, "mentor"), message(rng.uniform(1.3, 1.99), "mentee")]
    given += [booked(1.3 + number / 100, f"s{number}", start) for number, start in enumerate(starts)]
    more = rng.randrange(6)
    given += [cancelled(1.6, "s0")] if more == 0 else [moved(1.6, "s0", starts[0] + 1.5)] if more == 1 else []
    given += [goal_set(0.4), paused(1.7, starts[-1] + 0.2, starts[-1] + 2)] if more == 2 else []
    return facts(*given)


@pytest.mark.parametrize("days", [0.4, 1.3, 4.8, 11.6])
def test_a_start_takes_along_whoever_has_met_meanwhile(days: float) -> None:
    given = {f"t/{number:03}": with_sessions(number) for number in range(60)}
    stored, clock = begun(DEFAULT, given, micros(2)), micros(2 + days)
    assert not stored.is_due(micros(2))

    worker = restarted(stored, clock, DEFAULT)

    assert not worker.is_due(clock)
    assert rows(worker.advance(clock + SPAN)) == true_rows(DEFAULT, clock, clock + SPAN, given)


def test_one_start_after_the_other_takes_along_whoever_has_met_meanwhile() -> None:
    given = {f"t/{number:03}": with_sessions(number) for number in range(60)}
    worker, clock = begun(DEFAULT, given, micros(2)), micros(2)

    for days in (2.4, 3, 3.01, 6.5, 12):
        assert not worker.is_due(clock)
        clock = micros(days)
        worker = restarted(worker, clock, DEFAULT)

    assert rows(worker.advance(clock + SPAN)) == true_rows(DEFAULT, clock, clock + SPAN, given)


def test_a_start_reads_no_facts_of_whom_nothing_but_sessions_and_midnights_came(counted: Counter[str]) -> None:
    given = {
        "t/met": facts(started(0, 7), held(1), booked(1.5, "s", 2.3), booked(1.6, "r", 9.3)),
        "t/meets": facts(started(0, 7), held(1), booked(1.5, "s", 4.9)),
        "t/plain": facts(started(0, 7), held(1)),
    }
    stored, clock = begun(DEFAULT, given, micros(2)), micros(4.5)
    assert not stored.is_due(micros(2))
    counted.clear()

    worker = restarted(stored, clock, DEFAULT)

    assert not worker.is_due(clock)
    assert counted["anew"] == 0
    assert rows(worker.advance(micros(12))) == true_rows(DEFAULT, clock, micros(12), given)


def test_what_another_version_derived_is_computed_anew(monkeypatch: pytest.MonkeyPatch, counted: Counter[str]) -> None:
    stored = begun(DEFAULT)
    assert not stored.is_due(CLOCK)
    states = stored.states_to_store(set(stored.states))
    counted.clear()
    monkeypatch.setattr(outlook, "VERSION", outlook.VERSION ^ 1)

    worker = ScoredPartition(programmes(DEFAULT), states, PartitionWatermark(9, CLOCK, CLOCK))

    assert rows(worker.advance(CLOCK + SPAN)) == true_rows(DEFAULT, CLOCK, CLOCK + SPAN)
    assert counted["anew"] >= len(PLAIN)


def test_what_other_profiles_derived_is_computed_anew() -> None:
    stored = begun(DEFAULT)
    assert not stored.is_due(CLOCK)

    worker = restarted(stored, CLOCK, CHANGING)

    assert rows(worker.advance(CLOCK + SPAN)) == true_rows(CHANGING, CLOCK, CLOCK + SPAN)


def test_of_what_is_indexed_no_more_stays_in_memory_than_the_bound() -> None:
    worker = begun(DEFAULT, indexed_facts=100)

    found = rows(worker.advance(CLOCK + SPAN))

    assert found == true_rows(DEFAULT, CLOCK, CLOCK + SPAN)
    assert 0 < worker.indexed_facts <= 100


def test_what_lies_packed_in_memory_is_counted() -> None:
    worker = begun(DEFAULT)
    assert not worker.is_due(CLOCK)
    empty = worker.packed_bytes - sum(len(facts_bytes(found)) for found in PLAIN.values())
    name, found = next(iter(PLAIN.items()))

    apply(worker, message((CLOCK - micros(0)) / DAY + 1, "mentor"), name, 10)
    assert worker.packed_bytes == empty + sum(len(facts_bytes(f)) for other, f in PLAIN.items() if other != name)
    states = worker.states_to_store({name})

    assert worker.packed_bytes == empty + sum(len(facts_bytes(state.facts)) for state in worker.states.values())
    assert len(states[name].facts) <= len(found) + 1


def test_what_a_restart_finds_packed_is_counted_too() -> None:
    old = begun(DEFAULT)
    assert not old.is_due(CLOCK)

    worker = restarted(old, CLOCK, DEFAULT)
    assert not worker.is_due(CLOCK)

    assert worker.packed_bytes == old.packed_bytes


def test_a_booking_a_pause_and_a_stalled_goal_are_told_between_the_midnights() -> None:
    given = {
        "t/booked": facts(started(0, 7), held(1), booked(1.5, "s", 4.3)),
        "t/paused": facts(started(0, 7), held(1), paused(2, 3.2, 5.6)),
        "t/plain": facts(started(0, 7), message(1.9, "mentor")),
    }
    clock = micros(2.1)

    found = rows(begun(DEFAULT, given, clock).advance(micros(90)))

    assert found == true_rows(DEFAULT, clock, micros(90), given)
    causes = {cause for row in found.values() if row is not None for cause in row.causes}
    assert {"midnight", "booking.starts", "pause.boundary", "crossing.health.50"} <= causes


def test_a_damaged_state_is_no_state() -> None:
    worker = begun(DEFAULT)
    state = replace(worker.states["t/001"], enrolment=Enrolment(0, "p"))
    entry = state_entry("t/001", 1, state)
    assert entry.value is not None
    recovery = Recovery()
    recovery.add(entry.key, entry.value[:200] + bytes([entry.value[200] ^ 1]) + entry.value[201:])

    assert recovery.finish().unreadable == {entry.key}
