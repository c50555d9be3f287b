"""Forms: acts on one alert and on many, silences, dead letters, undo, sign-in and sign-out."""

from collections.abc import Awaitable, Sequence

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from schemas.alerts import Delivery
from schemas.events import partition_key
from services.notify.board import details, operations
from services.notify.board.access import (
    BoardPerson,
    authenticate_token,
    last_value,
    last_values,
    read_form,
    require_session,
    safe_path,
    verified_form,
    with_notice,
)
from services.notify.board.acts import ActNotice, ActResult, act_notice, may_resolve_again
from services.notify.board.alert_commands import (
    ActInvalidError,
    PreparedCommand,
    prepare_act,
    prepare_silence,
    prepare_unsilence,
)
from services.notify.board.meetings import parse_meeting
from services.notify.board.now import PER_PAGE
from services.notify.board.pages import silences_page, tenants_of
from services.notify.board.rendering import Board, PageRenderer
from services.notify.domain.alert_episode import AlertEpisode
from services.notify.domain.deliveries import is_given_up
from services.notify.domain.handling import silence_key, unchecked_silence
from services.runtime import log
from services.runtime.kafka import KafkaError

FORM_ID_LENGTHS = range(8, 65)


def add_forms(app: FastAPI, board: Board, pages: PageRenderer) -> None:
    _add_sign_in(app, board, pages)
    _add_acts(app, board)
    _add_meetings(app, board)
    _add_silences(app, board, pages)
    _add_deliveries(app, board)


async def respond(board: Board, fields: dict[str, list[str]], act: Awaitable[ActNotice]) -> Response:
    try:
        return _redirect_back(board, fields, await act)
    except ActInvalidError as invalid:
        raise HTTPException(400, str(invalid)) from invalid
    except KafkaError as away:
        log.get(__name__).error("act_not_written", reason=f"{type(away).__name__}: {away}")
        raise HTTPException(503, "the log takes nothing right now: nothing was done, try again in a minute") from away


def form_id_of(fields: dict[str, list[str]]) -> str:
    """Return the id of the form, the same when it is sent twice. Raises HTTPException 400."""
    found = last_value(fields, "form")
    if len(found) not in FORM_ID_LENGTHS or not (found.isascii() and found.isalnum()):
        raise HTTPException(400, "the form has no id of its own: load the page anew")
    return found


def _add_sign_in(app: FastAPI, board: Board, pages: PageRenderer) -> None:
    @app.get("/login")
    async def show_login(request: Request) -> Response:
        next_path = safe_path(request.query_params.get("next", "/"))
        if request.state.session is not None:
            return RedirectResponse(next_path, 303)
        return pages.bare("login.html", next=next_path, refused=False)

    @app.post("/login")
    async def sign_in(request: Request) -> Response:
        fields = await read_form(request)
        next_path, sessions = safe_path(last_value(fields, "next") or "/"), board.gate.sessions
        token = authenticate_token(last_value(fields, "token"), board.state.tokens(), board.now())
        if token is None:
            log.get(__name__).warning("sign_in_refused")
            return pages.bare("login.html", 401, next=next_path, refused=True)
        cookie, ends = sessions.issue_cookie(token)
        response = RedirectResponse(next_path, 303)
        response.set_cookie(
            board.gate.cookie,
            cookie,
            max_age=round((ends - board.now()).total_seconds()),
            path="/",
            secure=board.gate.is_https,
            httponly=True,
            # Lax: a link in a mail opens its page; a form of another site sends no cookie.
            samesite="lax",
        )
        log.get(__name__).info("signed_in", token=token.token_id, role=token.role)
        return response

    @app.post("/logout")
    async def sign_out(request: Request) -> Response:
        await verified_form(request, board.gate.sessions)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(board.gate.cookie, path="/", secure=board.gate.is_https, httponly=True, samesite="lax")
        return response


def _add_acts(app: FastAPI, board: Board) -> None:
    @app.post("/alerts")
    async def act_on_many(request: Request) -> Response:
        fields = await verified_form(request, board.gate.sessions)
        # The button of an entry names its alerts; else the ticked ones count.
        fields |= {name: [value] for name, value in request.query_params.items()}
        person = _actor(request)
        boxes = fields.get("key", ())
        if not boxes:
            return _redirect_back(board, fields, act_notice(person, "Tick the alerts first", []))
        if len(set(boxes)) > PER_PAGE:
            raise HTTPException(400, f"at most {PER_PAGE} pairs at once")
        return await respond(
            board, fields, _act_on_entries(board, person, fields, [box.split() for box in dict.fromkeys(boxes)])
        )

    @app.post("/alerts/{key}/{act}")
    async def act_on_one(request: Request, key: str, act: str) -> Response:
        fields = await verified_form(request, board.gate.sessions)
        session = require_session(request)
        episode = board.reader().alert(key, session.person)
        if episode is None:
            raise HTTPException(404)
        person = _actor(request)
        try:
            _check_assignee(board, episode, person, last_value(fields, "assignee"))
            wanted = prepare_act(
                episode, {**last_values(fields), "act": act}, (person, form_id_of(fields), board.now())
            )
        except ActInvalidError as invalid:
            raise HTTPException(400, str(invalid)) from invalid
        return await respond(board, fields, board.command_sender.do([wanted], person))

    @app.post("/undo")
    async def undo(request: Request) -> Response:
        fields = await verified_form(request, board.gate.sessions)
        # Viewers can undo changes of their own settings.
        person = require_session(request).person
        notice = board.notices.find(last_value(fields, "notice")[:64], person)
        if notice is None:
            raise HTTPException(404)
        board.notices.remove(notice.id)
        if notice.meeting is not None:
            return await respond(board, fields, board.meetings.retract(notice.meeting, notice, person))
        return await respond(board, fields, board.command_sender.undo(notice, person))


def _add_meetings(app: FastAPI, board: Board) -> None:
    @app.post("/relationships/{tenant}/{relationship}/met")
    async def meet(request: Request, tenant: str, relationship: str) -> Response:
        fields = await verified_form(request, board.gate.sessions)
        watch = board.state.watch(partition_key(tenant, relationship))
        if watch is None or not require_session(request).person.can_see(watch.subject.tenant, watch.subject.program):
            raise HTTPException(404)
        person, subject = _actor(request), watch.subject
        if not board.meetings.gateway.has_token_for(tenant):
            raise HTTPException(503, "no gateway is configured that would take it: see RAPPORT_NOTIFY_BOARD_GATEWAY")
        naming = board.people.naming(tenant, subject.program, relationship)
        try:
            about = (tenant, subject.program, relationship, form_id_of(fields))
            meeting = parse_meeting(last_value(fields, "day"), naming.zone, board.now(), about)
        except ActInvalidError as invalid:
            raise HTTPException(400, str(invalid)) from invalid
        who = naming.pair or f"pair {relationship}"
        return await respond(board, fields, board.meetings.note(meeting, who, person))


def _add_silences(app: FastAPI, board: Board, pages: PageRenderer) -> None:
    @app.post("/silences")
    async def silence(request: Request) -> Response:
        fields = await verified_form(request, board.gate.sessions)
        person = _actor(request)
        wanted = _silence_command(board, person, fields)
        return await respond(board, fields, board.command_sender.do([wanted], person))

    @app.post("/silences/preview")
    async def preview_silence(request: Request) -> Response:
        fields = await verified_form(request, board.gate.sessions)
        person = _actor(request)
        wanted = _silence_command(board, person, fields)
        act = wanted.command.act
        assert act.kind == "silence", "the form asks for nothing else"
        count = operations.count_muted(board.reader(), person, unchecked_silence(wanted.command, act))
        values = {"tenant": "", "program": "", "rule": "", "relationship": "", "until": "1d", "note": ""}
        return silences_page(board, pages, request, {**values, **last_values(fields)}, count)

    @app.post("/silences/{tenant}/{name}/end")
    async def end_silence(request: Request, tenant: str, name: str) -> Response:
        fields = await verified_form(request, board.gate.sessions)
        person, silence_ = require_session(request).person, board.state.silence(silence_key(tenant, name))
        if silence_ is None or not operations.sees_silence(board.reader(), person, silence_):
            raise HTTPException(404)
        person = _actor(request)
        if person.programs is not None and silence_.program not in person.programs:
            raise HTTPException(403, "it reaches beyond your programmes")
        wanted = prepare_unsilence(tenant, name, (person, form_id_of(fields), board.now()))
        return await respond(board, fields, board.command_sender.do([wanted], person))


def _add_deliveries(app: FastAPI, board: Board) -> None:
    @app.post("/deliveries/{delivery_id}/replay")
    async def replay(request: Request, delivery_id: str) -> Response:
        fields = await verified_form(request, board.gate.sessions)
        delivery = _dead_letter(board, request, delivery_id)
        if not is_given_up(delivery) and not may_resolve_again(delivery):
            raise HTTPException(400, "this message was not given up")
        return await respond(
            board, fields, board.command_sender.act_on_delivery("replay", delivery, require_session(request).person)
        )

    @app.post("/deliveries/{delivery_id}/discard")
    async def discard(request: Request, delivery_id: str) -> Response:
        fields = await verified_form(request, board.gate.sessions)
        delivery = _dead_letter(board, request, delivery_id)
        if not is_given_up(delivery):
            raise HTTPException(400, "this message was not given up")
        return await respond(
            board, fields, board.command_sender.act_on_delivery("discard", delivery, require_session(request).person)
        )


def _check_assignee(board: Board, episode: AlertEpisode, person: BoardPerson, to: str) -> None:
    """Raise ActInvalidError where the assignee has no access to the programme."""
    if to and to != person.id and to not in details.possible_assignees(board.reader(), episode):
        raise ActInvalidError("whoever shall have it needs access to the programme")


async def _act_on_entries(
    board: Board, person: BoardPerson, fields: dict[str, list[str]], entries: Sequence[Sequence[str]]
) -> ActNotice:
    """Act on each entry independently: an impossible act becomes the result of its row, and the others go on. An entry
    has the keys of all its alerts: the act applies to those that admit it, and the others are reported only where none
    does."""
    reader, actor = board.reader(), (person, form_id_of(fields), board.now())
    values = {**last_values(fields), "act": last_value(fields, "act"), "note": ""}
    if values["act"] == "take":
        values |= {"act": "assign", "assignee": person.id}
    episodes = {alert.dedup_key: alert for alert in reader.visible(person)}
    wanted: dict[str, PreparedCommand] = {}
    refused: dict[str, ActResult] = {}
    for keys in entries:
        admitted = [key for key in keys if key in episodes and values["act"] in reader.acts(episodes[key], person)]
        wanted |= {key: prepare_act(episodes[key], values, actor) for key in admitted}
        for key in keys:
            if key not in episodes:
                refused[key] = ActResult(key[:64], "refused", "there is no such alert any more")
            elif not admitted:
                refused[key] = ActResult(key, "refused", "that cannot be done with it as it is")
    done = await board.command_sender.do(list(wanted.values()), person) if wanted else act_notice(person, "", [])
    return act_notice(person, done.words, [*done.results, *refused.values()], done)


def _redirect_back(board: Board, fields: dict[str, list[str]], notice: ActNotice) -> Response:
    path = safe_path(last_value(fields, "back") or "/")
    return RedirectResponse(with_notice(path, board.notices.keep(notice)), 303)


def _silence_command(board: Board, person: BoardPerson, fields: dict[str, list[str]]) -> PreparedCommand:
    """Raises HTTPException 400 and 404."""
    values, tenants = last_values(fields), tenants_of(board.reader(), person)
    tenant = values.get("tenant") or (tenants[0] if tenants else "")
    if tenant not in tenants or (values.get("program") and not person.can_see(tenant, values["program"])):
        raise HTTPException(404)
    try:
        return prepare_silence(values, tenant, (person, form_id_of(fields), board.now()))
    except ActInvalidError as invalid:
        raise HTTPException(400, str(invalid)) from invalid


def _dead_letter(board: Board, request: Request, delivery_id: str) -> Delivery:
    """Return the delivery. Raises HTTPException 404, and 403 for those who may only see it."""
    person, found = require_session(request).person, board.state.delivery(delivery_id)
    if found is None or not person.can_see_all(found.tenant, [found.program, *(i.program for i in found.items)]):
        raise HTTPException(404)
    if not person.is_admin:
        raise HTTPException(403, "an admin sends messages again or discards them")
    return found


def _actor(request: Request) -> BoardPerson:
    person = require_session(request).person
    if not person.can_act:
        raise HTTPException(403, f"you may look, not act: your role is {person.role}")
    return person
