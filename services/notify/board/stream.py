"""What changes while a page is looked at: one stream for each page, whose ids are positions on the log, so that whoever
comes back gets exactly what came meanwhile. Rows are patched where they stand, never moved."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from fastapi import FastAPI, Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException
from starlette.responses import Response

from schemas.events import partition_key
from services.notify.board import details
from services.notify.board.access import BoardPerson, session_of
from services.notify.board.changes import Positions, format_positions, parse_positions
from services.notify.board.history import HistoryAway
from services.notify.board.now import AlertQuery, matching_alerts
from services.notify.board.rendering import Board, PageRenderer
from services.notify.board.rows import AlertRow

VIEWS = ("now", "alert", "relationship", "frame")
MAX_STREAMS, MAX_STREAMS_OF_ONE = 400, 20
GATHER_SECONDS = 0.25
"""A batch of decisions is one patch."""
CHECK_SECONDS = 0.5
"""How long a stop, or the end of a session, may go unnoticed."""
QUIET_CHECKS = 60
"""After so many without a change the frame is sent all the same: how fresh the data is changes by itself."""
RETRY_MS = 2_000
MAX_PATCHED = 300
"""Rows in one patch: more change when a history is imported, and then the page is to be loaded anew."""


@dataclass(frozen=True)
class StreamView:
    """What the page shows: all alerts of a choice, one alert, those of a relationship or a programme, or the frame."""

    kind: str
    choice: AlertQuery
    where: Mapping[str, str]


def add_stream(app: FastAPI, board: Board, pages: PageRenderer) -> None:
    open_: dict[str, int] = {}

    @app.get("/stream")
    async def stream(request: Request) -> Response:
        session, query = session_of(request), request.query_params
        view = StreamView(query.get("view", ""), AlertQuery.of(query), {n: query[n][:128] for n in _FILTERS & {*query}})
        if view.kind not in VIEWS or not _is_there(board, session.person, view):
            raise HTTPException(404)
        if sum(open_.values()) >= MAX_STREAMS or open_.get(session.id, 0) >= MAX_STREAMS_OF_ONE:
            raise HTTPException(503, "too many pages are open", headers={"Retry-After": "30"})
        since = parse_positions(request.headers.get("last-event-id") or query.get("since", ""))
        patches = _counted(open_, session.id, _patches(board, pages, request, (view, since)))
        return EventSourceResponse(patches, ping=15, headers={"X-Accel-Buffering": "no"})


_FILTERS = frozenset({"key", "tenant", "relationship", "program"})


async def _counted(
    open_: dict[str, int], session: str, patches: AsyncIterator[ServerSentEvent]
) -> AsyncIterator[ServerSentEvent]:
    open_[session] = open_.get(session, 0) + 1
    try:
        async for patch in patches:
            yield patch
    finally:
        open_[session] -= 1
        if not open_[session]:
            del open_[session]


async def _patches(
    board: Board, pages: PageRenderer, request: Request, wanted: tuple[StreamView, Positions]
) -> AsyncIterator[ServerSentEvent]:
    view, since = wanted
    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        # An import writes thousands of records a second: one call is enough until it is heard.
        if not changed.is_set():
            loop.call_soon_threadsafe(changed.set)

    board.state.listen(wake)
    try:
        positions, found = board.state.positions(), board.state.changes(since)
        quiet = 0
        yield ServerSentEvent(
            _html(board, pages, request, (view, found.keys)),
            event="patch",
            id=format_positions(positions),
            retry=RETRY_MS,
        )
        # The session is read anew each time: a token that is revoked ends what it has opened.
        while not board.is_stopping() and board.gate.session(request.headers) is not None:
            try:
                await asyncio.wait_for(changed.wait(), CHECK_SECONDS)
            except TimeoutError:
                quiet += 1
                if quiet < QUIET_CHECKS:
                    continue
            else:
                await asyncio.sleep(GATHER_SECONDS)
            quiet = 0
            changed.clear()
            positions, found = board.state.positions(), board.state.changes_after(found.count)
            yield ServerSentEvent(
                _html(board, pages, request, (view, found.keys)),
                event="patch",
                id=format_positions(positions),
                retry=RETRY_MS,
            )
    finally:
        board.state.ignore(wake)


def _html(board: Board, pages: PageRenderer, request: Request, changed: tuple[StreamView, Sequence[str]]) -> str:
    view, keys = changed
    session = session_of(request)
    person = session.person
    given: dict[str, Any] = {"rows": [], "many": False, "page": None, "back": "/", "view": view.kind}
    if view.kind in {"now", "relationship"}:
        given["rows"] = list(islice(_rows(board, person, view, keys), MAX_PATCHED))
        given["many"] = len(given["rows"]) == MAX_PATCHED
    elif view.kind == "alert":
        reader = board.reader()
        known = reader.alert(view.where.get("key", ""), person)
        if known is not None and known.watch.subject.key in keys:
            page = details.alert_page(reader, known, person, HistoryAway(""))
            given |= {"page": page, "back": f"/alerts/{known.dedup_key}"}
    return pages.text("patch.html", **pages.frame(session), **given)


def _rows(board: Board, person: BoardPerson, view: StreamView, keys: Sequence[str]) -> Iterator[tuple[AlertRow, bool]]:
    """Each row that has changed, and whether the page would show it if it were loaded now."""
    reader = board.reader()
    for key in keys:
        watch = board.state.any_watch(key)
        if watch is None or not person.sees(watch.subject.tenant, watch.subject.program):
            continue
        subject = watch.subject
        here = {"tenant": subject.tenant, "relationship": subject.id, "program": subject.program}
        if any(view.where.get(name, value) != value for name, value in here.items()):
            continue  # no row of it may stand on the page
        known = board.state.alerts_about(key)
        if "relationship" in view.where:
            yield from ((reader.row(one, person), False) for one in known)
            continue
        # Whichever of them has the entry on the page, the others are told in it; only the first would have it now.
        fit = matching_alerts(reader, (one for one in known if one.is_open), person, view.choice)
        for one in known:
            entry = reader.entry([one, *(other for other in fit if other is not one)], person)
            yield entry, view.kind == "now" and one in fit[:1]


def _is_there(board: Board, person: BoardPerson, view: StreamView) -> bool:
    """What the person may not see is not there, on a stream as on a page."""
    where = view.where
    match view.kind:
        case "alert":
            return board.reader().alert(where.get("key", ""), person) is not None
        case "relationship" if "program" in where:
            return person.sees(where.get("tenant", ""), where["program"])
        case "relationship":
            watch = board.state.watch(partition_key(where.get("tenant", ""), where.get("relationship", "")))
            return watch is not None and person.sees(watch.subject.tenant, watch.subject.program)
        case "now":
            return not view.choice.program or person.programs is None or view.choice.program in person.programs
        case _:
            return True
