"""Builds the Faust application: one agent, one timer, one table that only recovers. Nothing is built at import."""

import asyncio
import gc
import time
from dataclasses import dataclass

import faust

from services.runtime import log
from services.runtime.health import Health
from services.scoring.flow.faust_app import faust_app, rebalance_seconds
from services.scoring.flow.gaps import Gaps
from services.scoring.flow.liveness import Liveness
from services.scoring.flow.metrics import metrics
from services.scoring.flow.programmes import ProgrammeFollower
from services.scoring.flow.putting_back import put_back_when_stopped
from services.scoring.flow.recovery import RunSchema
from services.scoring.flow.sequencer import Sequencer, Untyped, scheduler_class
from services.scoring.flow.settings import ScoringSettings
from services.scoring.flow.worker import Worker, wall_clock
from services.scoring.names import Names

QUEUED_RUNS = 8


@dataclass(frozen=True)
class Application:
    app: faust.App
    liveness: Liveness
    programmes: ProgrammeFollower


def application(settings: ScoringSettings, health: Health, names: Names, partitions: int) -> Application:
    """`partitions`: of the log, and so of state and scores; fixed when the topics were created."""
    wiring = _Wiring(settings, health, names, partitions)
    wiring.connect()
    return Application(wiring.app, wiring.liveness, wiring.programmes)


class _Wiring:
    """Connects Faust's signals to the worker."""

    def __init__(self, settings: ScoringSettings, health: Health, names: Names, partitions: int) -> None:
        self._settings, self._health, self._names, self._partitions = settings, health, names, partitions
        self._sequencer = Sequencer(names.events)
        self._joined = False
        session, rebalance = settings.scoring_session_seconds, rebalance_seconds(settings)
        self.liveness = Liveness(session, rebalance + 2 * session)
        measured = metrics(health.metrics)
        self.programmes = ProgrammeFollower(measured.unreadable_programmes)
        self._worker = Worker(names, partitions, measured, self.liveness, self.programmes)
        self._gaps = Gaps(settings, names)
        self._log = log.get(__name__)
        self.app = faust_app(settings, names, partitions, scheduler_class(self._sequencer, self._seek))
        self._table = self.app.Table(
            "state",
            schema=RunSchema(),
            partitions=partitions,
            # Without acks: else Faust keeps every run as a gap between acks, and sorts them all for each.
            changelog_topic=self.app.topic(
                names.state, schema=RunSchema(), partitions=partitions, internal=True, acks=False
            ),
            recovery_buffer_size=10,
        )
        self._table.on_progress = self.liveness.recovered_some

    def connect(self) -> None:
        app = self.app
        app.on_partitions_revoked.connect(self._revoked, weak=False)
        app.on_partitions_assigned.connect(self._assigned, weak=False)
        app.on_rebalance_complete.connect(self._complete, weak=False)
        # App.topic() ignores maxsize, the class does not.
        source = app.conf.Topic(app, topics=[self._names.events], schema=RunSchema(), maxsize=QUEUED_RUNS)
        app.agent(source, name="score")(self._score)
        app.timer(1.0, name="tick")(self._tick)

    async def _seek(self, positions: Untyped) -> None:
        await self.app.consumer.seek_wait(positions)

    async def _revoked(self, *_arguments: Untyped, **_named: Untyped) -> None:
        """The run in work is over. Whoever gets the partitions reads them from what is acknowledged."""
        self._joined = False
        self.liveness.left()
        self._sequencer.forget_all()
        self._health.tell("starting", "rebalancing")
        await self._worker.drop_all()
        gc.unfreeze()

    async def _assigned(self, *_arguments: Untyped, **_named: Untyped) -> None:
        self._joined = True
        self.liveness.joined(self.app.consumer)
        put_back_when_stopped(self.app.consumer)

    async def _complete(self, *_arguments: Untyped, **_named: Untyped) -> None:
        """Recovery is over: take the partitions, and say where to read on. May be cancelled, or overtaken by the next
        rebalance, at any await: what was taken until then is dropped."""
        self.liveness.recovered()
        await self._worker.drop_all()
        self._gaps.forget_all()
        tps = {tp.partition: tp for tp in self._tps()}
        first = await self.app.consumer.earliest_offsets(*tps.values()) if tps else {}
        for number, tp in sorted(tps.items()):
            self._health.tell("starting", f"takes partition {number}")
            if not self._joined or not await self._worker.take(self._producer(), number, self._table.take(number)):
                return
            self._begin(tp, first.get(tp) or 0)
            # States stay. To look through them for garbage takes 0.2 s per 5,000 relationships, and all threads wait.
            gc.freeze()
        self._tell_readiness()

    def _begin(self, tp: Untyped, begin: int) -> None:
        """A log that was cut off beyond our watermark is a hole that nobody may step over by itself."""
        wanted = self._worker.next_offset(tp.partition) or 0
        if self._gaps.found(tp.partition, wanted, begin):
            self._sequencer.stop(tp)
        else:
            self._sequencer.start(tp, max(wanted, begin))

    def _tell_readiness(self) -> None:
        if not self._joined:
            return
        if self._gaps.numbers:
            self._health.tell("degraded", f"partitions {self._gaps.numbers}: the log begins beyond what was applied")
        else:
            self._health.tell("ready", f"{len(self._tps())} partitions")

    async def _score(self, stream: Untyped) -> None:
        async for event in stream.noack().events():
            message = event.message
            wanted = await self._worker.run(self._producer(), message.partition, event.value)
            if wanted is not None:
                # Runs were dropped between scheduler and agent: go back.
                self._sequencer.rewind(message.tp, wanted, self._seek)
            # Acknowledged in any case. Our position does not come from Faust's, but a rebalance waits for every ack.
            event.ack()

    async def _tick(self) -> None:
        if not self._joined or self.app.rebalancing:
            return
        taken = [tp for tp in self._tps() if self._worker.next_offset(tp.partition) is not None]
        async with asyncio.timeout(self._settings.scoring_session_seconds):
            ends = await self.app.consumer.highwaters(*taken)
        clock = None if self._settings.clock == "log" else wall_clock()
        for tp in taken:
            if self._sequencer.is_started(tp):
                await self._worker.tick(self._producer(), tp.partition, ends[tp], clock)
                await self._look_whether_it_stands(tp, ends[tp])
            else:
                self._worker.stand(tp.partition, ends[tp], self._gaps.lost(tp.partition))
        await self._go_on_after_gaps()

    async def _look_whether_it_stands(self, tp: Untyped, end: int) -> None:
        wanted, progress = self._worker.next_offset(tp.partition), self.liveness.progress
        if wanted is None or not progress.has_lost_its_position(tp.partition, wanted - 1, end, time.monotonic()):
            return
        first = await self.app.consumer.earliest_offsets(tp)
        if self._gaps.found(tp.partition, wanted, first.get(tp) or 0):
            self._sequencer.stop(tp)
            self._tell_readiness()
        elif self._joined:
            self._sequencer.rewind(tp, wanted, self._seek)

    async def _go_on_after_gaps(self) -> None:
        for number, offset in (await self._gaps.accepted()).items():
            await self._worker.step_over(number, offset)
            for tp in self._tps():
                if tp.partition == number and self._joined:
                    self._sequencer.rewind(tp, offset, self._seek)
                    self._tell_readiness()

    def _producer(self) -> Untyped:
        """The one of aiokafka: it sends whole batches."""
        return self.app.producer._ensure_producer()  # noqa: SLF001 (there is no public way)

    def _tps(self) -> list[Untyped]:
        """The assigned partitions of the log."""
        return [tp for tp in self.app.assignor.assigned_actives() if tp.topic == self._names.events]
