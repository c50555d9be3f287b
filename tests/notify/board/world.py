"""A board over the state of some pairs: the test writes the records and applies them without a broker."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import httpx
from prometheus_client import CollectorRegistry, Counter

from schemas.alert_commands import AlertSilence
from schemas.alerts import AlertChanged, AlertHandled, Delivery
from schemas.events import to_json
from schemas.primitives import to_micros
from schemas.scores import ScoreEvent
from schemas.tokens import BoardRole, BoardToken, hashed, secret_of
from services.notify.board.access import BoardGate, BoardSessions
from services.notify.board.acts import ActNotices, CommandSender, MeetingActs
from services.notify.board.history import StoredHistory
from services.notify.board.meetings import Gateway
from services.notify.board.rendering import Board
from services.notify.board.service import IDLE_SECONDS, LIMITS, create_app, open_producer
from services.notify.board.state import BoardState
from services.notify.domain import record
from services.notify.domain.decisions import subject_alert_changed
from services.notify.domain.destinations import DestinationsConfig
from services.notify.domain.handling import silence_key
from services.notify.domain.name_book import Erased, NameBook, PairRecord
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.preferences import AddressesOff
from services.notify.domain.record import CLOCK_KEY, ClockRecord, SubjectRecord, WatchRecord
from services.notify.domain.routing import Addressing, DecisionContext
from services.notify.domain.rule_book import RuleBook
from services.notify.domain.shared_alerts import SharedAlerts
from services.notify.domain.subjects import SubjectTransitioned
from services.notify.domain.unsubscribe import UnsubscribeLinks
from services.notify.flow.command_processor import CommandProcessor
from services.notify.flow.report import Metrics
from services.notify.topics import NotifyTopics
from services.runtime.following import Follower
from services.runtime.http.connection_guard import ConnectionGuard
from services.runtime.http.server import ServerEndpoint, listen, run_server
from services.runtime.kafka import Record
from services.runtime.settings import Settings
from tests.notify.building import Pair, clock, day, decide_transition, hour, new_alerts
from tests.notify.naming import participant, programme
from tests.plain_http import NO_TLS

LOW, QUIET = 38.0, 0.82
NOW = day(2)
RANDOM = "0" * 64
PATIENT_SECONDS = 60.0
LEAVING = UnsubscribeLinks.keyed("https://board.acme.example", "a key of the tests")
NO_GATEWAY = Gateway(None, {})
"""The timeout for an answer, on a machine that is busy with other tests."""
AWAY = "http://127.0.0.1:1"
"""Where no ClickHouse listens."""


@dataclass
class World:
    """`write` applies a record as a follower would; offsets grow by topic."""

    names: NotifyTopics = field(default_factory=NotifyTopics)
    people: NameBook = field(default_factory=NameBook)
    rules: RuleBook = field(default_factory=lambda: RuleBook("wall"))
    alerts: PartitionAlerts = field(default_factory=new_alerts)
    now: datetime = NOW
    offsets: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state = BoardState(self.names)
        self.lock = threading.Lock()
        self.people.upsert_programme(programme())
        self.people.upsert_programme(programme(id="maple", coordinator="p-5", deputy=None))
        for id_, name in (("p-3", "Ines Ortiz"), ("p-4", "Noor Haddad"), ("p-5", "Jo Park")):
            self.people.upsert(participant(id_, name))

    def write(self, topic: str, key: str | bytes, value: bytes | None) -> None:
        offset = self.offsets[topic] = self.offsets.get(topic, -1) + 1
        name = key.encode() if isinstance(key, str) else key
        self.state.apply(Record(topic, 0, offset, name, value, (), to_micros(self.now) // 1000))

    def name(self, pair: str, mentor: str, mentee: str) -> None:
        for side, name in (("m", mentor), ("t", mentee)):
            self.people.upsert(participant(f"{pair}-{side}", name))
        self.people.upsert_pair("acme", pair, PairRecord((f"{pair}-m",), (f"{pair}-t",)))

    def apply(self, *events: ScoreEvent) -> list[AlertChanged]:
        """Let notify decide, and write its state."""
        found = [
            decide_transition(self.alerts, transitioned, self.now).event
            for event in events
            for transitioned in self.alerts.apply(event)
        ]
        for one in found:
            self.write(self.names.alerts, one.partitionkey, to_json(one))
        self.settle()
        return found

    def settle(self) -> None:
        touched = self.alerts.drain_changes()
        for key, watch in touched.watches.items():
            self.write(self.names.alert_state, key, record.dump(WatchRecord(watch=watch)))
        if touched.clock is not None:
            self.write(self.names.alert_state, CLOCK_KEY, record.dump(ClockRecord(clock=touched.clock)))

    def low(self, *pairs: str, program: str = "spruce", tenant: str = "acme", **told: Any) -> None:  # noqa: ANN401
        """Health has been low for a day."""
        rows = [Pair(pair, tenant, program).changed(hour(0), health=LOW, **told) for pair in pairs]
        self.apply(*rows, clock(hour(24)))

    def write_subjects(self, found: Sequence[SubjectTransitioned]) -> None:
        """Write the states of programmes and sources."""
        for one in found:
            event = subject_alert_changed(one, self.now)
            self.write(self.names.alerts, event.partitionkey, to_json(event))
            self.write(self.names.subject_state, one.watch.subject.key, record.dump(SubjectRecord(watch=one.watch)))

    def deliver(self, delivery: Delivery) -> None:
        self.write(self.names.deliveries, delivery.delivery_id, delivery.model_dump_json().encode())

    def handled(self, event: AlertHandled) -> None:
        self.write(self.names.alerts, event.partitionkey, to_json(event))

    @contextmanager
    def leading(self, settings: Settings) -> Iterator[None]:
        """An instance of notify that applies commands and writes the results."""
        with self.lock:
            addressing = Addressing(DestinationsConfig(), NameBook(), AddressesOff())
            context = DecisionContext("wall", lambda: self.now, addressing)
            shared = SharedAlerts(RuleBook("wall"), {})
            commanding = CommandProcessor({0: self.alerts}, shared, {}, context, Metrics(CollectorRegistry()))

        def apply(asked: Record) -> None:
            with self.lock:
                handled = commanding.apply([asked])
                for event in handled.events:
                    self.handled(event)
                for key, shared in (*handled.silences.items(), *handled.settings.items()):
                    value = shared.model_dump_json().encode() if shared else None
                    self.write(self.names.shared_state, key, value)
                self.settle()

        with Follower(apply).following(settings, [self.names.commands], since="now"):
            yield

    def silence(self, silence: AlertSilence) -> None:
        key = silence_key(silence.tenant, silence.id)
        self.write(self.names.shared_state, key, silence.model_dump_json().encode())

    def erase(self, pair: str) -> None:
        self.state.forget([Erased("relationship", "acme", pair)])

    def token(self, person: str, role: BoardRole, *programs: str, **given: Any) -> str:  # noqa: ANN401
        """Create a token; returns its secret."""
        token_id = str(given.pop("token_id", f"t_{person.replace('-', '_')}"))
        secret = secret_of(BoardToken, token_id, RANDOM)
        told: dict[str, Any] = {
            "created": self.now,
            "expires": self.now + timedelta(days=30),
            "tenant": "acme",
            "programs": programs,
        }
        made = BoardToken(token_id=token_id, person=person, role=role, sha256=hashed(secret), **(told | given))
        self.write(self.names.board_tokens, token_id, made.model_dump_json().encode())
        return secret

    def key(self, pair: str, rule: str = "health_low") -> str:
        return next(one.dedup_key for one in self.state.alerts() if one.watch.subject.id == pair and one.rule == rule)

    @contextmanager
    def board(
        self,
        settings: Settings,
        *,
        is_open: bool = False,
        clickhouse: str = AWAY,
        now: Callable[[], datetime] | None = None,
        gateway: Gateway | None = None,
    ) -> Iterator[Board]:
        history = StoredHistory(settings.model_copy(update={"clickhouse": clickhouse}))
        moment = now or (lambda: self.now)
        acting = CommandSender(lambda: open_producer(settings), self.names, self.state, moment, PATIENT_SECONDS)
        sessions = BoardSessions.keyed("a key of the tests", self.state.tokens, moment)
        try:
            yield Board(
                state=self.state,
                people=self.people,
                rules=self.rules,
                history=history,
                command_sender=acting,
                unsubscribe_links=LEAVING,
                meetings=MeetingActs(gateway or NO_GATEWAY, moment),
                gate=BoardGate(sessions, is_open, is_https=False),
                now=moment,
                clock="log",
                notices=ActNotices(),
                is_stopping=lambda: False,
            )
        finally:
            history.close()
            acting.close()


@contextmanager
def served(board: Board) -> Iterator[str]:
    """Serve the board over real connections; yields its address."""
    ended = threading.Event()
    listener = listen("127.0.0.1", 0)
    guard = ConnectionGuard(LIMITS, Counter("cut", "", ("why",), registry=CollectorRegistry()))
    app = create_app(replace(board, is_stopping=ended.is_set))
    server = threading.Thread(target=run_server, args=(app, ServerEndpoint(listener, guard, IDLE_SECONDS), ended))
    server.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        server.join()


@contextmanager
def signed_in(url: str, secret: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=30, verify=NO_TLS) as client:
        answer = client.post("/login", data={"token": secret, "next": "/"})
        assert answer.status_code == 303, answer.text
        yield client


def hidden_fields(client: httpx.Client, path: str = "/") -> dict[str, str]:
    """Return the hidden fields of the forms of that page."""
    text = client.get(path).text
    found = {name: text.partition(f'name="{name}" value="')[2].partition('"')[0] for name in ("csrf", "form", "back")}
    assert found["csrf"], text
    return found
