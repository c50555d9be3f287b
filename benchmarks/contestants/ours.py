"""The scoring service as it is, measured. Variants: `whole`, and `flow`, where the domain does no more than the keyed
state update that the others do: the log, decoding, states, changelog and watermark are the service's own."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.contestants.shares import Shares
from benchmarks.contestants.task import Meter, Task, asked
from schemas.events import ClockReached, MentoringEvent
from services.scoring.domain import layout, serialization, write_phases
from services.scoring.domain.layout import Enrolment, RelationshipState
from services.scoring.domain.partition import Emission, ScoredPartition
from services.scoring.flow import decoding, worker
from services.scoring.flow.settings import ScoringSettings
from services.scoring.service import run
from services.scoring.topics import Topics

Others = dict[tuple[Any, str], Any]
"""What is put in whose place: {(module or class, name): value}."""


def measure(task: Task) -> None:
    """Only methods and functions are replaced, in this process: whoever calls them gets the measured ones."""
    shares = Shares()
    others = {(worker.Worker, "apply"): _measured_run(task, shares)}
    # Timers cost something too: the flow alone is measured without.
    others |= UNSCORED if task.variant == "flow" else _timed(shares)
    for (owner, name), value in others.items():
        assert hasattr(owner, name), f"{owner} has no {name} any more"
        setattr(owner, name, value)
    serve(task, replace(names(task), events=task.log))


def names(task: Task) -> Topics:
    """Every topic is the run's own."""
    own = task.name
    return Topics(f"{own}.events", f"{own}.state", f"{own}.scores", f"{own}.rejected", group=own)


def serve(task: Task, under: Topics) -> None:
    run(ScoringSettings(kafka=task.kafka, clock="log", scoring_datadir=Path(task.folder) / "faust"), under)


def _touch(partition: ScoredPartition, event: MentoringEvent, key: str, offset: int) -> Iterable[Emission]:
    """Keeps of each relationship the position and the time of its newest event."""
    partition.offset = offset
    if not isinstance(event, ClockReached):
        partition.states[key] = RelationshipState(
            {}, offset, partition.clock, enrolment=Enrolment(offset, event.program)
        )
    return ()


def _pass(partition: ScoredPartition, clock: int) -> Iterator[list[Emission]]:
    """Moves the clock; silence makes nothing due."""
    partition.clock = max(clock, partition.clock)
    yield from ()


def _never(*_: object) -> bytes:
    raise AssertionError("the flow alone was to be measured, and something was scored")


# The steps that PartitionProcessor takes with every event.
UNSCORED: Others = {
    (ScoredPartition, "apply"): _touch,
    (ScoredPartition, "advance"): _pass,
    (worker, "score_event"): _never,
}


def _timed(shares: Shares) -> Others:
    return {
        (decoding.Decoding, "__iter__"): shares.timed_steps("decoding", decoding.Decoding.__iter__),
        (worker, "score_event"): shares.timed("telling", serialization.score_event),
        (write_phases, "dump"): shares.timed("states to bytes", layout.dump),
        (write_phases.PartitionProcessor, "run"): shares.timed_steps(
            "facts and rows", write_phases.PartitionProcessor.run
        ),
    }


def _measured_run(task: Task, shares: Shares) -> Any:  # noqa: ANN401 (a method of the worker)
    """The worker's runs, from the first record of the log to the last, which ends the process."""
    meter, run_ = Meter(task), worker.Worker.apply

    async def measured(self: worker.Worker, number: int, fetched: Sequence[Any]) -> int | None:
        meter.begin()
        wanted = await run_(self, number, fetched)
        applied = sum(self.applied_offset(assigned) or 0 for assigned in range(task.partitions))
        if applied == task.count:
            meter.answer(applied, shares=shares.seconds)
            os._exit(0)
        return wanted

    return measured


if __name__ == "__main__":
    measure(asked())
