"""Authenticates a request: basic authentication, ClickHouse's key headers, or URL parameters.

Uses the request's head only: no byte of an unauthenticated body is read.
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
# Logins that are verified or delayed at the same time, per name and in total. Further ones get a 503.
MAX_WAITING_OF_A_NAME, MAX_WAITING = 8, 64


@dataclass(frozen=True)
class Credentials:
    name: str
    password: str


class Authentication:
    """A password is verified slowly once (scrypt), then remembered as a keyed digest, so that further requests are
    cheap."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = users
        self._delays = LoginDelays()
        self._key = secrets.token_bytes(32)  # per process: a leaked digest is useless elsewhere
        self._verified: dict[str, bytes] = {}
        self._dummy_hash = hashed(secrets.token_urlsafe())
        self._pool = ThreadPoolExecutor(1, "login")
        self._waiting: Counter[str] = Counter()

    async def authenticate(self, request: web.Request) -> User:
        """Raises `EngineError` AUTHENTICATION_FAILED; neither text nor timing reveals whether the name exists."""
        credentials = read_credentials(request)
        verified = self._verified.get(credentials.name)
        if verified is not None and hmac.compare_digest(verified, self._digest(credentials)):
            return self._users[credentials.name]
        if self._waiting.total() >= MAX_WAITING or self._waiting[credentials.name] >= MAX_WAITING_OF_A_NAME:
            raise too_many("logins that are being tried", MAX_WAITING_OF_A_NAME)
        self._waiting[credentials.name] += 1
        try:
            return await self._verify(credentials, request.remote or "")
        finally:
            self._waiting -= Counter({credentials.name: 1})  # drops a name at zero

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _verify(self, credentials: Credentials, address: str) -> User:
        await asyncio.sleep(self._delays.wait_before(address, credentials.name, time.monotonic()))
        user = self._users.get(credentials.name)
        stored = user.password if user else self._dummy_hash  # unknown names take as long
        is_correct = await asyncio.get_running_loop().run_in_executor(self._pool, matches, stored, credentials.password)
        if user is not None and is_correct:
            self._delays.succeeded(address, credentials.name)
            self._verified[credentials.name] = self._digest(credentials)
            return user
        await asyncio.sleep(self._delays.failed(address, credentials.name, time.monotonic()))
        text = f"{credentials.name}: Authentication failed: password is incorrect, or there is no user with such name"
        raise EngineError.of(516, "AUTHENTICATION_FAILED", text)

    def _digest(self, credentials: Credentials) -> bytes:
        return hmac.digest(self._key, f"{credentials.name}\0{credentials.password}".encode(), hashlib.sha256)


def read_credentials(request: web.Request) -> Credentials:
    """Raises `EngineError` AUTHENTICATION_FAILED, with status 401, for credentials that are not UTF-8 or too long."""
    headers = request.headers
    scheme, _, encoded = headers.get("Authorization", "").partition(" ")
    try:
        if "X-ClickHouse-User" in headers:
            name, password = headers["X-ClickHouse-User"], headers.get("X-ClickHouse-Key", "")
        elif scheme.lower() == "basic":
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        else:
            # Parse the raw text: invalid UTF-8 must not turn into another name.
            fields = parse_qs(request.url.raw_query_string, keep_blank_values=True, errors="surrogateescape")
            name, password = (fields.get(part, [""])[0] for part in ("user", "password"))
        f"{name}{password}".encode()
    except ValueError:  # also of base64 and of UTF-8
        raise undecodable_login() from None
    if any(len(part) > LONGEST_CREDENTIAL or not part.isprintable() for part in (name, password)):
        raise undecodable_login()
    return Credentials(name or "default", password)
