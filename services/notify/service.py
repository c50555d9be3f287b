"""The composition root of `rapport notify serve`."""

import random
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from schemas.primitives import Instant
from services.notify.channels.smtp import MailDirectory
from services.notify.domain.deliveries import has_ended
from services.notify.domain.grouping import HOUR
from services.notify.domain.hold import Hold
from services.notify.domain.ledger import Ledger
from services.notify.domain.name_book import NameBook
from services.notify.domain.notices import is_notice
from services.notify.domain.preferences import AddressesOff, Preferences
from services.notify.domain.routing import Addressing, DecisionContext
from services.notify.domain.rule_book import RuleBook
from services.notify.domain.shared_alerts import SharedAlerts, lowest_clock
from services.notify.flow.command_processor import CommandProcessor, DeliveryRequests
from services.notify.flow.destinations import DestinationsFile, load_configured
from services.notify.flow.dispatch import Dispatch, Environment
from services.notify.flow.escalation import EscalationPlanner
from services.notify.flow.inputs import PeopleRecords, SubjectInputs
from services.notify.flow.journal import COMMIT_SECONDS, Journal, bounded
from services.notify.flow.leadership import Leadership, LeadershipLostError
from services.notify.flow.notice_planner import NoticePlanner
from services.notify.flow.report import Metrics, Report
from services.notify.flow.restore import restore_state
from services.notify.flow.rounds import Flow, RoundReader, SideInputs
from services.notify.flow.score_processor import ScoreProcessor
from services.notify.flow.senders import SenderPool
from services.notify.rendering.renderer import Renderer
from services.notify.settings import NotifySettings
from services.notify.topics import NotifyTopics
from services.runtime import log
from services.runtime.following import Follower
from services.runtime.gc_tuning import freeze_heap
from services.runtime.health import Health, serve_health
from services.runtime.kafka import KafkaError, Producer, await_broker, is_fenced, read_to_end


def serve(settings: NotifySettings, topics: NotifyTopics, stop: threading.Event) -> None:
    """Stand by, lead, and stand by again when another instance has taken over, until `stop` is set. Raises whatever
    else ends it before."""
    health = Health()
    with ExitStack() as stack:
        stack.enter_context(serve_health(health, settings.host, settings.notify_health_port))
        if not await_broker(settings, health, stop):
            return
        metrics = Metrics(health.metrics)
        leadership = stack.enter_context(Leadership(settings, topics, health.loops))
        while leadership.wait(stop, health):
            try:
                _lead(settings, topics, InstanceContext(leadership, health, metrics), stop)
            except Exception as failure:
                # Whatever ends a term, it is over: say so before anything else, for nothing may come after.
                log.get(__name__).warning("leadership_lost", reason=_reason_of(failure))
                if not isinstance(failure, LeadershipLostError) and not (
                    isinstance(failure, KafkaError) and is_fenced(failure)
                ):
                    raise
        health.report("stopping")


def _reason_of(failure: Exception) -> str:
    """Texts of unexpected errors may quote names: only those of Kafka and of the leadership are shown."""
    if isinstance(failure, LeadershipLostError):
        return str(failure)
    return f"{type(failure).__name__}: {failure}" if isinstance(failure, KafkaError) else type(failure).__name__


@dataclass(frozen=True)
class InstanceContext:
    """What an instance keeps from one leadership term to the next."""

    leadership: Leadership
    health: Health
    metrics: Metrics


def _lead(settings: NotifySettings, topics: NotifyTopics, instance: InstanceContext, stop: threading.Event) -> None:
    loops = instance.health.loops
    instance.health.report("starting", "reads decisions and deliveries")
    with ExitStack() as stack:
        producer = Producer(settings, topics.identity)
        stack.callback(producer.close, 1)
        # 1. Fence the predecessor: it can write no more, and its open transaction has ended.
        with bounded(COMMIT_SECONDS, "fence"):
            producer.start_transactions()
        # Read the committed offsets only now: before, the last transaction of the predecessor may not count yet.
        reader = RoundReader(settings, topics)
        stack.callback(reader.close)
        # 2. Load all earlier decisions, deliveries and names before anything is decided or sent.
        metrics, name_book, requests = instance.metrics, NameBook(), DeliveryRequests()
        records = PeopleRecords(name_book, topics, metrics)
        delivery_requests, people_follower = Follower(requests.apply, loops), Follower(records.apply, loops)
        stack.enter_context(delivery_requests.following(settings, [topics.deliveries], since="now"))
        stack.enter_context(people_follower.following(settings, [topics.directory, topics.programs, topics.roster]))
        rules = RuleBook(settings.clock)
        restored = restore_state(settings, topics, rules, reader.numbers)
        shared = SharedAlerts(rules, restored.subjects, lowest_clock(restored.partition_alerts_by_number.values()))
        inputs = SubjectInputs(rules, shared, topics, metrics)
        for record in read_to_end(settings, inputs.topics, isolation_level="read_committed"):
            inputs.apply(record)
        for alerts in restored.partition_alerts_by_number.values():
            alerts.restore_silent(shared.silent())
        for number, committed in reader.committed_scores(topics.scores).items():
            restored.partition_alerts_by_number[number].applied = committed
        log.get(__name__).info("restored", partitions=len(reader.numbers), unfinished_deliveries=len(restored.open))
        metrics.unreadable.inc(restored.unreadable)
        # 3. Build the processors and run.
        ledger, hour_ago = Ledger(), now() - HOUR
        # Recent decisions and deliveries count for storms and rate limits.
        recent = [one for one in (*restored.open, *restored.finished) if one.changed_at > hour_ago]
        notices = [one for one in (*restored.open, *restored.finished) if is_notice(one)]
        addresses_off = AddressesOff(restored.shared.addresses.values())
        config = load_configured(settings)
        addressing = Addressing(config, name_book, addresses_off, Preferences(restored.shared.personal.values()))
        context = DecisionContext(settings.clock, now, addressing)
        escalation = EscalationPlanner((*restored.partition_alerts_by_number.values(), shared), rules, context)
        escalation.remember([*restored.open, *restored.finished])
        while restored.finished:
            # Only the ledger needs finished deliveries from here on: release their bodies.
            ledger.add(restored.finished.pop())
        # Look up addresses in the directory when a mail is sent, without those that are refused for good.
        directory = MailDirectory(
            lambda destination, tenant, person: name_book.address_of(
                tenant, person, partial(addresses_off.is_off, destination)
            ),
            addresses_off.is_off,
            settings.unsubscribe_links(),
        )
        environment = Environment(now, random.SystemRandom().random, directory, context.deliverable_from)
        dispatch = Dispatch(SenderPool(now, loops), Renderer(name_book, settings.notify_link), ledger, environment)
        dispatch.configure(config.destinations)
        score_processor = ScoreProcessor(restored.partition_alerts_by_number, shared, rules, context, metrics)
        score_processor.remember(recent)
        hold = Hold(restored.partition_alerts_by_number, shared, context, dispatch.has_delivery)
        hold.remember([one for one in recent if has_ended(one) or one.group is not None])
        notice_planner = NoticePlanner(addressing, addresses_off, settings.clock, now)
        notice_planner.remember(notices)
        flow = Flow(
            scores=topics.scores,
            reader=reader,
            inputs=inputs,
            leadership=instance.leadership,
            command_processor=CommandProcessor(
                restored.partition_alerts_by_number, shared, restored.shared.silences, context, metrics
            ),
            score_processor=score_processor,
            journal=Journal(producer, reader.main, topics),
            hold=hold,
            notice_planner=notice_planner,
            escalation=escalation,
            dispatch=dispatch,
            side_inputs=SideInputs(
                addressing, DestinationsFile(settings, metrics), requests, records, (delivery_requests, people_follower)
            ),
            report=Report(instance.health, metrics),
        )
        freeze_heap()
        with loops.loop("rounds"):
            flow.run(stop, restored.open)


def now() -> Instant:
    return datetime.now(UTC)
