"""ClickHouse's HTTP interface over one engine."""

import asyncio
import re
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from deploy.local.clickhouse.answer import Asked
from deploy.local.clickhouse.authentication import Authentication
from deploy.local.clickhouse.body import Body, BodyCaps, BodyReader, HeldBytes
from deploy.local.clickhouse.confinement import Walls
from deploy.local.clickhouse.engine import Engine
from deploy.local.clickhouse.errors import EngineError, readonly, syntax_error, too_many
from deploy.local.clickhouse.job import Job, job_of
from deploy.local.clickhouse.reader_functions import COMBINATORS_QUESTION, QUESTION, ReaderFunctions
from deploy.local.clickhouse.reader_settings import LONGEST_STATEMENT_BYTES
from deploy.local.clickhouse.reader_statement import ReaderStatements
from deploy.local.clickhouse.select import answer_insert, answer_reader, answer_writer
from deploy.local.clickhouse.sessions import Sessions
from deploy.local.clickhouse.statements import parse_insert
from deploy.local.clickhouse.users import Role, User

HELD_BYTES, HELD_BYTES_OF_ALL = 64 << 20, 256 << 20  # of one writer's statement; of all bodies together
READER_BODY_SECONDS = 10.0  # for the statement of a reader to arrive
MOST_PARAMETERS = 1000
INSERTS = re.compile(rb"\s*INSERT\s", re.IGNORECASE)
QUERY_ID = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True)
class Caps:
    """`queries` at once, as a server's max_concurrent_queries; `body_bytes` of one request, unpacked."""

    queries: int
    body_bytes: int


@dataclass(frozen=True)
class Access:
    """Who may come in. Readers only where they are walled in, or where somebody said that they are trusted."""

    users: Mapping[str, User]
    walls: Walls
    trust_readers: bool

    @property
    def admits_readers(self) -> bool:
        return self.walls.files or self.trust_readers


class Server:
    def __init__(self, engine: Engine, access: Access, caps: Caps) -> None:
        self._engine = engine
        self._access = access
        self._authentication = Authentication(access.users)
        self._slots = Slots(caps.queries)
        self._bodies = BodyReader()
        self._held = HeldBytes(HELD_BYTES_OF_ALL)
        self._body_caps = {
            Role.WRITER: BodyCaps(caps.body_bytes, min(HELD_BYTES, caps.body_bytes)),
            Role.READER: BodyCaps(LONGEST_STATEMENT_BYTES, LONGEST_STATEMENT_BYTES),
        }
        self._sessions = Sessions(engine)
        functions = ReaderFunctions(engine.read(QUESTION), engine.read(COMBINATORS_QUESTION))
        self._reader_statements = ReaderStatements(engine.parse, functions)
        self._version, self._zone, self._host = engine.read("SELECT arrayJoin([version(), timezone(), hostName()])")

    def application(self) -> web.Application:
        application = web.Application(client_max_size=self._body_caps[Role.WRITER].whole)
        application.router.add_get("/ping", _ok)
        application.router.add_get("/replicas_status", _ok)
        application.router.add_get("/walls", self._walls)
        application.router.add_route("*", "/", self._answer)
        application.cleanup_ctx.append(self._life)
        return application

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        headers = {"X-ClickHouse-Timezone": self._zone, "X-ClickHouse-Server-Display-Name": self._host}
        try:
            headers["X-ClickHouse-Query-Id"] = _query_id(request)
            return await self._answer_asked(request, headers)
        except EngineError as failed:
            return self._failure(failed, headers)
        except TimeoutError:
            late = EngineError.of(159, "TIMEOUT_EXCEEDED", "The client was too slow with its statement")
            return self._failure(late, headers)

    async def _answer_asked(self, request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
        # 1. Who asks: of a stranger's body nothing is read.
        user = await self._authentication.user_of(request)
        if user.role is Role.READER and not self._access.admits_readers:
            raise _unwalled(user)
        if request.method == "GET" and not request.query.get("query"):
            return await _ok(request)
        # 2. A place among the requests under way, then the statement or its beginning.
        with self._slots.one_of(user.role), self._held.share() as share:
            async with _in_time(user):
                body = await self._bodies.read(request, self._body_caps[user.role], share)
            # JDBC names the database in a header; a URL that names one wins, as on a server.
            named = request.headers.get("X-ClickHouse-Database")
            parameters = {**({"database": named} if named else {}), **request.query, **body.parameters}
            job = job_of(user, request.method, parameters, body.files)
            async with self._sessions.hold(job, body.head) as session:
                asked = Asked(request, session.applied_to(job), self._engine, session.handle, headers)
                if user.role is Role.WRITER:
                    return await _answer_writer(asked, job, body)
                if INSERTS.match(body.head):  # its rows need not arrive
                    raise readonly(f"{user.name}: Cannot execute query in readonly mode")
                async with _in_time(user):
                    text = await body.text()
                return await answer_reader(asked, text, self._reader_statements, session)

    def _failure(self, failed: EngineError, headers: dict[str, str]) -> web.Response:
        version = "" if "(version" in failed.message else f" (version {self._version})"
        coded = headers | {"X-ClickHouse-Exception-Code": str(failed.code)}
        if failed.status == 401:  # noqa: PLR2004 - Unauthorized asks for a login
            coded["WWW-Authenticate"] = 'Basic realm="ClickHouse"'
        return web.Response(status=failed.status, text=f"{failed.message}{version}\n", headers=coded)

    async def _walls(self, _: web.Request) -> web.Response:
        readers = "read-only logins are open" if self._access.admits_readers else "read-only logins are refused"
        return web.Response(text=f"{self._access.walls}; {readers}\n")

    async def _life(self, _: web.Application) -> AsyncIterator[None]:
        reaping = asyncio.create_task(self._sessions.reap())
        yield
        reaping.cancel()
        self._sessions.close()
        self._authentication.close()
        self._bodies.close()
        self._engine.close()


async def _answer_writer(asked: Asked, job: Job, body: Body) -> web.StreamResponse:
    insert = parse_insert(body.head)
    # VALUES may hold {name:Type}, which the engine replaces in a statement but not in a file.
    if insert is None or (job.binds and insert.format == "Values"):
        return await answer_writer(asked, await body.text())
    return await answer_insert(asked, insert, body)


def _query_id(request: web.Request) -> str:
    """It goes back in a header. Raises `EngineError` for one that could not, and for too many parameters."""
    if request.url.raw_query_string.count("&") >= MOST_PARAMETERS:
        raise syntax_error(f"A URL has at most {MOST_PARAMETERS} parameters")
    given = request.query.get("query_id")
    if not given:
        return str(uuid.uuid4())
    if not QUERY_ID.fullmatch(given):
        raise EngineError.of(36, "BAD_ARGUMENTS", "A query_id has at most 128 printable ASCII characters")
    return given


def _in_time(user: User) -> asyncio.Timeout:
    return asyncio.timeout(READER_BODY_SECONDS if user.role is Role.READER else None)


def _unwalled(user: User) -> EngineError:
    text = (
        f"{user.name}: this server is not confined (its kernel has no Landlock), so it admits no readers; start it with"
        " --trust-readers to admit people who may read every file of its process"
    )
    return EngineError.of(497, "ACCESS_DENIED", text)


async def _ok(_: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")


class Slots:
    """Requests at once: a reader's take at most three quarters of all places, so that a writer always finds one."""

    def __init__(self, most: int) -> None:
        """`most` as a server's max_concurrent_queries."""
        self._most = {Role.WRITER: most, Role.READER: max(1, most * 3 // 4)}
        self._taken: Counter[Role] = Counter()

    @contextmanager
    def one_of(self, role: Role) -> Iterator[None]:
        """Raises `EngineError` TOO_MANY_SIMULTANEOUS_QUERIES."""
        taken = self._taken[Role.READER] if role is Role.READER else self._taken.total()
        if taken >= self._most[role] or self._taken.total() >= self._most[Role.WRITER]:
            raise too_many("simultaneous queries", self._most[role])
        self._taken[role] += 1
        try:
            yield
        finally:
            self._taken[role] -= 1
