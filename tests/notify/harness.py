"""Notify without a broker and receivers, on its own clock: records are kept in a dictionary, and messages arrive at
once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from prometheus_client import CollectorRegistry

from schemas.alert_commands import AlertSilence
from schemas.alerts import Alert, Delivery
from schemas.events import to_json
from schemas.rules import Rule
from schemas.scores import ScoreEvent
from services.notify.domain.deliveries import AttemptResult, DeliveryAccepted, apply_result, has_ended, start_attempt
from services.notify.domain.destinations import DestinationConfig, DestinationsConfig, SmtpOptions
from services.notify.domain.evaluation import Evaluator
from services.notify.domain.grouping import Released
from services.notify.domain.hold import Hold
from services.notify.domain.name_book import Erased, NameBook
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.pipeline import Decision
from services.notify.domain.preferences import AddressesOff, Preferences
from services.notify.domain.record import SubjectRecord, WatchRecord, dump, load, load_subject
from services.notify.domain.routing import Addressing, DecisionContext
from services.notify.domain.rule_book import RuleBook
from services.notify.domain.shared_alerts import SharedAlerts
from services.notify.domain.subjects import SubjectWatch
from services.notify.domain.watch import Watch
from services.notify.domain.working_hours import ReceivingHours
from services.notify.flow.report import Metrics
from services.notify.flow.score_processor import ScoreProcessor
from services.runtime.kafka import Partition, Record
from tests.notify.building import WITHOUT_FALLS, clock

SCORES = Partition("scores", 0)
HOURS = ReceivingHours()


def mailing(name: str = "team", **fields: Any) -> DestinationConfig:  # noqa: ANN401
    return DestinationConfig(name, "slack", None, hours=HOURS, **fields)


def machine(name: str = "hook", **fields: Any) -> DestinationConfig:  # noqa: ANN401
    return DestinationConfig(name, "webhook", None, **fields)


def mailed(name: str = "owners", **fields: Any) -> DestinationConfig:  # noqa: ANN401
    options = SmtpOptions("mail", 25, "none", None, None, "r@acme.example", (), 1)
    return DestinationConfig(name, "smtp", options, hours=HOURS, **fields)


@dataclass
class NotifyHarness:
    """`sent`: every message with the instant of sending; `written`: the last record of each delivery."""

    config: DestinationsConfig
    now: datetime
    mode: Literal["wall", "log"] = "wall"
    people: NameBook = field(default_factory=NameBook)
    preferences: Preferences = field(default_factory=Preferences)
    silences: list[AlertSilence] = field(default_factory=list)
    rules: tuple[Rule, ...] = WITHOUT_FALLS
    sent: list[tuple[datetime, Delivery]] = field(default_factory=list)
    written: dict[str, Delivery] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._offset = 0
        # As they would be stored; `restart` serialises and restores them.
        self._watches: dict[str, Watch] = {}
        self._subjects: dict[str, SubjectWatch] = {}
        self._clock: datetime | None = None
        self._begin(PartitionAlerts(Evaluator(self.rules, self.mode), {}, None))

    def _begin(self, partition: PartitionAlerts) -> None:
        self.partition = partition
        addressing = Addressing(self.config, self.people, AddressesOff(), self.preferences)
        context = DecisionContext(self.mode, lambda: self.now, addressing)
        rules = RuleBook(self.mode)
        restored = {key: load_subject(dump(SubjectRecord(watch=one))).watch for key, one in self._subjects.items()}
        self.shared = SharedAlerts(rules, restored, self._clock)
        self.score_processor = ScoreProcessor({0: partition}, self.shared, rules, context, Metrics(CollectorRegistry()))
        self.hold = Hold({0: partition}, self.shared, context, self._is_known)

    def restart(self) -> None:
        """Restart with the stored state, as another instance would."""
        watches = {key: load(self.state(key)).watch for key in self._watches}  # type: ignore[union-attr]
        self._begin(PartitionAlerts(Evaluator(self.rules, self.mode), watches, self._clock))
        deliveries = list(self.written.values())
        self.score_processor.remember(deliveries)
        self.hold.remember([one for one in deliveries if has_ended(one)])
        assert self.hold.restore_held([one for one in deliveries if not has_ended(one)]) == []

    def apply(self, *events: ScoreEvent) -> list[Decision]:
        """Run a round with these events."""
        return self.read(*map(to_json, events))

    def read(self, *values: bytes) -> list[Decision]:
        """Run a round with events as they lie on the topic."""
        records = [self._record(value) for value in values]
        decisions = self.score_processor.decide({SCORES: records} if records else {}, tuple(self.silences))
        decisions += self.score_processor.settle(tuple(self.silences))
        self._finish(decisions)
        return decisions

    def at(self, moment: datetime, *events: ScoreEvent) -> list[Decision]:
        """Advance the time, for scores and for people; then apply these events."""
        self.now = moment
        return self.apply(clock(moment), *events)

    def until(self, moment: datetime, step: timedelta = timedelta(minutes=1)) -> None:
        while self.now < moment:
            self.at(min(self.now + step, moment))

    def erase(self, kind: str, subject: str) -> list[Decision]:
        erased = [Erased(kind, "acme", subject)]
        for delivery_id in self.hold.forget(erased):
            self.written.pop(delivery_id)
        decisions = self.score_processor.erase(f"acme/{subject}") if kind == "relationship" else []
        self.score_processor.forget_people([("acme", subject)] if kind == "person" else [])
        self._finish(decisions)
        return decisions

    def leave(self, person: str) -> None:
        """Hand over the alerts of a person who has left."""
        self._finish(self.score_processor.hand_over([("acme", person)], tuple(self.silences)))

    def unmute(self, silence: AlertSilence) -> None:
        """End the silence."""
        self._finish(self.score_processor.unmute([silence], tuple(self.silences)))

    def state(self, key: str) -> bytes:
        """Return the stored state; empty where there is none."""
        return dump(WatchRecord(watch=self._watches[key])) if key in self._watches else b""

    def messages(self, recipient: str = "team") -> list[Delivery]:
        """Return the messages about relationships."""
        return [
            delivery
            for _, delivery in self.sent
            if delivery.recipient == recipient and delivery.alert.subject_kind == "relationship"
        ]

    def _is_known(self, delivery: Delivery) -> bool:
        found = self.written.get(delivery.delivery_id)
        return found is not None and found.state != "held"

    def _finish(self, decisions: Sequence[Decision]) -> None:
        self.alerts += [decision.event.data for decision in decisions]
        planned = [delivery for decision in decisions for delivery in decision.deliveries]
        released = self.hold.release(planned, self.silences)
        self._write(released)
        changes = self.partition.drain_changes()
        self._watches |= changes.watches
        self._subjects |= self.score_processor.drain_subject_changes()
        for key in changes.gone:
            self._watches.pop(key, None)
        self._clock = changes.clock or self._clock
        for message in released.messages:
            self.sent.append((self.now, message))
            arrived = AttemptResult(DeliveryAccepted("taken"), self.now, 0.0)
            self.written[message.delivery_id] = apply_result(start_attempt(message, self.now), arrived, 0.0)

    def _write(self, released: Released) -> None:
        for delivery in released.written:
            self.written[delivery.delivery_id] = delivery
        for delivery_id in released.gone:
            self.written.pop(delivery_id, None)

    def _record(self, value: bytes) -> Record:
        self._offset += 1
        return Record(SCORES.topic, 0, self._offset, None, value, (), 0)


def lines(message: Delivery) -> int:
    """Return how many alerts a message holds."""
    return 1 + len(message.items) + message.more


def one(office_of: DestinationConfig, *others: DestinationConfig, now: datetime, **fields: Any) -> NotifyHarness:  # noqa: ANN401
    return NotifyHarness(DestinationsConfig((office_of, *others)), now, **fields)
