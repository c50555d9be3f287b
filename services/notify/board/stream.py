"""Server-sent events: one stream for each page, whose event ids are positions on the log, so that a reconnect resumes
exactly. Rows are patched in place, never moved."""

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
from services.notify.board.access import BoardPerson, require_session
from services.notify.board.changes import Positions, format_positions, parse_positions
from services.notify.board.history import HistoryUnavailable
from services.notify.board.now import AlertQuery, matching_alerts
from services.notify.board.rendering import Board, PageRenderer
from services.notify.board.rows import AlertRow

VIEWS = ("now", "alert", "relationship", "frame")
MAX_STREAMS, MAX_STREAMS_OF_ONE = 400, 20
GATHER_SECONDS = 0.25
"""A batch of decisions becomes one patch."""
CHECK_SECONDS = 0.5
"""How long a stop, or the end of a session, may go unnoticed."""
QUIET_CHECKS = 60
"""After so many checks without a change the frame is sent anyway: the age of the data changes by itself."""
RETRY_MS = 2_000
MAX_PATCHED = 300
"""Rows in one patch: more change during an import of history, and then the page is reloaded."""


@dataclass(frozen=True)
class StreamView:
    """What the page shows: the alerts of a query, one alert, those of a relationship or a programme, or the frame
    only."""

    kind: str
    query: AlertQuery
    filters: Mapping[str, str]


def add_stream(app: FastAPI, board: Board, pages: PageRenderer) -> None:
    open_streams: dict[str, int] = {}

    @app.get("/stream")
    async def stream(request: Request) -> Response:
        session, query = require_session(request), request.query_params
        view = StreamView(query.get("view", ""), AlertQuery.of(query), {n: query[n][:128] for n in _FILTERS & {*query}})
        if view.kind not in VIEWS or not _is_visible(board, session.person, view):
            raise HTTPException(404)
        if sum(open_streams.values()) >= MAX_STREAMS or open_streams.get(session.id, 0) >= MAX_STREAMS_OF_ONE:
            raise HTTPException(503, "too many pages are open", headers={"Retry-After": "30"})
        since = parse_positions(request.headers.get("last-event-id") or query.get("since", ""))
        patches = _count_stream(open_streams, session.id, _stream_patches(board, pages, request, (view, since)))
        return EventSourceResponse(patches, ping=15, headers={"X-Accel-Buffering": "no"})


_FILTERS = frozenset({"key", "tenant", "relationship", "program"})


async def _count_stream(
    open_streams: dict[str, int], session: str, patches: AsyncIterator[ServerSentEvent]
) -> AsyncIterator[ServerSentEvent]:
    open_streams[session] = open_streams.get(session, 0) + 1
    try:
        async for patch in patches:
            yield patch
    finally:
        open_streams[session] -= 1
        if not open_streams[session]:
            del open_streams[session]


async def _stream_patches(
    board: Board, pages: PageRenderer, request: Request, subscription: tuple[StreamView, Positions]
) -> AsyncIterator[ServerSentEvent]:
    view, since = subscription
    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        # An import writes thousands of records a second: one call is enough until it is heard.
        if not changed.is_set():
            loop.call_soon_threadsafe(changed.set)

    board.state.add_listener(wake)
    try:
        positions, found = board.state.positions(), board.state.changes(since)
        quiet = 0
        yield ServerSentEvent(
            _render_patch(board, pages, request, (view, found.keys)),
            event="patch",
            id=format_positions(positions),
            retry=RETRY_MS,
        )
        # The session is read each time: a revoked token ends its streams.
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
                _render_patch(board, pages, request, (view, found.keys)),
                event="patch",
                id=format_positions(positions),
                retry=RETRY_MS,
            )
    finally:
        board.state.remove_listener(wake)


def _render_patch(
    board: Board, pages: PageRenderer, request: Request, changed: tuple[StreamView, Sequence[str]]
) -> str:
    view, keys = changed
    session = require_session(request)
    person = session.person
    context: dict[str, Any] = {"rows": [], "many": False, "page": None, "back": "/", "view": view.kind}
    if view.kind in {"now", "relationship"}:
        context["rows"] = list(islice(_rows(board, person, view, keys), MAX_PATCHED))
        context["many"] = len(context["rows"]) == MAX_PATCHED
    elif view.kind == "alert":
        reader = board.reader()
        episode = reader.alert(view.filters.get("key", ""), person)
        if episode is not None and episode.watch.subject.key in keys:
            page = details.alert_page(reader, episode, person, HistoryUnavailable(""))
            context |= {"page": page, "back": f"/alerts/{episode.dedup_key}"}
    return pages.text("patch.html", **pages.frame(session), **context)


def _rows(board: Board, person: BoardPerson, view: StreamView, keys: Sequence[str]) -> Iterator[tuple[AlertRow, bool]]:
    """Yield each changed row, and whether the page would show it if it were loaded now."""
    reader = board.reader()
    for key in keys:
        watch = board.state.any_watch(key)
        if watch is None or not person.can_see(watch.subject.tenant, watch.subject.program):
            continue
        subject = watch.subject
        values = {"tenant": subject.tenant, "relationship": subject.id, "program": subject.program}
        if any(view.filters.get(name, value) != value for name, value in values.items()):
            continue  # the page shows no row of it
        episodes = board.state.alerts_of_subject(key)
        if "relationship" in view.filters:
            yield from ((reader.row(one, person), False) for one in episodes)
            continue
        # The entry on the page may be that of any of the alerts, and includes the others; a fresh page would use the
        # first.
        matching = matching_alerts(reader, (one for one in episodes if one.is_open), person, view.query)
        for one in episodes:
            entry = reader.entry([one, *(other for other in matching if other is not one)], person)
            yield entry, view.kind == "now" and one in matching[:1]


def _is_visible(board: Board, person: BoardPerson, view: StreamView) -> bool:
    """Return whether the person may see it: a stream hides what a page hides."""
    filters = view.filters
    match view.kind:
        case "alert":
            return board.reader().alert(filters.get("key", ""), person) is not None
        case "relationship" if "program" in filters:
            return person.can_see(filters.get("tenant", ""), filters["program"])
        case "relationship":
            watch = board.state.watch(partition_key(filters.get("tenant", ""), filters.get("relationship", "")))
            return watch is not None and person.can_see(watch.subject.tenant, watch.subject.program)
        case "now":
            return not view.query.program or person.programs is None or view.query.program in person.programs
        case _:
            return True
