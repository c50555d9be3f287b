"""Personal settings: which mails a person does not want, when the digest comes, and what the board opens with; from the
settings page, and from a link in a mail, without sign-in."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from schemas.primitives import Id
from schemas.rule_sets import DEFAULTS
from services.notify.board.access import BoardPerson, last_value, read_form, require_session, verified_form
from services.notify.board.alert_commands import ActInvalidError, PreparedCommand, prepare_setting
from services.notify.board.forms import form_id_of, respond
from services.notify.board.pages import stream_url
from services.notify.board.rendering import Board, PageRenderer
from services.notify.board.rows import AlertReader
from services.notify.domain.preferences import PersonalSettings, SwitchedOff
from services.notify.domain.unsubscribe import UnsubscribeScope

HOURS: Sequence[str] = tuple(f"{hour:02}:{minute:02}" for hour in range(6, 20) for minute in (0, 30))

SCOPES: Mapping[str, str] = {
    "all": "all that you may see",
    "team": "programmes that name you",
    "mine": "what you have taken or were given",
}


@dataclass(frozen=True)
class SettingsPage:
    """`addresses`: where mail goes; `refused`: how many of them a server has refused for good. `programs`: those that
    name the person, with the role."""

    settings: PersonalSettings
    addresses: Sequence[str]
    refused: int
    zone: str
    programs: Sequence[tuple[str, str]]
    off: Sequence[tuple[SwitchedOff, str]]


def add_settings(app: FastAPI, board: Board, pages: PageRenderer) -> None:
    @app.get("/settings")
    async def show_settings(request: Request) -> Response:
        person, reader, page = require_session(request).person, board.reader(), None
        if (tenant := person.tenant) is not None:
            settings, participant = (
                reader.state.personal(tenant, person.id),
                reader.people.participant(tenant, person.id),
            )
            page = SettingsPage(
                settings=settings,
                addresses=participant.addresses if participant else (),
                refused=reader.state.refused_addresses(tenant, person.id),
                zone=participant.time_zone if participant else "UTC",
                programs=reader.people.roles_of(tenant, person.id),
                off=[(one, _off_words(reader, tenant, one)) for one in settings.off],
            )
        return pages.page(
            "settings.html",
            request,
            active="Settings",
            page=page,
            # Rules that can be switched off: a P1 always arrives.
            rules=[name for name, rule in DEFAULTS.items() if not rule.is_urgent],
            hours=HOURS,
            scopes=SCOPES,
            back="/settings",
            stream=stream_url("frame", board),
        )

    @app.post("/settings/{act}")
    async def change_settings(request: Request, act: str) -> Response:
        fields = await verified_form(request, board.gate.sessions)
        person = require_session(request).person
        if act not in {"off", "on", "time", "scope"} or person.tenant is None:
            raise HTTPException(404)
        command = _setting_command(
            person, act, {name: last_value(fields, name) for name in fields}, form_id_of(fields), board
        )
        return await respond(board, fields, board.command_sender.do([command], person))


def add_unsubscribe(app: FastAPI, board: Board, pages: PageRenderer) -> None:
    """The signed link suffices: a mail program sends neither cookie nor form."""

    @app.get("/unsubscribe/{token}")
    async def show_unsubscribe(token: str) -> Response:
        # A GET changes nothing: security scanners of mail programs open links.
        return _unsubscribe_page(board, pages, _unsubscribe_scope(board, token), "")

    @app.post("/unsubscribe/{token}")
    async def unsubscribe(request: Request, token: str) -> Response:
        scope = _unsubscribe_scope(board, token)
        fields = await read_form(request)
        # A mail program sends only the one-click request (RFC 8058).
        kind = last_value(fields, "what") or ("rule" if scope.rule else "all")
        act = "on" if last_value(fields, "undo") else "off"
        person = BoardPerson(scope.person, scope.tenant, "viewer")
        target = {
            "rule": scope.rule if kind == "rule" else "",
            "relationship": scope.relationship if kind == "pair" else "",
        }
        if kind not in {"rule", "pair", "all"} or (kind != "all" and not any(target.values())):
            raise HTTPException(400, "say what you want no more mails of")
        fields_ = {name: value or "" for name, value in target.items()}
        done = await board.command_sender.do(
            [_setting_command(person, act, fields_, secrets.token_hex(16), board)], person
        )
        if not done.is_good:
            raise HTTPException(503, f"{done.words}: try again in a minute")
        return _unsubscribe_page(board, pages, scope, kind if act == "off" else "")


def _off_words(reader: AlertReader, tenant: Id, one: SwitchedOff) -> str:
    """Return the setting in words, with names where the person may see the pair."""
    if one.relationship is None:
        return one.words()
    pair = reader.people.naming(tenant, "", one.relationship).pair or f"pair {one.relationship}"
    return f"{one.rule.replace('_', ' ')} of {pair}" if one.rule else f"everything of {pair}"


def _setting_command(
    person: BoardPerson, act: str, fields: Mapping[str, str], form: str, board: Board
) -> PreparedCommand:
    """Raises HTTPException 400."""
    actor = (person, form, board.now())
    try:
        if act == "time":
            at = time.fromisoformat(fields["at"]) if fields.get("at") else None
            return prepare_setting({"kind": "digest_at", "at": at}, actor)
        if act == "scope":
            return prepare_setting({"kind": "opens_with", "scope": fields.get("scope")}, actor)
        target = {"rule": fields.get("rule") or None, "relationship": fields.get("relationship") or None}
        return prepare_setting({"kind": f"switch_{act}", **target}, actor)
    except (ActInvalidError, ValueError) as invalid:
        raise HTTPException(400, str(invalid)) from invalid


def _unsubscribe_scope(board: Board, token: str) -> UnsubscribeScope:
    found = board.unsubscribe_links.read(token)
    if found is None or board.people.participant(found.tenant, found.person) is None:
        raise HTTPException(404)
    return found


def _unsubscribe_page(board: Board, pages: PageRenderer, scope: UnsubscribeScope, done: str) -> Response:
    naming = board.people.naming(scope.tenant, "", scope.relationship or "")
    pair = naming.pair or f"pair {scope.relationship}" if scope.relationship else ""
    rule = scope.rule.replace("_", " ") if scope.rule else ""
    return pages.bare("unsubscribe.html", pair=pair, rule=rule, done=done)
