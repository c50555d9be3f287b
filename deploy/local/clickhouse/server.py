"""ClickHouse's HTTP interface over one engine."""

import asyncio
import re
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from deploy.local.clickhouse.answer import QueryContext
from deploy.local.clickhouse.authentication import Authentication
from deploy.local.clickhouse.body import Body, BodyCaps, BodyMemoryLimit, BodyReader
from deploy.local.clickhouse.confinement import Confinement
from deploy.local.clickhouse.engine import Engine
from deploy.local.clickhouse.errors import EngineError, readonly, syntax_error, too_many
from deploy.local.clickhouse.job import Job, parse_job
from deploy.local.clickhouse.reader_functions import COMBINATORS_QUERY, FUNCTIONS_QUERY, ReaderFunctions
from deploy.local.clickhouse.reader_settings import LONGEST_STATEMENT_BYTES
from deploy.local.clickhouse.reader_statement import ReaderStatements
from deploy.local.clickhouse.select import answer_insert, answer_reader, answer_writer
from deploy.local.clickhouse.sessions import Sessions
from deploy.local.clickhouse.statements import parse_insert
from deploy.local.clickhouse.users import Role, User

BODY_MEMORY_BYTES, ALL_BODIES_MEMORY_BYTES = 64 << 20, 256 << 20  # of one writer's statement; of all bodies together
READER_BODY_SECONDS = 10.0  # to receive a reader's statement
MAX_PARAMETERS = 1000
INSERTS = re.compile(rb"\s*INSERT\s", re.IGNORECASE)
QUERY_ID = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True)
class Caps:
    """`queries`: maximum of concurrent queries, like a server's max_concurrent_queries; `body_bytes` of one request,
    decompressed."""

    queries: int
    body_bytes: int


@dataclass(frozen=True)
class Access:
    """Who is admitted. Readers only if the process is confined, or if they are trusted explicitly."""

    users: Mapping[str, User]
    confinement: Confinement
    trust_readers: bool

    @property
    def admits_readers(self) -> bool:
        return self.confinement.files or self.trust_readers


class Server:
    def __init__(self, engine: Engine, access: Access, caps: Caps) -> None:
        self._engine = engine
        self._access = access
        self._authentication = Authentication(access.users)
        self._slots = Slots(caps.queries)
        self._bodies = BodyReader()
        self._body_memory = BodyMemoryLimit(ALL_BODIES_MEMORY_BYTES)
        self._body_caps = {
            Role.WRITER: BodyCaps(caps.body_bytes, min(BODY_MEMORY_BYTES, caps.body_bytes)),
            Role.READER: BodyCaps(LONGEST_STATEMENT_BYTES, LONGEST_STATEMENT_BYTES),
        }
        self._sessions = Sessions(engine)
        functions = ReaderFunctions(engine.read(FUNCTIONS_QUERY), engine.read(COMBINATORS_QUERY))
        self._reader_statements = ReaderStatements(engine.parse, functions)
        self._version, self._zone, self._host = engine.read("SELECT arrayJoin([version(), timezone(), hostName()])")

    def application(self) -> web.Application:
        application = web.Application(client_max_size=self._body_caps[Role.WRITER].total)
        application.router.add_get("/ping", _ok)
        application.router.add_get("/replicas_status", _ok)
        application.router.add_get("/walls", self._walls)
        application.router.add_route("*", "/", self._answer)
        application.cleanup_ctx.append(self._lifecycle)
        return application

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        headers = {"X-ClickHouse-Timezone": self._zone, "X-ClickHouse-Server-Display-Name": self._host}
        try:
            headers["X-ClickHouse-Query-Id"] = _query_id(request)
            return await self._answer_request(request, headers)
        except EngineError as failed:
            return self._failure(failed, headers)
        except TimeoutError:
            late = EngineError.of(159, "TIMEOUT_EXCEEDED", "The client was too slow with its statement")
            return self._failure(late, headers)

    async def _answer_request(self, request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
        # 1. Authenticate: of an unauthenticated body nothing is read.
        user = await self._authentication.authenticate(request)
        if user.role is Role.READER and not self._access.admits_readers:
            raise _unconfined(user)
        if request.method == "GET" and not request.query.get("query"):
            return await _ok(request)
        # 2. Take a slot, then read the statement or its beginning.
        with self._slots.slot_for(user.role), self._body_memory.share() as share:
            async with _body_timeout(user):
                body = await self._bodies.read(request, self._body_caps[user.role], share)
            # JDBC passes the database in a header; the URL takes precedence, as on a server.
            named = request.headers.get("X-ClickHouse-Database")
            parameters = {**({"database": named} if named else {}), **request.query, **body.parameters}
            job = parse_job(user, request.method, parameters, body.files)
            async with self._sessions.hold(job, body.head) as session:
                context = QueryContext(request, session.applied_to(job), self._engine, session.handle, headers)
                if user.role is Role.WRITER:
                    return await _answer_writer(context, job, body)
                if INSERTS.match(body.head):  # without waiting for its rows
                    raise readonly(f"{user.name}: Cannot execute query in readonly mode")
                async with _body_timeout(user):
                    text = await body.text()
                return await answer_reader(context, text, self._reader_statements, session)

    def _failure(self, failed: EngineError, headers: dict[str, str]) -> web.Response:
        version = "" if "(version" in failed.message else f" (version {self._version})"
        error_headers = headers | {"X-ClickHouse-Exception-Code": str(failed.code)}
        if failed.status == 401:  # noqa: PLR2004 - Unauthorized asks for a login
            error_headers["WWW-Authenticate"] = 'Basic realm="ClickHouse"'
        return web.Response(status=failed.status, text=f"{failed.message}{version}\n", headers=error_headers)

    async def _walls(self, _: web.Request) -> web.Response:
        readers = "read-only logins are open" if self._access.admits_readers else "read-only logins are refused"
        return web.Response(text=f"{self._access.confinement}; {readers}\n")

    async def _lifecycle(self, _: web.Application) -> AsyncIterator[None]:
        reaping = asyncio.create_task(self._sessions.reap())
        yield
        reaping.cancel()
        self._sessions.close()
        self._authentication.close()
        self._bodies.close()
        self._engine.close()


async def _answer_writer(context: QueryContext, job: Job, body: Body) -> web.StreamResponse:
    insert = parse_insert(body.head)
    # VALUES may contain {name:Type}, which the engine substitutes in a statement but not in a file.
    if insert is None or (job.binds and insert.format == "Values"):
        return await answer_writer(context, await body.text())
    return await answer_insert(context, insert, body)


def _query_id(request: web.Request) -> str:
    """The id is returned in a header. Raises `EngineError` for an invalid one, and for too many parameters."""
    if request.url.raw_query_string.count("&") >= MAX_PARAMETERS:
        raise syntax_error(f"A URL has at most {MAX_PARAMETERS} parameters")
    given = request.query.get("query_id")
    if not given:
        return str(uuid.uuid4())
    if not QUERY_ID.fullmatch(given):
        raise EngineError.of(36, "BAD_ARGUMENTS", "A query_id has at most 128 printable ASCII characters")
    return given


def _body_timeout(user: User) -> asyncio.Timeout:
    return asyncio.timeout(READER_BODY_SECONDS if user.role is Role.READER else None)


def _unconfined(user: User) -> EngineError:
    text = (
        f"{user.name}: this server is not confined (its kernel has no Landlock), so it admits no readers; start it with"
        " --trust-readers to admit people who may read every file of its process"
    )
    return EngineError.of(497, "ACCESS_DENIED", text)


async def _ok(_: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")


class Slots:
    """Limits concurrent requests: readers get at most three quarters of the slots, so that a writer always
    finds one."""

    def __init__(self, most: int) -> None:
        """`most` like a server's max_concurrent_queries."""
        self._most = {Role.WRITER: most, Role.READER: max(1, most * 3 // 4)}
        self._in_use: Counter[Role] = Counter()

    @contextmanager
    def slot_for(self, role: Role) -> Iterator[None]:
        """Raises `EngineError` TOO_MANY_SIMULTANEOUS_QUERIES."""
        in_use = self._in_use[Role.READER] if role is Role.READER else self._in_use.total()
        if in_use >= self._most[role] or self._in_use.total() >= self._most[Role.WRITER]:
            raise too_many("simultaneous queries", self._most[role])
        self._in_use[role] += 1
        try:
            yield
        finally:
            self._in_use[role] -= 1
