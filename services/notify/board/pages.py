"""The pages of the board. What a person may not see is answered like what does not exist."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from schemas.events import partition_key
from schemas.rule_sets import DEFAULTS
from services.notify.board import deliveries, details, operations, overview
from services.notify.board.access import BoardPerson, require_session
from services.notify.board.changes import format_positions
from services.notify.board.history import HistoryUnavailable, Row
from services.notify.board.now import AlertQuery, now_page
from services.notify.board.rendering import Board, PageRenderer
from services.notify.board.rows import AlertReader
from services.notify.domain.deliveries import has_ended, is_given_up

DELIVERY_KINDS = {"dead": "Given up", "open": "Waiting", "all": "All of 30 days"}


def add_pages(app: FastAPI, board: Board, pages: PageRenderer) -> None:
    _add_alerts(app, board, pages)
    _add_programmes(app, board, pages)
    _add_operations(app, board, pages)


def stream_url(view: str, board: Board, **filters: str) -> str:
    """Return the address of the stream that continues from the page; call it before reading anything for the page."""
    return f"/stream?{urlencode({'view': view, 'since': format_positions(board.state.positions()), **filters})}"


def _add_alerts(app: FastAPI, board: Board, pages: PageRenderer) -> None:
    @app.get("/")
    async def show_now(request: Request) -> Response:
        person = require_session(request).person
        if not request.query_params and person.tenant is not None:
            scope = board.state.personal(person.tenant, person.id).scope
            if scope != "all":
                return RedirectResponse(AlertQuery().address(owner=scope), 303)
        query = AlertQuery.of(request.query_params)
        filters = {"owner": query.owner, "program": query.program, "rule": query.rule, "q": query.search}
        stream = stream_url("now", board, **{name: value for name, value in filters.items() if value})
        page = now_page(board.reader(), person, query)
        return pages.page("now.html", request, active="Now", page=page, stream=stream)

    @app.get("/alerts/{key}")
    async def show_alert(request: Request, key: str) -> Response:
        reader, person = board.reader(), require_session(request).person
        stream = stream_url("alert", board, key=key[:64])
        episode = reader.alert(key, person)
        if episode is None:
            raise HTTPException(404)
        subject = episode.watch.subject
        history: Sequence[Row] | HistoryUnavailable = []
        if subject.kind == "relationship":
            history = await board.history.query(
                "scores", tenant=subject.tenant, relationship=subject.id, since=_since(reader, details.CHART)
            )
        page = details.alert_page(reader, episode, person, history)
        return pages.page("alert.html", request, page=page, stream=stream, back=f"/alerts/{episode.dedup_key}")

    @app.get("/relationships/{tenant}/{relationship}")
    async def show_relationship(request: Request, tenant: str, relationship: str) -> Response:
        reader, person = board.reader(), require_session(request).person
        stream = stream_url("relationship", board, tenant=tenant[:128], relationship=relationship[:128])
        watch = board.state.watch(partition_key(tenant, relationship))
        if watch is None or not person.can_see(watch.subject.tenant, watch.subject.program):
            raise HTTPException(404)
        filters = {"tenant": tenant, "relationship": relationship, "since": _since(reader, details.CHART)}
        history, event_rows = await asyncio.gather(
            board.history.query("scores", **filters), board.history.query("events", **filters)
        )
        events = [
            (at, details.cause(kind) + (" (taken back)" if retracted else ""), actor, str(evidence).replace("_", " "))
            for at, kind, actor, evidence, _, retracted in (
                [] if isinstance(event_rows, HistoryUnavailable) else event_rows
            )
        ]
        page = details.relationship_page(reader, watch, person, history)
        return pages.page("relationship.html", request, page=page, events=events, stream=stream)


def _add_programmes(app: FastAPI, board: Board, pages: PageRenderer) -> None:
    @app.get("/programmes")
    async def show_programmes(request: Request) -> Response:
        lines = overview.programmes(board.reader(), require_session(request).person)
        several = len({line.tenant for line in lines}) > 1
        stream = stream_url("frame", board)
        return pages.page("programmes.html", request, active="Programmes", lines=lines, several=several, stream=stream)

    @app.get("/programmes/{tenant}/{program}")
    async def show_programme(request: Request, tenant: str, program: str) -> Response:
        reader, person = board.reader(), require_session(request).person
        stream = stream_url("relationship", board, tenant=tenant[:128], program=program[:128])
        if not person.can_see(tenant, program):
            raise HTTPException(404)
        filters = {"tenant": tenant, "program": program}
        history, sources = await asyncio.gather(
            board.history.query("programme", **filters, since=_since(reader, timedelta(days=180))),
            board.history.query("sources", **filters),
        )
        page = overview.programme_page(reader, person, (tenant, program), history, sources)
        if page is None:
            raise HTTPException(404)
        return pages.page("programme.html", request, active="Programmes", page=page, stream=stream)


def _add_operations(app: FastAPI, board: Board, pages: PageRenderer) -> None:
    @app.get("/silences")
    async def show_silences(request: Request) -> Response:
        form_values = {name: request.query_params.get(name, "")[:128] for name in ("tenant", "program", "rule")}
        return silences_page(board, pages, request, form_values | {"relationship": "", "until": "1d", "note": ""}, None)

    @app.get("/deliveries")
    async def show_deliveries(request: Request) -> Response:
        reader, person = board.reader(), require_session(request).person
        stream = stream_url("frame", board)
        show = request.query_params.get("show", "dead")
        show = show if show in DELIVERY_KINDS else "dead"
        visible = deliveries.visible_deliveries(reader, person)
        kinds = {
            "dead": [one for one in visible if is_given_up(one)],
            "open": [one for one in visible if not has_ended(one)],
            "all": visible,
        }
        return pages.page(
            "deliveries.html",
            request,
            active="Deliveries",
            destinations=deliveries.destinations(reader, person),
            rows=[deliveries.delivery_row(reader, one) for one in kinds[show][: deliveries.MAX_DELIVERIES]],
            counts={name: len(found) for name, found in kinds.items()},
            kinds=DELIVERY_KINDS,
            show=show,
            stream=stream,
        )

    @app.get("/rules")
    async def show_rules(request: Request) -> Response:
        precision = await board.history.query("precision")
        reader, person = board.reader(), require_session(request).person
        lines, versions = operations.rule_lines(reader, person, precision), operations.version_lines(reader, person)
        note = f"{precision.reason}." if isinstance(precision, HistoryUnavailable) else ""
        stream = stream_url("frame", board)
        return pages.page(
            "rules.html", request, active="Rules", lines=lines, versions=versions, note=note, stream=stream
        )

    @app.get("/status")
    async def show_status(request: Request) -> Response:
        # Asking ClickHouse finds out whether it answers.
        await board.history.query("alive")
        parts = operations.system_parts(board.reader(), board.clock, board.history.reason)
        clocks = sorted(board.state.clocks().items())
        stream = stream_url("frame", board)
        return pages.page("status.html", request, active="Status", parts=parts, clocks=clocks, stream=stream)


def silences_page(
    board: Board, pages: PageRenderer, request: Request, form_values: dict[str, str], preview: int | None
) -> Response:
    """`form_values`: the fields of the form; `preview`: how many open alerts the silence would mute, if asked."""
    reader, person = board.reader(), require_session(request).person
    return pages.page(
        "silences.html",
        request,
        active="Silences",
        lines=operations.silences(reader, person),
        tenants=tenants_of(reader, person),
        programs=sorted(
            person.programs
            if person.programs is not None
            else {watch.subject.program for watch in board.state.watches() if person.belongs_to(watch.subject.tenant)}
        ),
        rules=sorted(DEFAULTS),
        pairs=operations.pairs_by_name(reader, person) if person.can_act else (),
        wanted=form_values,
        preview=preview,
        back="/silences",
        stream=stream_url("frame", board),
    )


def tenants_of(reader: AlertReader, person: BoardPerson) -> list[str]:
    if person.tenant is not None:
        return [person.tenant]
    return sorted({watch.subject.tenant for watch in reader.state.watches()})


def _since(reader: AlertReader, span: timedelta) -> object:
    """Return the start of a span before the time of the data: on the log's clock that may be years ago."""
    return (reader.as_of() or reader.now) - span
