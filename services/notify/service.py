"""The composition root of `rapport notify serve`."""

import random
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

from schemas.primitives import Instant
from services.notify.channels.channel import Channel
from services.notify.channels.log import LogChannel
from services.notify.channels.webhook import WebhookChannel
from services.notify.domain.evaluation import Evaluator
from services.notify.domain.rules import RULES
from services.notify.flow.deciding import Deciding
from services.notify.flow.dispatch import Dispatch, Environment
from services.notify.flow.hold import Hold
from services.notify.flow.journal import COMMIT_SECONDS, Journal
from services.notify.flow.metrics import Metrics
from services.notify.flow.report import Report
from services.notify.flow.restore import restored
from services.notify.flow.rounds import Flow
from services.notify.flow.watchdog import bounded
from services.notify.names import Names
from services.notify.settings import NotifySettings
from services.runtime import log
from services.runtime.health import Health, served
from services.runtime.kafka import Producer, Reader


def serve(settings: NotifySettings, names: Names, stop: threading.Event) -> None:
    """Runs until `stop` is set; raises whatever ends it before, KafkaError also when another instance took over."""
    health = Health()
    environment = Environment(now, random.SystemRandom().random)
    with ExitStack() as stack:
        stack.enter_context(served(health, settings.host, settings.notify_health_port))
        producer = Producer(settings, names.identity)
        stack.callback(producer.close, 1)
        reader = Reader(settings, names.identity, isolation_level="read_committed")
        stack.callback(reader.close)
        # 1. A predecessor can write no more, and what it had begun has come to an end.
        with bounded(COMMIT_SECONDS, "fence"):
            producer.start_transactions()
        # 2. All that was decided and sent is known before anything is decided or sent.
        numbers = [partition.number for partition in reader.assign([names.scores])]
        known = restored(settings, names, Evaluator(RULES, settings.clock), numbers)
        log.get(__name__).info("restored", partitions=len(numbers), unfinished_deliveries=len(known.open))
        # 3. Then it starts.
        metrics = Metrics(health.metrics)
        metrics.unreadable.inc(known.unreadable)
        flow = Flow(
            reader=reader,
            deciding=Deciding(known.partition_alerts_by_number, now, metrics),
            journal=Journal(producer, reader, names),
            hold=Hold(known.partition_alerts_by_number, settings.clock, now),
            dispatch=Dispatch(channels(settings), environment),
            report=Report(health, metrics),
        )
        flow.run(stop, known.open)
        health.tell("stopping")


def channels(settings: NotifySettings) -> Sequence[Channel]:
    webhook = settings.webhook()
    return [LogChannel(), *([WebhookChannel(webhook, now)] if webhook else [])]


def now() -> Instant:
    return datetime.now(UTC)
