"""Builds the Faust application: one agent, one timer, one table that only recovers. Nothing is built at import."""

import asyncio
import os
from dataclasses import dataclass

import faust
from mode.supervisors import CrashingSupervisor

from services.runtime import log
from services.runtime.health import Health
from services.scoring.domain.profiles import Programmes
from services.scoring.flow.credentials import credentials
from services.scoring.flow.liveness import Liveness
from services.scoring.flow.metrics import metrics
from services.scoring.flow.putting_back import put_back_when_stopped
from services.scoring.flow.recovery import RunSchema, StateTable
from services.scoring.flow.sequencer import Sequencer, Untyped, scheduler_class
from services.scoring.flow.settings import ScoringSettings
from services.scoring.flow.worker import Worker, wall_clock
from services.scoring.names import Names

QUEUED_RUNS = 8
RECOVERY_RUNS = 64
"""Runs of the changelog in memory at once."""
STANDING_SECONDS = 10
"""A partition with records ahead that stands so long is sought again: Faust's own position may have run ahead."""


@dataclass(frozen=True)
class Application:
    app: faust.App
    liveness: Liveness


def application(settings: ScoringSettings, health: Health, names: Names, partitions: int) -> Application:
    """`partitions`: of the log, and so of state and scores; fixed when the topics were created."""
    wiring = _Wiring(settings, health, names, partitions)
    wiring.connect()
    return Application(wiring.app, wiring.liveness)


class _Wiring:
    """Connects Faust's signals to the worker."""

    def __init__(self, settings: ScoringSettings, health: Health, names: Names, partitions: int) -> None:
        self._settings, self._health, self._names, self._partitions = settings, health, names, partitions
        self._sequencer = Sequencer(names.events)
        self._joined = False
        session, rebalance = settings.scoring_session_seconds, _rebalance_seconds(settings)
        self.liveness = Liveness(session, rebalance + 2 * session)
        self._worker = Worker(names, metrics(health.metrics), self.liveness, Programmes())
        self._log = log.get(__name__)
        self.app = self._application()
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

    def _application(self) -> faust.App:
        settings = self._settings
        session = settings.scoring_session_seconds
        return faust.App(
            self._names.group,
            broker=[f"kafka://{address}" for address in settings.kafka.split(",")],
            broker_credentials=credentials(settings),
            store="memory://",
            datadir=str(settings.scoring_datadir),
            web_enabled=False,
            topic_partitions=self._partitions,
            topic_allow_declare=False,
            topic_disable_leader=True,
            table_standby_replicas=0,
            ConsumerScheduler=scheduler_class(self._sequencer, self._seek),
            Table=StateTable,
            agent_supervisor=CrashingSupervisor,
            producer_acks=-1,
            producer_linger=0.005,
            producer_max_batch_size=1 << 19,
            producer_max_request_size=4 << 20,
            producer_request_timeout=60.0,
            broker_max_poll_records=5_000,
            broker_session_timeout=session,
            broker_heartbeat_interval=session / 5,
            broker_rebalance_timeout=_rebalance_seconds(settings),
            broker_commit_interval=1.0,
            broker_commit_every=1,
            consumer_auto_offset_reset="earliest",
            consumer_group_instance_id=settings.instance or None,
            key_serializer="raw",
            value_serializer="raw",
            stream_wait_empty=True,
            stream_buffer_maxsize=RECOVERY_RUNS,
            canonical_url=f"http://{settings.instance or os.getpid()}:6066",
        )

    async def _seek(self, positions: Untyped) -> None:
        await self.app.consumer.seek_wait(positions)

    async def _revoked(self, *_arguments: Untyped, **_named: Untyped) -> None:
        """The run in work is over. Whoever gets the partitions reads them from what is acknowledged."""
        self._joined = False
        self.liveness.left()
        self._sequencer.forget_all()
        self._health.tell("starting", "rebalancing")
        await self._worker.drop_all()

    async def _assigned(self, *_arguments: Untyped, **_named: Untyped) -> None:
        self._joined = True
        self.liveness.joined(self.app.consumer)
        put_back_when_stopped(self.app.consumer)

    async def _complete(self, *_arguments: Untyped, **_named: Untyped) -> None:
        """Recovery is over: take the partitions, and say where to read on. May be cancelled, or overtaken by the next
        rebalance, at any await: what was taken until then is dropped."""
        self.liveness.recovered()
        await self._worker.drop_all()
        tps = {tp.partition: tp for tp in self._tps()}
        first = await self.app.consumer.earliest_offsets(*tps.values()) if tps else {}
        gaps = []
        for number, tp in sorted(tps.items()):
            if not self._joined:
                return
            await self._worker.take(self.app.producer, number, self._table.take(number))
            if self._has_gap(number, first.get(tp) or 0):
                gaps.append(number)
            elif self._joined:
                self._sequencer.start(tp, max(self._worker.next_offset(number) or 0, first.get(tp) or 0))
        if gaps:
            self._health.tell("degraded", f"partitions {gaps}: the log begins beyond what was applied")
        elif self._joined:
            self._health.tell("ready", f"{len(tps)} partitions")

    def _has_gap(self, number: int, earliest: int) -> bool:
        """A log that was cut off beyond our watermark is a hole that nobody may step over by itself."""
        wanted = self._worker.next_offset(number) or 0
        if not 0 < wanted < earliest:
            return False
        self._log.error("log_gap", partition=number, wanted=wanted, earliest=earliest)
        return True

    async def _score(self, stream: Untyped) -> None:
        async for event in stream.noack().events():
            message = event.message
            wanted = await self._worker.run(self.app.producer, message.partition, event.value)
            if wanted is not None:
                # Runs were dropped between scheduler and agent: go back.
                self._sequencer.rewind(message.tp, wanted, self._seek)
            # Acknowledged in any case. Our position does not come from Faust's, but a rebalance waits for every ack.
            event.ack()

    async def _tick(self) -> None:
        if not self._joined or self.app.rebalancing:
            return
        owned = [tp for tp in self._tps() if self._sequencer.is_started(tp)]
        async with asyncio.timeout(self._settings.scoring_session_seconds):
            ends = await self.app.consumer.highwaters(*owned)
        clock = None if self._settings.clock == "log" else wall_clock()
        for tp in owned:
            await self._worker.tick(self.app.producer, tp.partition, ends[tp], clock)
            self._look_whether_it_stands(tp, ends[tp])

    def _look_whether_it_stands(self, tp: Untyped, end: int) -> None:
        wanted = self._worker.next_offset(tp.partition)
        if wanted is not None and self.liveness.standing(tp.partition, wanted - 1, end) > STANDING_SECONDS:
            self._sequencer.rewind(tp, wanted, self._seek)

    def _tps(self) -> list[Untyped]:
        """The assigned partitions of the log."""
        return [tp for tp in self.app.assignor.assigned_actives() if tp.topic == self._names.events]


def _rebalance_seconds(settings: ScoringSettings) -> float:
    return max(10.0, 2 * settings.scoring_session_seconds)
