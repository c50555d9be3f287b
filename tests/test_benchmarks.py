"""Benchmarks compare ratios within a round; failures are reported, never left out silently."""

import importlib.util
import math

import pytest

from benchmarks import core, events
from benchmarks.contestant_run import Failure, Run
from benchmarks.contestants import ours
from benchmarks.figures import aims, failures, figures, scoring_share
from benchmarks.lineup import LINEUP, NAMES, Contestant
from schemas.events import MENTORING_EVENT
from services.scoring.domain.changelog import ChangelogEntry
from services.scoring.domain.layout import PartitionWatermark
from services.scoring.domain.partition import ScoredPartition
from services.scoring.domain.profiles import Programmes
from services.scoring.domain.write_phases import LogRecord, PartitionProcessor

NAMED = dict(zip(NAMES, LINEUP, strict=True))


def run(cpu: float) -> Run:
    return Run(count=100_000, cpu=cpu, wall=cpu)


def outcome(name: str, *runs: Run | Failure) -> tuple[Contestant, list[Run | Failure]]:
    return NAMED[name], list(runs)


def test_every_contestant_has_a_module_and_a_baseline() -> None:
    missing = [c.name for c in LINEUP if importlib.util.find_spec(f"benchmarks.contestants.{c.module}") is None]

    assert missing == []
    assert {contestant.baseline for contestant in LINEUP} <= set(NAMES)


def test_a_machine_that_slows_down_between_rounds_changes_no_ratio() -> None:
    outcomes = dict([outcome("aiokafka", run(1), run(10), run(3)), outcome("quix", run(2), run(20), run(6))])

    ratios = {figure.contestant.name: (figure.cpu, figure.ratio) for figure in figures(outcomes)}

    assert ratios == {"aiokafka": (3, 1), "quix": (6, 2)}


def test_a_round_without_its_baseline_is_left_out_of_the_ratio_and_reported_as_failed() -> None:
    outcomes = dict([outcome("aiokafka", Failure("no broker"), run(1)), outcome("quix", run(5), run(2))])

    assert {figure.contestant.name: figure.ratio for figure in figures(outcomes)} == {"aiokafka": 1, "quix": 2}
    assert failures(outcomes) == [("aiokafka", "no broker")]


def test_aims_are_judged_where_both_sides_were_measured() -> None:
    outcomes = dict([outcome("aiokafka", run(1)), outcome("ours-flow", run(1.5)), outcome("ours", run(6))])

    assert [(aim.measured, aim.met) for aim in aims(outcomes)] == [(1.5, True)]
    assert scoring_share(outcomes) == 0.75


def test_the_flow_that_is_measured_alone_scores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for (owner, name), value in ours.UNSCORED.items():
        monkeypatch.setattr(owner, name, value)
    worker = PartitionProcessor(1, ScoredPartition(Programmes(), {}, PartitionWatermark()), {})
    log = [MENTORING_EVENT.validate_json(value) for _, value in events.log(20, 3)]

    written = [
        write
        for offset, event in enumerate(log)
        for phase in worker.run([LogRecord(offset, f"{event.tenant}/r", event)])
        for write in phase
    ]

    assert len(written) >= len(log)
    assert {type(write) for write in written} == {ChangelogEntry}


def test_every_aim_of_the_core_is_measured_by_what_a_worker_and_the_commands_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(core, "SAMPLES", 3)

    found = {**core.live(20), **core.live_for_months(5), **core.midnights(10), **core.memory(20), **core.histories(2)}

    assert found.keys() == {aim.what for aim in core.AIMS}
    # What a relationship takes is a slope: of so few it may lie below zero where the machine does other things.
    assert all(math.isfinite(value) for value in found.values())
    assert found["an in-order event, calls"] > 100
