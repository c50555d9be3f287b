"""The pages that people look at. Whatever a person may not see is answered like what is not there."""

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
from services.notify.board.access import BoardPerson, session_of
from services.notify.board.changes import format_positions
from services.notify.board.history import HistoryAway, Row
from services.notify.board.now import AlertQuery, now_page
from services.notify.board.rendering import Board, PageRenderer
from services.notify.board.rows import AlertReader
from services.notify.domain.deliveries import has_ended, is_given_up

DELIVERY_KINDS = {"dead": "Given up", "open": "Waiting", "all": "All of 30 days"}


def add_pages(app: FastAPI, board: Board, pages: PageRenderer) -> None:
    _add_alerts(app, board, pages)
    _add_programmes(app, board, pages)
    _add_operations(app, board, pages)


def stream_url(view: str, board: Board, **where: str) -> str:
    """From what the page shows on; to be asked before anything of the page is read."""
    return f"/stream?{urlencode({'view': view, 'since': format_positions(board.state.positions()), **where})}"


def _add_alerts(app: FastAPI, board: Board, pages: PageRenderer) -> None:
    @app.get("/")
    async def show_now(request: Request) -> Response:
        person = session_of(request).person
        if not request.query_params and person.tenant is not None:
            scope = board.state.personal(person.tenant, person.id).scope
            if scope != "all":
                return RedirectResponse(AlertQuery().address(owner=scope), 303)
        choice = AlertQuery.of(request.query_params)
        chosen = {"owner": choice.owner, "program": choice.program, "rule": choice.rule, "q": choice.search}
        stream = stream_url("now", board, **{name: value for name, value in chosen.items() if value})
        page = now_page(board.reader(), person, choice)
        return pages.page("now.html", request, active="Now", page=page, stream=stream)

    @app.get("/alerts/{key}")
    async def show_alert(request: Request, key: str) -> Response:
        reader, person = board.reader(), session_of(request).person
        stream = stream_url("alert", board, key=key[:64])
        known = reader.alert(key, person)
        if known is None:
            raise HTTPException(404)
        subject = known.watch.subject
        past: Sequence[Row] | HistoryAway = []
        if subject.kind == "relationship":
            past = await board.history.ask(
                "scores", tenant=subject.tenant, relationship=subject.id, since=_since(reader, details.CHART)
            )
        page = details.alert_page(reader, known, person, past)
        return pages.page("alert.html", request, page=page, stream=stream, back=f"/alerts/{known.dedup_key}")

    @app.get("/relationships/{tenant}/{relationship}")
    async def show_relationship(request: Request, tenant: str, relationship: str) -> Response:
        reader, person = board.reader(), session_of(request).person
        stream = stream_url("relationship", board, tenant=tenant[:128], relationship=relationship[:128])
        watch = board.state.watch(partition_key(tenant, relationship))
        if watch is None or not person.sees(watch.subject.tenant, watch.subject.program):
            raise HTTPException(404)
        where = {"tenant": tenant, "relationship": relationship, "since": _since(reader, details.CHART)}
        past, told = await asyncio.gather(board.history.ask("scores", **where), board.history.ask("events", **where))
        events = [
            (at, details.cause(kind) + (" (taken back)" if retracted else ""), actor, str(evidence).replace("_", " "))
            for at, kind, actor, evidence, _, retracted in ([] if isinstance(told, HistoryAway) else told)
        ]
        page = details.relationship_page(reader, watch, person, past)
        return pages.page("relationship.html", request, page=page, events=events, stream=stream)


def _add_programmes(app: FastAPI, board: Board, pages: PageRenderer) -> None:
    @app.get("/programmes")
    async def show_programmes(request: Request) -> Response:
        lines = overview.programmes(board.reader(), session_of(request).person)
        several = len({line.tenant for line in lines}) > 1
        stream = stream_url("frame", board)
        return pages.page("programmes.html", request, active="Programmes", lines=lines, several=several, stream=stream)

    @app.get("/programmes/{tenant}/{program}")
    async def show_programme(request: Request, tenant: str, program: str) -> Response:
        reader, person = board.reader(), session_of(request).person
        stream = stream_url("relationship", board, tenant=tenant[:128], program=program[:128])
        if not person.sees(tenant, program):
            raise HTTPException(404)
        where = {"tenant": tenant, "program": program}
        past, feeds = await asyncio.gather(
            board.history.ask("programme", **where, since=_since(reader, timedelta(days=180))),
            board.history.ask("sources", **where),
        )
        page = overview.programme_page(reader, person, (tenant, program), past, feeds)
        if page is None:
            raise HTTPException(404)
        return pages.page("programme.html", request, active="Programmes", page=page, stream=stream)


def _add_operations(app: FastAPI, board: Board, pages: PageRenderer) -> None:
    @app.get("/silences")
    async def show_silences(request: Request) -> Response:
        wanted = {name: request.query_params.get(name, "")[:128] for name in ("tenant", "program", "rule")}
        return silences_page(board, pages, request, wanted | {"relationship": "", "until": "1d", "note": ""}, None)

    @app.get("/deliveries")
    async def show_deliveries(request: Request) -> Response:
        reader, person = board.reader(), session_of(request).person
        stream = stream_url("frame", board)
        show = request.query_params.get("show", "dead")
        show = show if show in DELIVERY_KINDS else "dead"
        seen = deliveries.visible_deliveries(reader, person)
        kinds = {
            "dead": [one for one in seen if is_given_up(one)],
            "open": [one for one in seen if not has_ended(one)],
            "all": seen,
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
        precision = await board.history.ask("precision")
        reader, person = board.reader(), session_of(request).person
        lines, versions = operations.rule_lines(reader, person, precision), operations.version_lines(reader, person)
        note = f"{precision.reason}." if isinstance(precision, HistoryAway) else ""
        stream = stream_url("frame", board)
        return pages.page(
            "rules.html", request, active="Rules", lines=lines, versions=versions, note=note, stream=stream
        )

    @app.get("/status")
    async def show_status(request: Request) -> Response:
        # Whether ClickHouse answers is found out by asking it.
        await board.history.ask("alive")
        parts = operations.system_parts(board.reader(), board.clock, board.history.reason)
        clocks = sorted(board.state.clocks().items())
        stream = stream_url("frame", board)
        return pages.page("status.html", request, active="Status", parts=parts, clocks=clocks, stream=stream)


def silences_page(
    board: Board, pages: PageRenderer, request: Request, wanted: dict[str, str], preview: int | None
) -> Response:
    """`wanted`: what stands in the form; `preview`: how many open alerts it would mute, where that was asked."""
    reader, person = board.reader(), session_of(request).person
    return pages.page(
        "silences.html",
        request,
        active="Silences",
        lines=operations.silences(reader, person),
        tenants=tenants_of(reader, person),
        programs=sorted(
            person.programs
            if person.programs is not None
            else {watch.subject.program for watch in board.state.watches() if person.is_of(watch.subject.tenant)}
        ),
        rules=sorted(DEFAULTS),
        pairs=operations.pairs_by_name(reader, person) if person.acts else (),
        wanted=wanted,
        preview=preview,
        back="/silences",
        stream=stream_url("frame", board),
    )


def tenants_of(reader: AlertReader, person: BoardPerson) -> list[str]:
    if person.tenant is not None:
        return [person.tenant]
    return sorted({watch.subject.tenant for watch in reader.state.watches()})


def _since(reader: AlertReader, span: timedelta) -> object:
    """Before the time of the data: on the log's own clock that may lie years back."""
    return (reader.as_of() or reader.now) - span
