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
from services.notify.domain.held import HOUR
from services.notify.domain.hold import Hold
from services.notify.domain.ledger import Ledger
from services.notify.domain.name_book import NameBook
from services.notify.domain.notices import is_notice
from services.notify.domain.preferences import AddressesOff, Preferences
from services.notify.domain.routing import Addressing, DecisionContext
from services.notify.domain.rule_book import RuleBook
from services.notify.domain.shared_alerts import SharedAlerts, lowest_clock
from services.notify.flow.asking import Asking
from services.notify.flow.commanding import Commanding, DeliveryRequests
from services.notify.flow.deciding import Deciding
from services.notify.flow.destinations import DestinationsFile, configured
from services.notify.flow.dispatch import Dispatch, Environment
from services.notify.flow.inputs import PeopleRecords, SubjectInputs
from services.notify.flow.journal import COMMIT_SECONDS, Journal, bounded
from services.notify.flow.leadership import Leadership, LeadershipLostError
from services.notify.flow.noticing import Noticing
from services.notify.flow.report import Metrics, Report
from services.notify.flow.restore import restored
from services.notify.flow.rounds import Beside, Flow, RoundReader
from services.notify.flow.senders import SenderPool
from services.notify.names import Names
from services.notify.rendering.renderer import Renderer
from services.notify.settings import NotifySettings
from services.runtime import log
from services.runtime.following import Follower
from services.runtime.gc_tuning import freeze_heap
from services.runtime.health import Health, serve_health
from services.runtime.kafka import KafkaError, Producer, await_broker, is_fenced, read_to_end


def serve(settings: NotifySettings, names: Names, stop: threading.Event) -> None:
    """Stands by, leads, and stands by again when another instance has taken over, until `stop` is set; raises whatever
    else ends it before."""
    health = Health()
    with ExitStack() as stack:
        stack.enter_context(serve_health(health, settings.host, settings.notify_health_port))
        if not await_broker(settings, health, stop):
            return
        metrics = Metrics(health.metrics)
        leadership = stack.enter_context(Leadership(settings, names))
        while leadership.wait(stop, health):
            try:
                _lead(settings, names, Office(leadership, health, metrics), stop)
            except LeadershipLostError as lost:
                log.get(__name__).warning("leadership_lost", reason=str(lost))
            except KafkaError as failure:
                if not is_fenced(failure):
                    raise
                log.get(__name__).warning("leadership_lost", reason=f"{type(failure).__name__}: {failure}")
        health.report("stopping")


@dataclass(frozen=True)
class Office:
    """What an instance keeps from one term to the next."""

    leadership: Leadership
    health: Health
    metrics: Metrics


def _lead(settings: NotifySettings, names: Names, office: Office, stop: threading.Event) -> None:
    with ExitStack() as stack:
        producer = Producer(settings, names.identity)
        stack.callback(producer.close, 1)
        # 1. A predecessor that does not know yet can write no more, and what it had begun has come to an end.
        with bounded(COMMIT_SECONDS, "fence"):
            producer.start_transactions()
        # Where it goes on is asked for now: before, the last transaction of the predecessor may not count yet.
        reader = RoundReader(settings, names)
        stack.callback(reader.close)
        # 2. All that was decided and sent, and who is called what, is known before anything is decided or sent.
        metrics, people, requests = office.metrics, NameBook(), DeliveryRequests()
        records = PeopleRecords(people, names, metrics)
        asking, naming = Follower(requests.apply), Follower(records.apply)
        stack.enter_context(asking.following(settings, [names.deliveries], since="now"))
        stack.enter_context(naming.following(settings, [names.directory, names.programs, names.roster]))
        rules = RuleBook(settings.clock)
        known = restored(settings, names, rules, reader.numbers)
        shared = SharedAlerts(rules, known.subjects, lowest_clock(known.partition_alerts_by_number.values()))
        inputs = SubjectInputs(rules, shared, names, metrics)
        for record in read_to_end(settings, inputs.topics, isolation_level="read_committed"):
            inputs.apply(record)
        for alerts in known.partition_alerts_by_number.values():
            alerts.silence(shared.silent())
        log.get(__name__).info("restored", partitions=len(reader.numbers), unfinished_deliveries=len(known.open))
        metrics.unreadable.inc(known.unreadable)
        # 3. Then it works.
        ledger, began = Ledger(), now() - HOUR
        # What was decided or sent of late counts for storms and for how much people get.
        recent = [one for one in (*known.open, *known.finished) if one.changed_at > began]
        told = [one for one in (*known.open, *known.finished) if is_notice(one)]
        off = AddressesOff(known.shared.addresses.values())
        config = configured(settings)
        addressing = Addressing(config, people, off, Preferences(known.shared.personal.values()))
        context = DecisionContext(settings.clock, now, addressing)
        by_name = Asking((*known.partition_alerts_by_number.values(), shared), rules, context)
        by_name.remember([*known.open, *known.finished])
        while known.finished:
            # Whole messages: what the ledger knows of them is enough from here on.
            ledger.add(known.finished.pop())
        # Addresses as the directory has them when a mail is sent, without those that are refused for good.
        directory = MailDirectory(
            lambda destination, tenant, person: people.address_of(tenant, person, partial(off.is_off, destination)),
            off.is_off,
            settings.leaving(),
        )
        environment = Environment(now, random.SystemRandom().random, directory, context.opens)
        dispatch = Dispatch(SenderPool(now), Renderer(people, settings.notify_link), ledger, environment)
        dispatch.configure(config.destinations)
        deciding = Deciding(known.partition_alerts_by_number, shared, rules, context, metrics)
        deciding.remember(recent)
        hold = Hold(known.partition_alerts_by_number, shared, context, dispatch.knows)
        hold.remember([one for one in recent if has_ended(one) or one.group is not None])
        noticing = Noticing(addressing, off, settings.clock, now)
        noticing.remember(told)
        flow = Flow(
            scores=names.scores,
            reader=reader,
            inputs=inputs,
            leadership=office.leadership,
            commanding=Commanding(known.partition_alerts_by_number, shared, known.shared.silences, context, metrics),
            deciding=deciding,
            journal=Journal(producer, reader.rest, names),
            hold=hold,
            noticing=noticing,
            asking=by_name,
            dispatch=dispatch,
            beside=Beside(addressing, DestinationsFile(settings, metrics), requests, records, (asking, naming)),
            report=Report(office.health, metrics),
        )
        freeze_heap()
        flow.run(stop, known.open)


def now() -> Instant:
    return datetime.now(UTC)
