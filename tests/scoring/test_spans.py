"""Rows that time alone brings are announced before they are emitted, whichever moved the clock, and no record moves it
far beyond the wall clock: after a crash the next worker emits the span again, whatever its own clock is."""

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

import pytest

from schemas.events import OfRelationship
from schemas.primitives import to_micros
from services.scoring.domain.bounds import DAY, MINUTE
from services.scoring.domain.changelog import WATERMARK, ChangelogEntry, Recovery
from services.scoring.domain.layout import PartitionWatermark
from services.scoring.domain.partition import Emission, ScoredPartition
from services.scoring.domain.profiles import Programmes
from services.scoring.domain.write_phases import LogRecord, PartitionProcessor, Phase
from tests.scoring.building import KEY, held, micros
from tests.scoring.random_logs import ORIGIN, Log, random_log
from tests.scoring.simulation import Crash, Play
from tests.scoring.test_programmes_change import CASES, stale_of, wrong_of

AHEAD = 400
"""Days that a record may be wrong by about when it was recorded."""


def processor(*days: float) -> PartitionProcessor:
    """One relationship, with all rows out up to the last record."""
    found = PartitionProcessor(1, ScoredPartition(Programmes(), {}, PartitionWatermark()), {})
    list(found.run([LogRecord(number, KEY, held(day)) for number, day in enumerate(days)]))
    return found


@pytest.mark.parametrize("mover", ["record", "timer"])
def test_a_span_is_announced_before_its_rows_go_out(mover: str) -> None:
    found = processor(0, 0.5)
    moves = {"record": found.run([LogRecord(2, "t/other", held(3.5))]), "timer": found.tick(micros(3.5))}

    announced, rows, *_ = (phase for phase in moves[mover] if phase)

    assert marks(announced) == [PartitionWatermark(1, micros(0.5), micros(3.5))]
    assert micros(1) in {emission.as_of for emission in rows if isinstance(emission, Emission)}


def test_what_brings_no_rows_but_its_own_is_not_announced() -> None:
    found = processor(0, 0.5)

    first, *_ = (phase for phase in found.run([LogRecord(2, KEY, held(0.7))]) if phase)

    assert all(isinstance(write, Emission) for write in first)


def test_a_record_that_says_it_was_recorded_in_the_future_moves_the_clock_to_the_bound_only() -> None:
    found = processor(0, 0.5)
    far = held(0.6).model_copy(update={"recordedtime": held(300).recordedtime})

    list(found.run([LogRecord(2, KEY, far)], ceiling=micros(0.6) + 5 * MINUTE))

    assert found.partition.clock == micros(0.6) + 5 * MINUTE
    list(found.run([LogRecord(3, KEY, held(2))], ceiling=micros(2) + 5 * MINUTE))
    assert found.partition.clock == micros(2)


@dataclass
class Skewed(Play):
    """Some records name a time of recording far in the future, and the machines' clocks differ by up to a day."""

    rng: Random = field(default_factory=Random)
    wall: int = ORIGIN

    def ceiling(self) -> int:
        return self.wall + 5 * MINUTE + self.rng.randint(-5 * MINUTE, DAY)


def far_ahead(rng: Random, log: Log) -> tuple[Log, list[int]]:
    """Some of the records, and when each really was recorded."""
    true = [to_micros(event.recordedtime) for _, event in log]
    return [(key, _wrong(event) if rng.random() < 0.3 else event) for key, event in log], true


def _wrong(event: OfRelationship) -> OfRelationship:
    return event.model_copy(update={"recordedtime": event.recordedtime + timedelta(days=AHEAD)})


@pytest.mark.parametrize("seed", range(CASES))
def test_after_any_crash_rows_are_the_truth_whatever_the_clocks_of_the_machines_say(seed: int) -> None:
    rng = Random(seed)
    log, true = far_ahead(rng, random_log(rng))
    play = Skewed(log, rng=rng)

    while len(play.broker.log) < len(log):
        play.feed(rng.choice([1, 2, 5]))
        play.wall = true[len(play.broker.log) - 1]
        crash = Crash(rng.randint(0, 3), rng.random(), rng.random() < 0.5) if rng.random() < 0.5 else None
        play.run(rng.choice([1, 3, 10]), crash)
    play.run(len(log))
    play.land()
    play.restart()
    partition = play.alive().partition

    assert partition.offset == len(log) - 1
    assert wrong_of(play, partition, stale_of(partition), Programmes()) == {}


def marks(phase: Phase) -> list[PartitionWatermark]:
    recovery = Recovery()
    for write in phase:
        assert isinstance(write, ChangelogEntry)
        assert write.name == WATERMARK
        recovery.add(write.key, write.value)
    return [recovery.finish().watermark]
