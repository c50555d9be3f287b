"""Sign-in and access on the board: people, sessions and CSRF protection. Every request passes the gate: loopback hosts
only in development mode, a session, and a form of our own for every change."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.cookies import CookieError, SimpleCookie
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.primitives import Instant
from schemas.tokens import BoardRole, BoardToken, authenticate

SESSION = timedelta(hours=12)
"""A working day: nobody stays signed in on a machine that they left the day before."""
LONGEST_SECRET, LONGEST_COOKIE = 200, 400
KEY_BYTES = 32


@dataclass(frozen=True)
class BoardPerson:
    """`tenant` None: every tenant, which only the development mode gives. `programs` None: every programme of it."""

    id: str
    tenant: str | None
    role: BoardRole
    programs: frozenset[str] | None = None

    def can_see(self, tenant: str, program: str) -> bool:
        return self.belongs_to(tenant) and (self.programs is None or program in self.programs)

    def can_see_all(self, tenant: str, programs: Iterable[str]) -> bool:
        return all(self.can_see(tenant, program) for program in programs)

    def belongs_to(self, tenant: str) -> bool:
        return self.tenant in {None, tenant}

    @property
    def can_act(self) -> bool:
        return self.role != "viewer"

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"


DEVELOPER = BoardPerson("developer", None, "admin")
"""The person of a board without login, which only loopback serves."""


def authenticate_token(secret: str, tokens: Mapping[str, BoardToken], now: Instant) -> BoardToken | None:
    """Return the token of this secret, while it is valid."""
    token = authenticate(secret[:LONGEST_SECRET].strip(), tokens)
    return token if token and token.is_valid(now) else None


@dataclass(frozen=True)
class BoardSession:
    """One sign-in: `id` is unique, and the CSRF tokens of its forms are derived from it."""

    person: BoardPerson
    id: str


@dataclass(frozen=True)
class BoardSessions:
    """Sessions as signed cookies. A cookie names the token, which is looked up at each request: the session ends with
    it. `tokens`: the current ones."""

    key: bytes
    tokens: Callable[[], Mapping[str, BoardToken]]
    now: Callable[[], Instant]

    @classmethod
    def keyed(cls, secret: str, tokens: Callable[[], Mapping[str, BoardToken]], now: Callable[[], Instant]) -> Self:
        """Derive the key; without a secret it is random, and sessions end with the process."""
        key = hashlib.sha256(b"rapport board " + (secret.encode() or secrets.token_bytes(KEY_BYTES))).digest()
        return cls(key, tokens, now)

    def issue_cookie(self, token: BoardToken) -> tuple[str, Instant]:
        """Return a new cookie, and when it expires."""
        ends = min(self.now() + SESSION, token.expires)
        payload = f"{token.token_id}.{int(ends.timestamp())}.{secrets.token_hex(16)}"
        return f"{payload}.{self._sign('session', payload)}", ends

    def read(self, cookie: str | None) -> BoardSession | None:
        payload, dot, signature = (cookie or "")[:LONGEST_COOKIE].rpartition(".")
        if not dot or not hmac.compare_digest(signature.encode(), self._sign("session", payload).encode()):
            return None
        token_id, seconds, _ = payload.split(".")
        token = self.tokens().get(token_id)
        ends = datetime.fromtimestamp(int(seconds), UTC)
        if token is None or not token.is_valid(self.now()) or self.now() >= ends:
            return None
        person = BoardPerson(token.person, token.tenant, token.role, frozenset(token.programs) or None)
        return BoardSession(person, payload)

    def csrf_token(self, session: BoardSession) -> str:
        """Return the CSRF token of every form of the session; no other site can know it."""
        return self._sign("form", session.id)

    def _sign(self, what: str, payload: str) -> str:
        return hmac.new(self.key, f"{what} {payload}".encode(), hashlib.sha256).hexdigest()


COOKIE = "rapport_board"
MAX_BODY = 64 * 2**10
"""Two hundred ticked rows are ten thousand bytes."""
MAX_FIELDS = 300
LONGEST_BACK = 600
OPEN_PATHS = ("/login", "/unsubscribe/", "/static/", "/favicon.svg", "/healthz")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    # Pages hold names: no proxy and no other person on this machine may find them later.
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class BoardGate:
    """`is_open`: the development mode, without login. `is_https`: browsers connect over TLS, through a proxy in
    front."""

    sessions: BoardSessions
    is_open: bool
    is_https: bool

    @property
    def cookie(self) -> str:
        """The name of the cookie. The prefix keeps other hosts of the domain from setting it."""
        return f"__Host-{COOKIE}" if self.is_https else COOKIE

    def session(self, headers: Headers) -> BoardSession | None:
        if self.is_open:
            return BoardSession(DEVELOPER, "developer")
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return None
        return self.sessions.read(found.value if found else None)


class Gatekeeper:
    """ASGI middleware: without a session only the sign-in page is served."""

    def __init__(self, app: ASGIApp, gate: BoardGate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._rejection(scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if self._gate.is_https:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
            await send(message)

        await (answer or self._app)(scope, receive, with_headers)

    def _rejection(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), str(scope["path"])
        if self._gate.is_open and headers.get("host", "").rpartition(":")[0] not in LOOPBACK:
            # DNS rebinding: a foreign page whose name resolves to this machine would get the owner's access.
            return PlainTextResponse("this board is served to this machine only\n", 421)
        if scope["method"] not in {"GET", "HEAD"} and headers.get("sec-fetch-site", "none") not in _OWN_SITES:
            return PlainTextResponse("this form is not of this board\n", 403)
        session = self._gate.session(headers)
        scope.setdefault("state", {})["session"] = session
        if session is not None or path.startswith(OPEN_PATHS):
            return None
        if scope["method"] == "GET" and path != "/stream":
            query = scope.get("query_string", b"").decode("latin-1")
            wanted = f"{path}?{query}" if query else path
            return RedirectResponse(f"/login?{urlencode({'next': safe_path(wanted)})}", 303)
        return PlainTextResponse("sign in first\n", 401)


_OWN_SITES = frozenset({"same-origin", "none"})


def require_session(request: Request) -> BoardSession:
    found: BoardSession | None = request.state.session
    if found is None:
        raise HTTPException(401)
    return found


async def read_form(request: Request) -> dict[str, list[str]]:
    """Return the fields of a form, within limits. Raises HTTPException 400, 413 or 415."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(415, "a form is expected")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise HTTPException(413, "the form is too large")
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as broken:
        raise HTTPException(400, "the form cannot be read") from broken
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


async def verified_form(request: Request, sessions: BoardSessions) -> dict[str, list[str]]:
    """Return the fields of a form with the CSRF token of this session. Raises HTTPException, 403 for any other."""
    session = require_session(request)
    fields = await read_form(request)
    if not hmac.compare_digest(sessions.csrf_token(session).encode(), last_value(fields, "csrf").encode()):
        raise HTTPException(403, "this form is not of this session: go back, load the page anew and try again")
    return fields


def last_value(fields: Mapping[str, list[str]], name: str) -> str:
    return fields.get(name, [""])[-1]


def last_values(fields: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: values[-1] for name, values in fields.items()}


def safe_path(path: str) -> str:
    """Return the path to go back to: always a page of ours, whatever is asked."""
    is_own = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path[:LONGEST_BACK] if is_own and "\\" not in path else "/"


def with_notice(path: str, notice: str) -> str:
    """Return the same address with the id of the notice that the next page shows."""
    base, _, query = path.partition("?")
    pairs: list[tuple[str, Any]] = [pair for pair in parse_qsl(query) if pair[0] != "notice"]
    return f"{base}?{urlencode([*pairs, ('notice', notice)])}"
