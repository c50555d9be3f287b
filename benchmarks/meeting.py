"""All rounds: a local broker, the logs, then one contestant after the other and again, so that a machine which changes
its speed changes it for all."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import broker
from benchmarks.broker import PARTITIONS
from benchmarks.contestants.task import Task
from benchmarks.figures import Outcomes
from benchmarks.lineup import Contestant, LogName
from benchmarks.logs import Log, Sizes, Workshop, made
from benchmarks.quix_environment import QuixMissingError, quix_python
from benchmarks.race import Failure, Run, race
from deploy.local.kafka import KafkaConfig, LocalKafka
from services.runtime.settings import Settings

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    contestants: Sequence[Contestant]
    sizes: Sizes
    rounds: int


@dataclass(frozen=True)
class Place:
    """`folder` is scratch, `kept` outlives the meeting."""

    folder: Path
    kept: Path


def hold(plan: Plan, place: Place, say: Say) -> Outcomes:
    """`say` is told of every step. Raises what starting the broker and filling the logs raise."""
    config = KafkaConfig(data=place.folder / "kafka", cache=place.kept / "cache")
    with LocalKafka(config) as kafka:
        workshop = Workshop(plan.sizes, Settings(kafka=kafka.bootstrap), place.folder)
        logs: dict[LogName, Log] = {}
        for name in dict.fromkeys(contestant.log for contestant in plan.contestants):
            say(f"making the {name}")
            logs[name] = made(name, workshop)
            say(f"the {name}: {logs[name]}")
        return _rounds(plan, _Runner(workshop, logs, place.kept), say)


def _rounds(plan: Plan, runner: "_Runner", say: Say) -> Outcomes:
    outcomes: dict[Contestant, list[Run | Failure]] = {contestant: [] for contestant in plan.contestants}
    for number in range(plan.rounds):
        for contestant, runs in outcomes.items():
            say(f"round {number + 1} of {plan.rounds}: {contestant.name}")
            runs.append(runner.run(contestant, number))
    return outcomes


@dataclass(frozen=True)
class _Runner:
    workshop: Workshop
    logs: dict[LogName, Log]
    kept: Path

    def run(self, contestant: Contestant, number: int) -> Run | Failure:
        name = f"{contestant.name}.{number}"
        folder = self.workshop.folder / name
        folder.mkdir()
        if contestant.writes:
            topics = [f"{name}.{kind}" for kind in contestant.writes]
            broker.create(self.workshop.settings, topics, compacted=f"{name}.state")
        log = self.logs[contestant.log]
        task = Task(
            kafka=self.workshop.settings.kafka,
            log=log.place,
            partitions=PARTITIONS,
            count=log.records,
            name=name,
            variant=contestant.variant,
            folder=str(folder),
        )
        try:
            return race(contestant.module, task, self._python(contestant))
        except QuixMissingError as missing:
            return Failure(str(missing))

    def _python(self, contestant: Contestant) -> str:
        return quix_python(self.kept / "bench") if contestant.module == "quix" else sys.executable
