"""Who is on the board, and how far they reach: sessions signed in by a token, roles, programmes, and proof that a form
is our own. Another way to sign in (OIDC) makes a `Person` and opens a session for it; nothing else changes."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from schemas.primitives import Instant
from schemas.tokens import BoardRole, BoardToken, authenticate

SESSION = timedelta(hours=12)
"""A working day. Nobody is signed in on a machine that they have left the day before."""
LONGEST_SECRET, LONGEST_COOKIE = 200, 400
KEY_BYTES = 32


@dataclass(frozen=True)
class BoardPerson:
    """`tenant` None: every tenant, which only the development mode gives. `programs` None: every programme of it."""

    id: str
    tenant: str | None
    role: BoardRole
    programs: frozenset[str] | None = None

    def sees(self, tenant: str, program: str) -> bool:
        return self.is_of(tenant) and (self.programs is None or program in self.programs)

    def sees_all(self, tenant: str, programs: Iterable[str]) -> bool:
        return all(self.sees(tenant, program) for program in programs)

    def is_of(self, tenant: str) -> bool:
        return self.tenant in {None, tenant}

    @property
    def acts(self) -> bool:
        return self.role != "viewer"

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"


DEVELOPER = BoardPerson("developer", None, "admin")
"""Whoever opens a board without login, which only loopback serves."""


def person_of(token: BoardToken) -> BoardPerson:
    return BoardPerson(token.person, token.tenant, token.role, frozenset(token.programs) or None)


def signed_in(secret: str, tokens: Mapping[str, BoardToken], now: Instant) -> BoardToken | None:
    """The token that the secret proves, while it is valid."""
    token = authenticate(secret[:LONGEST_SECRET].strip(), tokens)
    return token if token and token.is_valid(now) else None


@dataclass(frozen=True)
class BoardSession:
    """Of one sign-in: `id` is nobody else's, and what forms are proven by."""

    person: BoardPerson
    id: str


@dataclass(frozen=True)
class BoardSessions:
    """Cookies that this key has signed. They name the token, which is looked up each time: with it ends the session.
    `tokens`: those of now."""

    key: bytes
    tokens: Callable[[], Mapping[str, BoardToken]]
    now: Callable[[], Instant]

    @classmethod
    def keyed(cls, secret: str, tokens: Callable[[], Mapping[str, BoardToken]], now: Callable[[], Instant]) -> Self:
        """Without a secret sessions end with the process."""
        key = hashlib.sha256(b"rapport board " + (secret.encode() or secrets.token_bytes(KEY_BYTES))).digest()
        return cls(key, tokens, now)

    def opened(self, token: BoardToken) -> tuple[str, Instant]:
        """A cookie, and when it ends."""
        ends = min(self.now() + SESSION, token.expires)
        said = f"{token.token_id}.{int(ends.timestamp())}.{secrets.token_hex(16)}"
        return f"{said}.{self._sign('session', said)}", ends

    def read(self, cookie: str | None) -> BoardSession | None:
        said, dot, signature = (cookie or "")[:LONGEST_COOKIE].rpartition(".")
        if not dot or not hmac.compare_digest(signature.encode(), self._sign("session", said).encode()):
            return None
        token_id, seconds, _ = said.split(".")
        token = self.tokens().get(token_id)
        ends = datetime.fromtimestamp(int(seconds), UTC)
        if token is None or not token.is_valid(self.now()) or self.now() >= ends:
            return None
        return BoardSession(person_of(token), said)

    def form_proof(self, session: BoardSession) -> str:
        """Stands in every form of the session; no other site can know it."""
        return self._sign("form", session.id)

    def is_own_form(self, session: BoardSession, proof: str) -> bool:
        return hmac.compare_digest(self.form_proof(session).encode(), proof.encode())

    def _sign(self, what: str, said: str) -> str:
        return hmac.new(self.key, f"{what} {said}".encode(), hashlib.sha256).hexdigest()
