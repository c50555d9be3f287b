"""Builds the Faust application: an agent, a timer, a table that only recovers, a producer; and the process around it:
its start, its signals, its end. Nothing is built at import."""

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from itertools import groupby

import faust

from services.runtime import log
from services.runtime.health import Health
from services.runtime.progress import note_progress
from services.scoring.flow.assigned_partition import Sizes
from services.scoring.flow.faust.configured_app import BatchSchema, faust_app, rebalance_seconds
from services.scoring.flow.faust.consumer import commit_applied, note_heartbeats, note_poll, refetch_dropped
from services.scoring.flow.faust.scheduler import PartitionBuffers, Sequencer, Untyped, scheduler_class
from services.scoring.flow.gaps import Gaps
from services.scoring.flow.liveness import STALLED_SECONDS, Liveness, NotAliveError, watch
from services.scoring.flow.metrics import ScoringMetrics
from services.scoring.flow.settings import ScoringSettings
from services.scoring.flow.worker import Outgoing, Worker, wall_clock
from services.scoring.topics import Topics

QUEUED_BATCHES = 8


class Application:
    """Connects Faust's signals to the worker. `partitions`: of the log, and so of state and scores; fixed when the
    topics were created."""

    def __init__(self, settings: ScoringSettings, health: Health, topics: Topics, partitions: int) -> None:
        self._settings, self.health, self._topics, self._partitions = settings, health, topics, partitions
        self._sequencer = Sequencer(topics.events)
        self._joined = False
        self._rebalance = 0
        """Faust's count of rebalances when the partitions were last restored."""
        session, rebalance = settings.scoring_session_seconds, rebalance_seconds(settings)
        self.liveness = Liveness(session, rebalance)
        metrics = ScoringMetrics(health.metrics)
        self._gaps = Gaps(settings, topics)
        self._log = log.get(__name__)
        self.app = faust_app(settings, topics, partitions, scheduler_class(self._sequencer, self._seek))
        sizes = Sizes(partitions, settings.scoring_indexed_facts)
        self._worker = Worker(topics, sizes, FaustProducer(self.app), metrics, self.liveness)
        self._buffers = PartitionBuffers(self.app, self._apply_batch)
        self._ticking: set[int] = set()
        self._needing_seek: set[Untyped] = set()
        """Partitions whose position has to be sought again."""
        self._table = self.app.Table(
            "state",
            schema=BatchSchema(),
            partitions=partitions,
            # Without acks: otherwise Faust stores every batch as a gap between acks, and sorts them all for each.
            changelog_topic=self.app.topic(
                topics.state, schema=BatchSchema(), partitions=partitions, internal=True, acks=False
            ),
            recovery_buffer_size=10,
        )
        self._table.on_progress = self.liveness.recovery_progressed
        app = self.app
        app.on_partitions_revoked.connect(self._revoked, weak=False)
        app.on_partitions_assigned.connect(self._assigned, weak=False)
        app.on_rebalance_complete.connect(self._rebalance_complete, weak=False)
        # App.topic() ignores maxsize, the class does not.
        source = app.conf.Topic(app, topics=[topics.events], schema=BatchSchema(), maxsize=QUEUED_BATCHES)
        app.agent(source, name="score")(self._buffer_batches)
        app.timer(1.0, name="tick")(self._tick)
        # Apart from the tick, which waits for the broker: this one ages only while the event loop is blocked.
        app.timer(1.0, name="turn")(self._note_turn)

    async def _note_turn(self) -> None:
        note_progress()

    async def _seek(self, positions: Untyped) -> None:
        await self.app.consumer.seek_wait(positions)

    async def _revoked(self, *_arguments: Untyped, **_named: Untyped) -> None:
        """The current batch is complete. The next owners read the partitions from what is acknowledged."""
        self._joined = False
        self.liveness.left()
        self._sequencer.forget_all()
        self._buffers.forget_full()
        self._needing_seek.clear()
        self.health.report("starting", "rebalancing")
        await self._worker.drop_all()
        gc.unfreeze()

    async def _assigned(self, *_arguments: Untyped, **_named: Untyped) -> None:
        self._joined = True
        consumer = self.app.consumer
        note_heartbeats(consumer, self.liveness.beat)
        self.liveness.joined(lambda: note_poll(consumer))
        refetch_dropped(consumer)
        commit_applied(consumer, self._worker.applied_offset)

    async def _rebalance_complete(self, *_arguments: Untyped, **_named: Untyped) -> None:
        """Recovery is complete: restore the partitions and seek to their offsets. May be cancelled, or overtaken by the
        next rebalance, at any await: partitions restored until then are dropped."""
        self.liveness.recovered()
        self._rebalance = self.app.rebalancing_count
        await self._worker.drop_all()
        self._gaps.forget_all()
        tps = {tp.partition: tp for tp in self._tps()}
        first = await _offsets_from_broker(self.app.consumer.earliest_offsets(*tps.values())) if tps else {}
        for number, tp in sorted(tps.items()):
            self.health.report("starting", f"takes partition {number}")
            if not self._joined or not await self._worker.restore(number, self._table.pop_recovery(number)):
                return
            # A log that begins beyond our watermark has a gap, which only an operator may accept.
            wanted, begin = self._worker.next_offset(number) or 0, first.get(tp) or 0
            if self._gaps.report_if_found(number, wanted, begin):
                self._sequencer.stop(tp)
            else:
                self._sequencer.start(tp, max(wanted, begin), self._seek)
            # States are long-lived. Scanning them for garbage takes 0.2 s per 5,000 relationships, and blocks all
            # threads.
            gc.freeze()
        self._report_readiness()

    def _report_readiness(self) -> None:
        if not self._joined:
            return
        if self._gaps.numbers:
            self.health.report("degraded", f"partitions {self._gaps.numbers}: the log begins beyond what was applied")
        else:
            self.health.report("ready", f"{len(self._tps())} partitions")

    async def _buffer_batches(self, stream: Untyped) -> None:
        async for event in stream.noack().events():
            self._buffers.put(event)

    async def _apply_batch(self, event: Untyped) -> None:
        message = event.message
        # A stop and a rebalance wait for every ack: the current batch is completed, and the next owner reads the
        # waiting ones again. Faust may clear its own rebalancing flag after the first batches have come.
        is_leaving = self.app.should_stop or self.app.rebalancing_count != self._rebalance
        wanted = None if is_leaving else await self._worker.apply(message.partition, event.value)
        if wanted is not None:
            # Batches were dropped between scheduler and agent: seek back.
            self._sequencer.rewind(message.tp, wanted, self._seek)
        # Acknowledge in any case: the committed offset comes from the worker.
        event.ack()

    async def _tick(self) -> None:
        if not self._joined or self.app.rebalancing:
            return
        restored = [tp for tp in self._tps() if self._worker.next_offset(tp.partition) is not None]
        ends = await _offsets_from_broker(self.app.consumer.highwaters(*restored))
        for tp in restored:
            if not self._sequencer.is_started(tp):
                self._worker.report_gap(tp.partition, ends[tp], self._gaps.lost(tp.partition))
            elif tp.partition not in self._ticking:
                self._ticking.add(tp.partition)
                self.app.add_future(self._tick_partition(tp, ends[tp]))
        # Gaps that an operator has accepted.
        for number, offset in (await self._gaps.accepted()).items():
            await self._worker.skip_to(number, offset)
            for tp in self._tps():
                if tp.partition == number and self._joined:
                    self._sequencer.rewind(tp, offset, self._seek)
                    self._report_readiness()
        await self._seek_needing()

    async def _seek_needing(self) -> None:
        """One request for all partitions. The broker answers it after the fetch that waits for records, 1.5 s each: one
        request per partition would delay the next tick."""
        lost, self._needing_seek = self._needing_seek, set()
        first = await _offsets_from_broker(self.app.consumer.earliest_offsets(*lost)) if lost else {}
        for tp in lost:
            wanted = self._worker.next_offset(tp.partition)
            if not self._joined or wanted is None or self._buffers.is_busy(tp):
                continue
            if self._gaps.report_if_found(tp.partition, wanted, first.get(tp) or 0):
                self._sequencer.stop(tp)
                self._report_readiness()
            else:
                self._sequencer.rewind(tp, wanted, self._seek)

    async def _tick_partition(self, tp: Untyped, end: int) -> None:
        """A midnight of many relationships takes long: other partitions do not wait for it."""
        try:
            await self._worker.tick(tp.partition, end, None if self._settings.clock == "log" else wall_clock())
            wanted, progress = self._worker.next_offset(tp.partition), self.liveness.progress
            if wanted is None or self._buffers.is_busy(tp):
                # Its offset stands while its batch is being applied, however many batches of others are.
                progress.forget(tp.partition)
            elif progress.needs_seek(tp.partition, wanted - 1, end, time.monotonic()):
                self._needing_seek.add(tp)
        finally:
            self._ticking.discard(tp.partition)

    def _tps(self) -> list[Untyped]:
        """The assigned partitions of the log."""
        return [tp for tp in self.app.assignor.assigned_actives() if tp.topic == self._topics.events]


async def _offsets_from_broker(answer: Awaitable[Mapping[Untyped, int]]) -> Mapping[Untyped, int]:
    """The broker's offsets of the log. Raises NotAliveError if there is no response for a minute while the group still
    has us: then the consumer hangs, and nothing else would detect it."""
    try:
        return await asyncio.wait_for(answer, STALLED_SECONDS)
    except TimeoutError:
        raise NotAliveError(f"the broker has told no offsets of the log for {STALLED_SECONDS} s") from None


class FaustProducer:
    """The application's own producer: a phase of writes in record batches, hundreds of records per acknowledgement."""

    def __init__(self, app: Untyped) -> None:
        self._app = app

    async def write(self, outgoing: Iterable[Outgoing]) -> None:
        """In order within each partition. Each record is on the log when this returns."""
        # aiokafka's producer sends whole batches. There is no public way to it.
        client = self._app.producer._ensure_producer()  # noqa: SLF001
        sent = []
        for (topic, partition), records in groupby(outgoing, lambda one: (one.topic, one.partition)):
            if partition is None:
                # Partitioned by the key: few records, and nothing waits for them alone.
                sent += [await client.send(topic, r.value, key=r.key, headers=list(r.headers)) for r in records]
            else:
                sent += [await client.send_batch(b, topic, partition=partition) for b in _batches(client, records)]
        for acknowledgement in sent:
            await acknowledgement


def _batches(client: Untyped, records: Iterable[Outgoing]) -> Iterator[Untyped]:
    """Closed batches, which do not linger. A record larger than a batch gets one of its own."""
    batch = client.create_batch()
    for _topic, _partition, key, value, headers in records:
        if batch.append(timestamp=None, key=key, value=value, headers=list(headers)) is None:
            batch.close()
            yield batch
            batch = client.create_batch()
            batch.append(timestamp=None, key=key, value=value, headers=list(headers))
    batch.close()
    yield batch


STOP_SECONDS = 1.8
"""A stop takes this long at most; two seconds are promised."""


def execute(built: Application) -> None:
    """Does not return: exits with 0 after a signal, with 1 after anything unexpected."""
    # The level only keeps Faust from drawing a spinner; logging is configured by us.
    worker = Process(built.app, loglevel=logging.INFO, quiet=True, override_logging=False, redirect_stdouts=False)
    watch(built.liveness.check, lambda: bool(worker.crashed))
    try:
        with built.health.loop("faust"):
            worker.execute_from_commandline()
    except SystemExit as ended:
        # Everything is written and logged. Freeing the states one by one, as Python does at exit, would take seconds.
        sys.stderr.flush()
        os._exit(int(ended.code or 0))


class Process(faust.Worker):  # type: ignore[misc]
    def _schedule_shutdown(self, number: signal.Signals) -> None:
        """The current batch is completed. A signal during the start may make Faust wait for ever for what has not
        begun; ending then is as safe as any crash."""
        end = threading.Timer(STOP_SECONDS, os._exit, [0])
        end.daemon = True
        end.start()
        super()._schedule_shutdown(number)

    async def _sentinel_task(self) -> None:
        """Faust sleeps for a second here after everything has ended: half of the time that a stop may take."""
