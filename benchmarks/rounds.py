"""Runs all rounds on one local broker: the logs, then one contestant after the other, repeated per round, so that
changes of the machine's speed affect all of them."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import broker
from benchmarks.broker import PARTITIONS
from benchmarks.contestant_run import Failure, Run, run_contestant
from benchmarks.contestants.task import Task
from benchmarks.figures import Outcomes
from benchmarks.lineup import Contestant, LogName
from benchmarks.logs import Log, LogContext, Sizes, build_log
from benchmarks.quix_environment import QuixMissingError, quix_interpreter
from deploy.local.kafka import KafkaConfig, LocalKafka
from services.runtime.settings import Settings

Report = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    contestants: Sequence[Contestant]
    sizes: Sizes
    rounds: int


@dataclass(frozen=True)
class BenchFolders:
    """`folder` is scratch, `cache` outlives the run."""

    folder: Path
    cache: Path


def run_rounds(plan: Plan, folders: BenchFolders, report: Report) -> Outcomes:
    """`report` is called at every step. Raises what starting the broker and filling the logs raise."""
    config = KafkaConfig(data=folders.folder / "kafka", cache=folders.cache / "cache")
    with LocalKafka(config) as kafka:
        context = LogContext(plan.sizes, Settings(kafka=kafka.bootstrap), folders.folder)
        logs: dict[LogName, Log] = {}
        for name in dict.fromkeys(contestant.log for contestant in plan.contestants):
            report(f"making the {name}")
            logs[name] = build_log(name, context)
            report(f"the {name}: {logs[name]}")
        return _rounds(plan, _Runner(context, logs, folders.cache), report)


def _rounds(plan: Plan, runner: "_Runner", report: Report) -> Outcomes:
    outcomes: dict[Contestant, list[Run | Failure]] = {contestant: [] for contestant in plan.contestants}
    for number in range(plan.rounds):
        for contestant, runs in outcomes.items():
            report(f"round {number + 1} of {plan.rounds}: {contestant.name}")
            runs.append(runner.run(contestant, number))
    return outcomes


@dataclass(frozen=True)
class _Runner:
    context: LogContext
    logs: dict[LogName, Log]
    cache: Path

    def run(self, contestant: Contestant, number: int) -> Run | Failure:
        name = f"{contestant.name}.{number}"
        folder = self.context.folder / name
        folder.mkdir()
        if contestant.writes:
            topics = [f"{name}.{kind}" for kind in contestant.writes]
            broker.create(self.context.settings, topics, compacted=f"{name}.state")
        log = self.logs[contestant.log]
        task = Task(
            kafka=self.context.settings.kafka,
            log=log.location,
            partitions=PARTITIONS,
            count=log.records,
            name=name,
            variant=contestant.variant,
            folder=str(folder),
        )
        try:
            return run_contestant(contestant.module, task, self._python(contestant))
        except QuixMissingError as missing:
            return Failure(str(missing))

    def _python(self, contestant: Contestant) -> str:
        return quix_interpreter(self.cache / "bench") if contestant.module == "quix" else sys.executable
