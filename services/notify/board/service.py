"""The composition root of `rapport notify board`: a process of its own, beside whichever instance of notify leads."""

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Gauge

from services.notify.board.actions import Acting, ActNotices, MeetingActs
from services.notify.board.app import create_app
from services.notify.board.auth import BoardSessions
from services.notify.board.history import StoredHistory
from services.notify.board.meetings import Gateway
from services.notify.board.rendering import Board
from services.notify.board.requests import BoardGate
from services.notify.board.state import BoardState
from services.notify.domain.name_book import NameBook
from services.notify.domain.rule_book import RuleBook
from services.notify.domain.shared_alerts import SharedAlerts
from services.notify.domain.unsubscribing import LeavingLinks
from services.notify.flow.people import PeopleRecords
from services.notify.flow.report import Metrics
from services.notify.flow.subject_inputs import SubjectInputs
from services.notify.names import Names
from services.notify.service import now
from services.notify.settings import NotifySettings
from services.runtime import log
from services.runtime.following import Follower
from services.runtime.garbage import keep_what_is
from services.runtime.health import Health, served
from services.runtime.http.connection_guard import ConnectionGuard, ConnectionLimits
from services.runtime.http.server import Door, listen, run_server
from services.runtime.kafka import Producer, Record, await_broker
from services.runtime.settings import Settings

TOLD = timedelta(days=30)
"""How far back decisions are read: timelines and votes."""
LIMITS = ConnectionLimits(most=1_000, most_per_address=800, head_seconds=10.0, body_seconds=30.0)
"""Behind a proxy everybody comes from one address, each with a stream that stays."""
IDLE_SECONDS = 60
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class BoardParts:
    """What outlives a request, made before the first one."""

    state: BoardState
    people: NameBook
    rules: RuleBook
    acting: Acting
    history: StoredHistory


def serve_board(settings: NotifySettings, names: Names, stop: threading.Event) -> None:
    """Returns when `stop` is set. Raises KafkaError and OSError, and whatever ended the following of a topic: what
    pages show would grow old without a word."""
    health, ended = Health(), threading.Event()
    with ExitStack() as stack:
        stack.enter_context(served(health, settings.host, settings.notify_board_health_port))
        if not await_broker(settings, health, stop):
            return
        listener = listen(settings.host, settings.notify_board_port)
        stack.callback(listener.close)
        # 1. All that pages show is known before the first one is served.
        state, people, rules = BoardState(names), NameBook(), RuleBook(settings.clock)
        followers = _follow(stack, settings, names, (state, people, rules))
        keep_what_is()
        acting = Acting(lambda: writer(settings), names, state, now)
        stack.callback(acting.close)
        history = StoredHistory(settings)
        stack.callback(history.close)
        app = _app(settings, BoardParts(state, people, rules, acting, history), ended.is_set)
        # 2. Then it serves, and looks whether what it follows goes on.
        door = Door(listener, _guard(health), IDLE_SECONDS)
        server = threading.Thread(target=run_server, args=(app, door, ended), name="board")
        server.start()
        stack.callback(server.join)
        stack.callback(ended.set)
        log.get(__name__).info("board_serves", port=settings.notify_board_port, login=not settings.notify_board_open)
        while not stop.wait(LOOK_SECONDS):
            for follower in followers:
                follower.check()
            if not server.is_alive():
                raise RuntimeError("the server of the board has ended")
            open_ = sum(one.is_open for one in state.alerts())
            health.tell("ready", f"{open_} open alerts")
        health.tell("stopping")


def writer(settings: Settings) -> Producer:
    """Raises KafkaError within seconds where the broker is away: somebody waits for the answer."""
    return Producer(settings)


def _follow(
    stack: ExitStack, settings: NotifySettings, names: Names, known: tuple[BoardState, NameBook, RuleBook]
) -> list[Follower]:
    """People first: whoever is erased is erased before anything about them is shown."""
    state, people, rules = known
    metrics = Metrics(CollectorRegistry())
    records = PeopleRecords(people, names, metrics)
    inputs = SubjectInputs(rules, SharedAlerts(rules, {}), names, metrics)

    def apply_people(record: Record) -> None:
        records.apply(record)
        state.forget(records.erased())

    naming, ruling = Follower(apply_people), Follower(inputs.apply)
    written, told = Follower(state.apply), Follower(state.apply)
    stack.enter_context(naming.following(settings, [names.directory, names.programs, names.roster]))
    stack.enter_context(ruling.following(settings, [names.rules]))
    topics = [names.alert_state, names.subject_state, names.shared_state, names.deliveries, names.board_tokens]
    stack.enter_context(written.following(settings, topics))
    since = round((time.time() - TOLD.total_seconds()) * 1000)
    stack.enter_context(told.following(settings, [names.alerts], since))
    return [naming, ruling, written, told]


def _app(settings: NotifySettings, parts: BoardParts, is_stopping: Callable[[], bool]) -> FastAPI:
    sessions = BoardSessions.keyed(settings.notify_board_key.get_secret_value(), parts.state.tokens, now)
    return create_app(
        Board(
            state=parts.state,
            people=parts.people,
            rules=parts.rules,
            history=parts.history,
            acting=parts.acting,
            leaving=LeavingLinks.keyed(settings.notify_board_url or "", _key_of_mails(settings)),
            meetings=MeetingActs(Gateway(settings.notify_board_gateway, settings.gateway_tokens()), now),
            gate=BoardGate(sessions, settings.notify_board_open, settings.notify_board_https),
            now=now,
            clock=settings.clock,
            notices=ActNotices(),
            is_stopping=is_stopping,
        )
    )


def _key_of_mails(settings: NotifySettings) -> str:
    """Without a key that other processes have, too, no link of a mail is ours."""
    return settings.notify_board_key.get_secret_value() or secrets.token_hex(16)


def _guard(health: Health) -> ConnectionGuard:
    cut = Counter(
        "rapport_notify_board_connections_cut", "Connections that were ended", ("why",), registry=health.metrics
    )
    guard = ConnectionGuard(LIMITS, cut)
    Gauge("rapport_notify_board_connections", "Open connections", registry=health.metrics).set_function(
        lambda: guard.number
    )
    return guard
