"""ClickHouse's HTTP interface over one engine."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass

from aiohttp import web

from deploy.local.clickhouse.answer import Asked
from deploy.local.clickhouse.authentication import authenticated
from deploy.local.clickhouse.body import read_body
from deploy.local.clickhouse.engine import Engine
from deploy.local.clickhouse.errors import ClickHouseError
from deploy.local.clickhouse.insert import answer_insert
from deploy.local.clickhouse.job import job_of
from deploy.local.clickhouse.reader_limits import ReaderLimits
from deploy.local.clickhouse.select import answer_statement
from deploy.local.clickhouse.sessions import Sessions
from deploy.local.clickhouse.statements import parse_insert
from deploy.local.clickhouse.users import User


@dataclass(frozen=True)
class Caps:
    """`queries` at once, as a server's max_concurrent_queries; `body_bytes` of one request, unpacked."""

    queries: int
    body_bytes: int


class Server:
    def __init__(self, engine: Engine, users: Mapping[str, User], caps: Caps) -> None:
        self._engine = engine
        self._users = users
        self._caps = caps
        self._sessions = Sessions(engine)
        self._limits = ReaderLimits(engine.read("SELECT name FROM system.table_functions"))
        self._version, self._zone, self._host = engine.read("SELECT arrayJoin([version(), timezone(), hostName()])")
        self._running = 0

    def application(self) -> web.Application:
        application = web.Application(client_max_size=self._caps.body_bytes)
        application.router.add_get("/ping", _ok)
        application.router.add_get("/replicas_status", _ok)
        application.router.add_route("*", "/", self._answer)
        application.cleanup_ctx.append(self._life)
        return application

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        headers = {
            "X-ClickHouse-Query-Id": request.query.get("query_id") or str(uuid.uuid4()),
            "X-ClickHouse-Timezone": self._zone,
            "X-ClickHouse-Server-Display-Name": self._host,
        }
        try:
            with self._one_more():
                return await self._answer_asked(request, headers)
        except ClickHouseError as failed:
            return self._failure(failed, headers)

    async def _answer_asked(self, request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
        user = authenticated(request, self._users)
        if request.method == "GET" and not request.query.get("query"):
            return await _ok(request)
        body = await read_body(request, self._caps.body_bytes)
        job = job_of(user, request.method, {**request.query, **body.parameters}, body.files)
        async with self._sessions.handle_for(job, body.head) as session:
            asked = Asked(request, job, self._engine, session, headers)
            insert = parse_insert(body.head)
            # VALUES may hold {name:Type}, which the engine replaces in a statement but not in a file.
            if insert is None or (job.binds and insert.format == "Values"):
                return await answer_statement(asked, await body.text(), self._limits)
            return await answer_insert(asked, insert, body)

    @contextlib.contextmanager
    def _one_more(self) -> Iterator[None]:
        if self._running >= self._caps.queries:
            text = f"Too many simultaneous queries. Maximum: {self._caps.queries}"
            raise ClickHouseError.of(202, "TOO_MANY_SIMULTANEOUS_QUERIES", text)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    def _failure(self, failed: ClickHouseError, headers: dict[str, str]) -> web.Response:
        version = "" if "(version" in failed.message else f" (version {self._version})"
        coded = headers | {"X-ClickHouse-Exception-Code": str(failed.code)}
        return web.Response(status=failed.status, text=f"{failed.message}{version}\n", headers=coded)

    async def _life(self, _: web.Application) -> AsyncIterator[None]:
        reaping = asyncio.create_task(self._sessions.reap())
        yield
        reaping.cancel()
        self._sessions.close()
        self._engine.close()


async def _ok(_: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")
