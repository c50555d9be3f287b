"""Who sends a request: basic authentication, ClickHouse's key headers, or URL parameters.

Decided from the request's head alone: of a stranger's body not one byte is read.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import parse_qs

from aiohttp import web

from deploy.local.clickhouse.errors import EngineError, too_many, undecodable_login
from deploy.local.clickhouse.login_delays import LoginDelays
from deploy.local.clickhouse.users import User, hashed, matches

LONGEST_CREDENTIAL = 1024  # characters of a name or a password
# Logins that are being tried or held back at once, of one name and in all. More are told to come again (503).
MOST_WAITING_OF_A_NAME, MOST_WAITING = 8, 64


@dataclass(frozen=True)
class Credentials:
    name: str
    password: str


class Authentication:
    """A password is proven slowly once (scrypt), then remembered as a keyed digest: requests stay cheap."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = users
        self._delays = LoginDelays()
        self._key = secrets.token_bytes(32)  # of this process: a digest found elsewhere says nothing
        self._proven: dict[str, bytes] = {}
        self._nobody = hashed(secrets.token_urlsafe())
        self._pool = ThreadPoolExecutor(1, "login")
        self._waiting: Counter[str] = Counter()

    async def user_of(self, request: web.Request) -> User:
        """Raises `EngineError` AUTHENTICATION_FAILED without telling, by word or time, whether the name exists."""
        given = credentials_of(request)
        proven = self._proven.get(given.name)
        if proven is not None and hmac.compare_digest(proven, self._digest(given)):
            return self._users[given.name]
        if self._waiting.total() >= MOST_WAITING or self._waiting[given.name] >= MOST_WAITING_OF_A_NAME:
            raise too_many("logins that are being tried", MOST_WAITING_OF_A_NAME)
        self._waiting[given.name] += 1
        try:
            return await self._tried(given, request.remote or "")
        finally:
            self._waiting -= Counter({given.name: 1})  # drops a name at zero

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _tried(self, given: Credentials, address: str) -> User:
        await asyncio.sleep(self._delays.wait_before(address, given.name, time.monotonic()))
        user = self._users.get(given.name)
        kept = user.password if user else self._nobody  # as slow for a name that is not there
        right = await asyncio.get_running_loop().run_in_executor(self._pool, matches, kept, given.password)
        if user is not None and right:
            self._delays.succeeded(address, given.name)
            self._proven[given.name] = self._digest(given)
            return user
        await asyncio.sleep(self._delays.failed(address, given.name, time.monotonic()))
        text = f"{given.name}: Authentication failed: password is incorrect, or there is no user with such name"
        raise EngineError.of(516, "AUTHENTICATION_FAILED", text)

    def _digest(self, given: Credentials) -> bytes:
        return hmac.digest(self._key, f"{given.name}\0{given.password}".encode(), hashlib.sha256)


def credentials_of(request: web.Request) -> Credentials:
    """Raises `EngineError` AUTHENTICATION_FAILED, with status 401, for what is no UTF-8 or too long."""
    headers = request.headers
    scheme, _, encoded = headers.get("Authorization", "").partition(" ")
    try:
        if "X-ClickHouse-User" in headers:
            name, password = headers["X-ClickHouse-User"], headers.get("X-ClickHouse-Key", "")
        elif scheme.lower() == "basic":
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        else:
            # From the raw text: what is no UTF-8 there must not become another name.
            fields = parse_qs(request.url.raw_query_string, keep_blank_values=True, errors="surrogateescape")
            name, password = (fields.get(part, [""])[0] for part in ("user", "password"))
        f"{name}{password}".encode()
    except ValueError:  # also of base64 and of UTF-8
        raise undecodable_login() from None
    if any(len(part) > LONGEST_CREDENTIAL or not part.isprintable() for part in (name, password)):
        raise undecodable_login()
    return Credentials(name or "default", password)
