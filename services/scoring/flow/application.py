"""Builds the Faust application: one agent, one timer, one table that only recovers. Nothing is built at import."""

import asyncio
import os
import ssl

import faust
from mode.supervisors import CrashingSupervisor

from schemas.programs import Profile
from services.runtime import log
from services.runtime.health import Health
from services.scoring.flow.liveness import Liveness
from services.scoring.flow.metrics import metrics
from services.scoring.flow.recovery import RunSchema, StateTable
from services.scoring.flow.sequencer import Sequencer, Untyped, scheduler_class
from services.scoring.flow.settings import ScoringSettings
from services.scoring.flow.worker import Worker, wall_clock
from services.scoring.names import Names

QUEUED_RUNS = 8


def application(settings: ScoringSettings, health: Health, names: Names, partitions: int) -> faust.App:
    """`partitions`: of the log, and so of state and scores; fixed when the topics were created."""
    wiring = _Wiring(settings, health, names, partitions)
    wiring.connect()
    return wiring.app


class _Wiring:
    """Connects Faust's signals to the worker."""

    def __init__(self, settings: ScoringSettings, health: Health, names: Names, partitions: int) -> None:
        self._settings, self._health, self._names, self._partitions = settings, health, names, partitions
        self._sequencer = Sequencer(names.events)
        self._liveness = Liveness(settings.scoring_session_seconds)
        profile = Profile(version="default-1")
        self._worker = Worker(names, metrics(health.metrics), self._liveness, profile)
        self._log = log.get(__name__)
        self.app = self._application()
        self._table = self.app.Table(
            "state",
            schema=RunSchema(),
            partitions=partitions,
            changelog_topic=self.app.topic(names.state, schema=RunSchema(), partitions=partitions, internal=True),
            recovery_buffer_size=10,
        )

    def connect(self) -> None:
        app = self.app
        app.on_partitions_revoked.connect(self._revoked, weak=False)
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
            broker_credentials=_credentials(settings),
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
            broker_rebalance_timeout=max(10.0, 2 * session),
            broker_commit_interval=1.0,
            broker_commit_every=1,
            consumer_auto_offset_reset="earliest",
            consumer_group_instance_id=settings.instance or None,
            key_serializer="raw",
            value_serializer="raw",
            stream_wait_empty=True,
            canonical_url=f"http://{settings.instance or os.getpid()}:6066",
        )

    async def _seek(self, positions: Untyped) -> None:
        await self.app.consumer.seek_wait(positions)

    async def _revoked(self, *_arguments: Untyped, **_named: Untyped) -> None:
        self._sequencer.forget_all()
        self._health.tell("starting", "rebalancing")

    async def _complete(self, *_arguments: Untyped, **_named: Untyped) -> None:
        """Recovery is over: drop what is no more ours, take what is new, and say where to read on."""
        self._liveness.watch(self.app.consumer)
        assigned = {tp.partition: tp for tp in self.app.assignor.assigned_actives() if tp.topic == self._names.events}
        for number in range(self._partitions):
            if number not in assigned:
                self._worker.drop(number)
        first = await self.app.consumer.earliest_offsets(*assigned.values()) if assigned else {}
        for number, tp in sorted(assigned.items()):
            if not self._worker.owns(number):
                await self._worker.take(self.app.producer, number, self._table.take(number))
            self._start(number, tp, first.get(tp) or 0)
        self._health.tell("ready", f"{len(assigned)} partitions")

    def _start(self, number: int, tp: Untyped, earliest: int) -> None:
        """A log that was cut off beyond our watermark is a hole that nobody may step over by itself."""
        wanted = self._worker.next_offset(number)
        if 0 < wanted < earliest:
            self._log.error("log_gap", partition=number, wanted=wanted, earliest=earliest)
            self._health.tell("degraded", f"partition {number}: the log begins at {earliest}, {wanted} is wanted")
            return
        self._sequencer.start(tp, max(wanted, earliest))

    async def _score(self, stream: Untyped) -> None:
        async for event in stream.noack().events():
            message = event.message
            wanted = await self._worker.run(self.app.producer, message.partition, event.value)
            if wanted is None:
                event.ack()
            else:
                # Runs were dropped between scheduler and agent: go back, and leave this one unacknowledged.
                self._sequencer.rewind(message.tp, wanted, self._seek)

    async def _tick(self) -> None:
        consumer = self.app.consumer
        tps = [tp for tp in self.app.assignor.assigned_actives() if tp.topic == self._names.events]
        owned = [tp for tp in tps if self._worker.owns(tp.partition)]
        if not owned or self.app.rebalancing:
            return
        async with asyncio.timeout(self._settings.scoring_session_seconds):
            ends = await consumer.highwaters(*owned)
        clock = None if self._settings.clock == "log" else wall_clock()
        for tp in owned:
            await self._worker.tick(self.app.producer, tp.partition, ends[tp], clock)


def _credentials(settings: ScoringSettings) -> Untyped:
    protocol, password = settings.kafka_security_protocol, settings.kafka_sasl_password
    context = _tls(settings) if protocol.endswith("SSL") else None
    if protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=settings.kafka_sasl_username,
            password=password.get_secret_value() if password else None,
            ssl_context=context,
            mechanism=settings.kafka_sasl_mechanism,
        )
    return faust.SSLCredentials(context) if context else None


def _tls(settings: ScoringSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    if settings.kafka_ssl_certfile:
        context.load_cert_chain(settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile)
    return context
