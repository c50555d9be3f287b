"""The web application of the board (routes, static files, error pages) and its composition root: `rapport notify board`
is a process of its own, beside the leading instance of notify."""

import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from importlib.resources import files

from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry, Counter, Gauge
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.notify.board.access import BoardGate, BoardSessions, Gatekeeper
from services.notify.board.acts import ActNotices, CommandSender, MeetingActs
from services.notify.board.forms import add_forms
from services.notify.board.history import StoredHistory
from services.notify.board.meetings import Gateway
from services.notify.board.pages import add_pages
from services.notify.board.personal import add_settings, add_unsubscribe
from services.notify.board.rendering import Board, PageRenderer
from services.notify.board.state import BoardState
from services.notify.board.stream import add_stream
from services.notify.domain.name_book import NameBook
from services.notify.domain.rule_book import RuleBook
from services.notify.domain.shared_alerts import SharedAlerts
from services.notify.domain.unsubscribe import UnsubscribeLinks
from services.notify.flow.inputs import PeopleRecords, SubjectInputs
from services.notify.flow.report import Metrics
from services.notify.service import now
from services.notify.settings import NotifySettings
from services.notify.topics import NotifyTopics
from services.runtime import log
from services.runtime.following import Follower
from services.runtime.gc_tuning import freeze_heap
from services.runtime.health import Health, serve_health
from services.runtime.http.connection_guard import ConnectionGuard, ConnectionLimits
from services.runtime.http.server import ServerEndpoint, listen, run_server
from services.runtime.kafka import Producer, Record, await_broker
from services.runtime.progress import LoopWatch
from services.runtime.settings import Settings

STATIC: Mapping[str, str] = {
    "board.css": "text/css",
    "board.js": "text/javascript",
    "htmx.min.js": "text/javascript",
    "htmx-sse.min.js": "text/javascript",
}
STATIC_LASTS = "private, max-age=300"
HEADLINES: Mapping[int, str] = {
    400: "This cannot be read",
    401: "Sign in first",
    403: "This is not allowed",
    404: "There is nothing here",
    405: "This is not served here",
    413: "That is too much",
    415: "This cannot be read",
    503: "Not right now",
}
WORDS: Mapping[int, str] = {
    404: "There is no such page, or it is about what you have no access to.",
    405: "Go back and use what the page offers.",
}
MAX_URGENT = 99
_FOLDER = files("services.notify.board") / "static"


def create_app(board: Board) -> FastAPI:
    app = FastAPI(title="Rapport board", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    pages = PageRenderer(board)
    add_pages(app, board, pages)
    add_forms(app, board, pages)
    add_settings(app, board, pages)
    add_unsubscribe(app, board, pages)
    add_stream(app, board, pages)
    _add_files(app)

    async def error_page(request: Request, error: Exception) -> Response:
        """Render an HTTP error as a page: the framework's own texts do not say what to do."""
        assert isinstance(error, HTTPException)
        status = error.status_code
        headline = HEADLINES.get(status, "This did not work")
        detail = error.detail if error.detail and not error.detail[0].isupper() else ""
        words = (detail[:1].upper() + detail[1:] + ".") if detail else WORDS.get(status, "Go back and try again.")
        session = getattr(request.state, "session", None)
        context = {"headline": headline, "words": words}
        response = (
            pages.page("error.html", request, status, **context)
            if session is not None
            else pages.bare("error.html", status, **context)
        )
        response.headers.update(error.headers or {})
        return response

    app.add_exception_handler(HTTPException, error_page)
    app.add_middleware(Gatekeeper, gate=board.gate)
    app.add_middleware(HeadAsGet)
    return app


class HeadAsGet:
    """HEAD is a GET of which the server leaves the body out: link checkers and monitors ask so. The stream, which never
    ends, is not among what they get."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_head = scope["type"] == "http" and scope["method"] == "HEAD" and scope["path"] != "/stream"
        await self._app({**scope, "method": "GET"} if is_head else scope, receive, send)


def _add_files(app: FastAPI) -> None:
    contents = {name: (_FOLDER / name).read_bytes() for name in STATIC}

    @app.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in contents:
            raise HTTPException(404)
        return Response(contents[name], media_type=STATIC[name], headers={"cache-control": STATIC_LASTS})

    @app.get("/favicon.svg")
    async def favicon(request: Request) -> Response:
        requested = request.query_params.get("urgent", "0")
        urgent = min(int(requested[:3]), MAX_URGENT) if requested.isascii() and requested.isdecimal() else 0
        return Response(_favicon(urgent), media_type="image/svg+xml", headers={"cache-control": STATIC_LASTS})

    @app.get("/healthz")
    async def healthz() -> Response:
        return PlainTextResponse("alive\n")


def _favicon(urgent: int) -> str:
    """Return the icon: the number of urgent alerts on red, else a calm mark."""
    text = (
        f'<circle cx="16" cy="16" r="15" fill="#b3261e"/><text x="16" y="22" text-anchor="middle" fill="#fff" '
        f'font-family="sans-serif" font-weight="700" font-size="{16 if urgent < 10 else 13}">{urgent}</text>'  # noqa: PLR2004 (two digits)
        if urgent
        else '<circle cx="16" cy="16" r="15" fill="#1f6f5c"/><path d="M9 17l5 5 9-11" fill="none" stroke="#fff" '
        'stroke-width="3.5" stroke-linecap="round" stroke-linejoin="round"/>'
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{text}</svg>'


EVENT_HISTORY = timedelta(days=30)
"""How far back decisions are read, for timelines and votes."""
LIMITS = ConnectionLimits(most=1_000, most_per_address=800, head_seconds=10.0, body_seconds=30.0)
"""Behind a proxy everybody comes from one address, each with an open stream."""
IDLE_SECONDS = 60
CHECK_SECONDS = 0.5


def serve_board(settings: NotifySettings, topics: NotifyTopics, stop: threading.Event) -> None:
    """Serve until `stop` is set. Raises KafkaError and OSError, and the failure of a follower: pages would otherwise
    grow stale silently."""
    health, stopping = Health(), threading.Event()
    with ExitStack() as stack:
        stack.enter_context(serve_health(health, settings.host, settings.notify_board_health_port))
        if not await_broker(settings, health, stop):
            return
        listener = listen(settings.host, settings.notify_board_port)
        stack.callback(listener.close)
        # 1. Load everything that pages show before the first one is served.
        state, people, rules = BoardState(topics), NameBook(), RuleBook(settings.clock)
        followers = _start_followers(stack, settings, topics, (state, people, rules), health.loops)
        freeze_heap()
        command_sender = CommandSender(lambda: open_producer(settings), topics, state, now)
        stack.callback(command_sender.close)
        history = StoredHistory(settings)
        stack.callback(history.close)
        key = settings.notify_board_key.get_secret_value()
        board = Board(
            state=state,
            people=people,
            rules=rules,
            history=history,
            command_sender=command_sender,
            # Without a shared key no link of a mail verifies.
            unsubscribe_links=UnsubscribeLinks.keyed(settings.notify_board_url or "", key or secrets.token_hex(16)),
            meetings=MeetingActs(Gateway(settings.notify_board_gateway, settings.gateway_tokens()), now),
            gate=BoardGate(
                BoardSessions.keyed(key, state.tokens, now), settings.notify_board_open, settings.notify_board_https
            ),
            now=now,
            clock=settings.clock,
            notices=ActNotices(),
            is_stopping=stopping.is_set,
        )
        # 2. Serve, and check that the followers are alive.
        connections_cut = Counter(
            "rapport_notify_board_connections_cut", "Connections that were ended", ("why",), registry=health.metrics
        )
        guard = ConnectionGuard(LIMITS, connections_cut)
        open_connections = Gauge("rapport_notify_board_connections", "Open connections", registry=health.metrics)
        open_connections.set_function(lambda: guard.number)
        door = ServerEndpoint(listener, guard, IDLE_SECONDS, loops=health.loops)
        server = threading.Thread(target=run_server, args=(create_app(board), door, stopping), name="board")
        server.start()
        stack.callback(server.join)
        stack.callback(stopping.set)
        log.get(__name__).info("board_serves", port=settings.notify_board_port, login=not settings.notify_board_open)
        while not stop.wait(CHECK_SECONDS):
            for follower in followers:
                follower.check()
            if not server.is_alive():
                raise RuntimeError("the server of the board has ended")
            open_ = sum(one.is_open for one in state.alerts())
            health.report("ready", f"{open_} open alerts")
        health.report("stopping")


def open_producer(settings: Settings) -> Producer:
    """Open a producer. Raises KafkaError within seconds where the broker is down: somebody waits for the answer."""
    return Producer(settings)


def _start_followers(
    stack: ExitStack,
    settings: NotifySettings,
    topics: NotifyTopics,
    projections: tuple[BoardState, NameBook, RuleBook],
    loops: LoopWatch,
) -> list[Follower]:
    """Start the followers, people first: erased people are erased before anything about them is shown."""
    state, people, rules = projections
    metrics = Metrics(CollectorRegistry())
    records = PeopleRecords(people, topics, metrics)
    inputs = SubjectInputs(rules, SharedAlerts(rules, {}), topics, metrics)

    def apply_people(record: Record) -> None:
        records.apply(record)
        state.forget(records.drain_erased())

    people_follower, rules_follower = Follower(apply_people, loops), Follower(inputs.apply, loops)
    state_follower, events_follower = Follower(state.apply, loops), Follower(state.apply, loops)
    stack.enter_context(people_follower.following(settings, [topics.directory, topics.programs, topics.roster]))
    stack.enter_context(rules_follower.following(settings, [topics.rules]))
    state_topics = [
        topics.alert_state,
        topics.subject_state,
        topics.shared_state,
        topics.deliveries,
        topics.board_tokens,
    ]
    stack.enter_context(state_follower.following(settings, state_topics))
    since = round((time.time() - EVENT_HISTORY.total_seconds()) * 1000)
    stack.enter_context(events_follower.following(settings, [topics.alerts], since))
    return [people_follower, rules_follower, state_follower, events_follower]
