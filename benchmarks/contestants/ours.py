"""The real scoring service, instrumented. Variants: `whole`, and `flow`, where the domain does only the keyed state
update of the other contestants; log, decoding, states, changelog and watermark are the service's own."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.contestants.shares import Shares
from benchmarks.contestants.task import Meter, Task, read_task
from schemas.events import ClockReached, MentoringEvent
from services.scoring.domain import layout, serialization, write_phases
from services.scoring.domain.layout import Enrolment, RelationshipState
from services.scoring.domain.partition import Emission, ScoredPartition
from services.scoring.flow import decoding, worker
from services.scoring.flow.settings import ScoringSettings
from services.scoring.service import run
from services.scoring.topics import Topics

Replacements = dict[tuple[Any, str], Any]
"""What is replaced by what: {(module or class, name): value}."""


def measure(task: Task) -> None:
    """Replace methods and functions in this process only, so that all callers use the measured ones."""
    shares = Shares()
    replacements = {(worker.Worker, "apply"): _measured_apply(task, shares)}
    # Timers have a cost: the flow alone is measured without them.
    replacements |= UNSCORED if task.variant == "flow" else _timed(shares)
    for (owner, name), value in replacements.items():
        assert hasattr(owner, name), f"{owner} has no {name} any more"
        setattr(owner, name, value)
    serve(task, replace(names(task), events=task.log))


def names(task: Task) -> Topics:
    """Every topic belongs to this run."""
    own = task.name
    return Topics(f"{own}.events", f"{own}.state", f"{own}.scores", f"{own}.rejected", group=own)


def serve(task: Task, topics: Topics) -> None:
    run(ScoringSettings(kafka=task.kafka, clock="log", scoring_datadir=Path(task.folder) / "faust"), topics)


def _update_state(partition: ScoredPartition, event: MentoringEvent, key: str, offset: int) -> Iterable[Emission]:
    """Keep the position and time of the newest event of each relationship."""
    partition.offset = offset
    if not isinstance(event, ClockReached):
        partition.states[key] = RelationshipState(
            {}, offset, partition.clock, enrolment=Enrolment(offset, event.program)
        )
    return ()


def _advance_clock(partition: ScoredPartition, clock: int) -> Iterator[list[Emission]]:
    """Advance the clock; silence makes nothing due."""
    partition.clock = max(clock, partition.clock)
    yield from ()


def _never(*_: object) -> bytes:
    raise AssertionError("the flow alone was to be measured, and something was scored")


# The steps of PartitionProcessor for every event.
UNSCORED: Replacements = {
    (ScoredPartition, "apply"): _update_state,
    (ScoredPartition, "advance"): _advance_clock,
    (worker, "score_event"): _never,
}


def _timed(shares: Shares) -> Replacements:
    return {
        (decoding.Decoding, "__iter__"): shares.timed_steps("decoding", decoding.Decoding.__iter__),
        (worker, "score_event"): shares.timed("telling", serialization.score_event),
        (write_phases, "dump"): shares.timed("states to bytes", layout.dump),
        (write_phases.PartitionProcessor, "run"): shares.timed_steps(
            "facts and rows", write_phases.PartitionProcessor.run
        ),
    }


def _measured_apply(task: Task, shares: Shares) -> Any:  # noqa: ANN401 (a method of the worker)
    """Measure the worker from the first record of the log to the last, then end the process."""
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
    measure(read_task())
