"""What all pages of the board share, and the rendering of templates."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, partial
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from schemas.primitives import Instant
from services.notify.board import deliveries, details, operations
from services.notify.board.access import BoardGate, BoardPerson, BoardSession, require_session, safe_path
from services.notify.board.acts import ActNotices, CommandSender, MeetingActs
from services.notify.board.history import StoredHistory
from services.notify.board.meetings import meeting_days
from services.notify.board.now import SORTS
from services.notify.board.rows import CLASS_WORDS, AlertReader
from services.notify.board.state import BoardState
from services.notify.domain.alert_episode import CurrentAlerts
from services.notify.domain.guards import Clock
from services.notify.domain.name_book import NameBook
from services.notify.domain.rule_book import RuleBook
from services.notify.domain.unsubscribe import UnsubscribeLinks

PAGES = (
    ("Now", "/"),
    ("Programmes", "/programmes"),
    ("Silences", "/silences"),
    ("Deliveries", "/deliveries"),
    ("Rules", "/rules"),
    ("Status", "/status"),
)
LIGHT_LASTS = timedelta(seconds=2)
"""It scans all deliveries of 30 days."""
MAX_LIGHTS = 200


@dataclass(frozen=True)
class Board:
    """Everything that pages use. `now` is wall time, `clock` the clock of the scores."""

    state: BoardState
    people: NameBook
    rules: RuleBook
    history: StoredHistory
    command_sender: CommandSender
    meetings: MeetingActs
    unsubscribe_links: UnsubscribeLinks
    gate: BoardGate
    now: Callable[[], Instant]
    clock: Clock
    notices: ActNotices
    is_stopping: Callable[[], bool]
    current_alerts: CurrentAlerts = field(default_factory=CurrentAlerts)

    def reader(self) -> AlertReader:
        return AlertReader(self.state, self.people, self.rules, self.now(), self.current_alerts)


@cache
def environment() -> Environment:
    """Return the template environment. Names and notes are escaped; an undefined variable is an error."""
    environment_ = Environment(
        loader=PackageLoader("services.notify.board", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Templates come with the package and never change while it runs.
        auto_reload=False,
    )
    environment_.globals |= {
        "pages": PAGES,
        "sorts": SORTS,
        "class_words": CLASS_WORDS,
        "closing": details.CLOSING_WORDS,
        "form_id": lambda: secrets.token_hex(16),
    }
    return environment_


class PageRenderer:
    """Renders templates with the context of every page."""

    def __init__(self, board: Board) -> None:
        self._board, self._environment = board, environment()
        self._lights: dict[BoardPerson, tuple[Instant, deliveries.DeliveryLight]] = {}

    def page(self, template: str, request: Request, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401
        """Render a page for somebody who is signed in."""
        session, reader = require_session(request), self._board.reader()
        # The address of the page, without its notice.
        query = urlencode([pair for pair in request.query_params.multi_items() if pair[0] != "notice"])
        address = f"{request.url.path}?{query}" if query else request.url.path
        back = safe_path(str(values.pop("back", None) or address))
        notice = self._board.notices.find(request.query_params.get("notice", "")[:64], session.person)
        left = (notice.undo_until - self._board.now()).total_seconds() if notice and notice.undo_until else 0.0
        about = {result.about for result in notice.results} if notice else set[str]()
        names = {
            one.dedup_key: reader.who(one, reader.naming(one))
            for one in (reader.visible(session.person) if about else ())
            if one.dedup_key in about
        }
        page_context = {"notice": notice, "names": names, "undo_left": max(0, round(left)), "back": back, "stream": ""}
        context = self.frame(session) | page_context | values
        return HTMLResponse(self._environment.get_template(template).render(context), status)

    def bare(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401
        """Render a page for somebody who is not signed in."""
        context = {"person": None, "urgent": 0, "active": "", "open_mode": False, "stream": "", "notice": None} | values
        return HTMLResponse(self._environment.get_template(template).render(context), status)

    def frame(self, session: BoardSession) -> dict[str, Any]:
        board, reader, person = self._board, self._board.reader(), session.person
        open_ = [one for one in reader.visible(person) if one.is_open]
        return {
            "person": person,
            "whoami": reader.person(person.tenant or "", person.id),
            "csrf": board.gate.sessions.csrf_token(session),
            "open_mode": board.gate.is_open,
            "fresh": operations.freshness(reader, board.clock),
            "sending": self._light(reader, person),
            "urgent": sum(one.state.urgency == "P1" for one in open_),
            "open": len(open_),
            "active": "",
            "away": board.history.reason,
            "can_report_meetings": board.meetings.gateway.has_token_for,
            "meeting_days": partial(meeting_days, now=reader.now),
        }

    def text(self, template: str, **context: Any) -> str:  # noqa: ANN401
        return self._environment.get_template(template).render(context)

    def _light(self, reader: AlertReader, person: BoardPerson) -> deliveries.DeliveryLight:
        cached = self._lights.get(person)
        if cached is None or reader.now - cached[0] > LIGHT_LASTS:
            if len(self._lights) >= MAX_LIGHTS:
                self._lights.clear()
            cached = self._lights[person] = reader.now, deliveries.delivery_light(reader, person)
        return cached[1]
