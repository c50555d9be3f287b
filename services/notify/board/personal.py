"""What somebody has set for themselves: which mails they do not want, when their digest comes and what the board opens
with; from the page of their settings, and from a link in a mail, without signing in."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from schemas.primitives import Id
from schemas.rule_sets import DEFAULTS
from services.notify.board.access import BoardPerson, fields_of, one, own_form, session_of
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
    """`addresses`: where mail goes, and whether a server has refused it for good. `programs`: those that name the
    person, and as what."""

    settings: PersonalSettings
    addresses: Sequence[str]
    refused: int
    zone: str
    programs: Sequence[tuple[str, str]]
    off: Sequence[tuple[SwitchedOff, str]]


def add_settings(app: FastAPI, board: Board, pages: PageRenderer) -> None:
    @app.get("/settings")
    async def show_settings(request: Request) -> Response:
        person, reader, page = session_of(request).person, board.reader(), None
        if (tenant := person.tenant) is not None:
            settings, known = reader.state.personal(tenant, person.id), reader.people.participant(tenant, person.id)
            page = SettingsPage(
                settings=settings,
                addresses=known.addresses if known else (),
                refused=reader.state.refused_addresses(tenant, person.id),
                zone=known.time_zone if known else "UTC",
                programs=reader.people.roles_of(tenant, person.id),
                off=[(one, _off_words(reader, tenant, one)) for one in settings.off],
            )
        return pages.page(
            "settings.html",
            request,
            active="Settings",
            page=page,
            # Of which somebody may want no mail: what is urgent always comes.
            rules=[name for name, rule in DEFAULTS.items() if not rule.is_urgent],
            hours=HOURS,
            scopes=SCOPES,
            back="/settings",
            stream=stream_url("frame", board),
        )

    @app.post("/settings/{act}")
    async def change_settings(request: Request, act: str) -> Response:
        fields = await own_form(request, board.gate.sessions)
        person = session_of(request).person
        if act not in {"off", "on", "time", "scope"} or person.tenant is None:
            raise HTTPException(404)
        wanted = _setting(person, act, {name: one(fields, name) for name in fields}, form_id_of(fields), board)
        return await respond(board, fields, board.acting.do([wanted], person))


def add_unsubscribe(app: FastAPI, board: Board, pages: PageRenderer) -> None:
    """The signed link is all that is asked for: a mail programme brings no cookie and no form of ours."""

    @app.get("/unsubscribe/{token}")
    async def show_leaving(token: str) -> Response:
        # To look changes nothing: programmes that look for harm open the links of mails.
        return _unsubscribe_page(board, pages, _unsubscribe_scope(board, token), "")

    @app.post("/unsubscribe/{token}")
    async def leave(request: Request, token: str) -> Response:
        leaving = _unsubscribe_scope(board, token)
        fields = await fields_of(request)
        # A mail programme says no more than that somebody leaves (RFC 8058).
        kind = one(fields, "what") or ("rule" if leaving.rule else "all")
        act = "on" if one(fields, "undo") else "off"
        person = BoardPerson(leaving.person, leaving.tenant, "viewer")
        meant = {
            "rule": leaving.rule if kind == "rule" else "",
            "relationship": leaving.relationship if kind == "pair" else "",
        }
        if kind not in {"rule", "pair", "all"} or (kind != "all" and not any(meant.values())):
            raise HTTPException(400, "say what you want no more mails of")
        given = {name: value or "" for name, value in meant.items()}
        done = await board.acting.do([_setting(person, act, given, secrets.token_hex(16), board)], person)
        if not done.is_good:
            raise HTTPException(503, f"{done.words}: try again in a minute")
        return _unsubscribe_page(board, pages, leaving, kind if act == "off" else "")


def _off_words(reader: AlertReader, tenant: Id, one: SwitchedOff) -> str:
    """With names, where the person may see the pair."""
    if one.relationship is None:
        return one.words()
    pair = reader.people.naming(tenant, "", one.relationship).pair or f"pair {one.relationship}"
    return f"{one.rule.replace('_', ' ')} of {pair}" if one.rule else f"everything of {pair}"


def _setting(person: BoardPerson, act: str, fields: Mapping[str, str], form: str, board: Board) -> PreparedCommand:
    """Raises HTTPException 400."""
    given = (person, form, board.now())
    try:
        if act == "time":
            at = time.fromisoformat(fields["at"]) if fields.get("at") else None
            return prepare_setting({"kind": "digest_at", "at": at}, given)
        if act == "scope":
            return prepare_setting({"kind": "opens_with", "scope": fields.get("scope")}, given)
        said = {"rule": fields.get("rule") or None, "relationship": fields.get("relationship") or None}
        return prepare_setting({"kind": f"switch_{act}", **said}, given)
    except (ActInvalidError, ValueError) as invalid:
        raise HTTPException(400, str(invalid)) from invalid


def _unsubscribe_scope(board: Board, token: str) -> UnsubscribeScope:
    found = board.leaving.read(token)
    if found is None or board.people.participant(found.tenant, found.person) is None:
        raise HTTPException(404)
    return found


def _unsubscribe_page(board: Board, pages: PageRenderer, leaving: UnsubscribeScope, done: str) -> Response:
    naming = board.people.naming(leaving.tenant, "", leaving.relationship or "")
    pair = naming.pair or f"pair {leaving.relationship}" if leaving.relationship else ""
    rule = leaving.rule.replace("_", " ") if leaving.rule else ""
    return pages.bare("unsubscribe.html", pair=pair, rule=rule, done=done)
