"""Executes a checked statement: streams its result, returns it buffered, or inserts its rows."""

import tempfile
from dataclasses import dataclass, replace

from aiohttp import web

from deploy.local.clickhouse.answer import DEFAULT, STREAMABLE, QueryContext, content_type, summary
from deploy.local.clickhouse.body import Body
from deploy.local.clickhouse.compression import Packer, accepted
from deploy.local.clickhouse.errors import EngineError, readonly, syntax_error
from deploy.local.clickhouse.reader_statement import ReaderStatements, check_format
from deploy.local.clickhouse.sessions import Session
from deploy.local.clickhouse.statements import Insert, accesses_files, changes_only_session, output_format
from deploy.local.clickhouse.stream import answer_streamed

MAX_BUFFERED_BYTES = 1 << 27  # of a reader's result that is not streamed


@dataclass(frozen=True)
class SqlStatement:
    sql: bytes
    kind: str  # the engine's class of the statement
    format: str
    format_written: bool

    @property
    def returns_rows(self) -> bool:
        return self.kind == "READ_ONLY"


async def answer_reader(
    context: QueryContext, text: bytes, statements: ReaderStatements, session: Session
) -> web.StreamResponse:
    """Parse and check a reader's statement before the engine executes any of it."""
    sql = _trimmed(text)
    check_format(_requested_format(context))
    admitted = await context.run(lambda: statements.check(sql))
    if admitted.session_only:
        await context.try_database(admitted.database)
        session.settings |= admitted.settings
        session.database = admitted.database or session.database
        return web.Response(headers=context.headers, content_type="text/plain")
    context = replace(context, job=context.job.with_settings(admitted.settings).as_read_only())
    written = admitted.format
    return await _answer(
        context, SqlStatement(sql, "READ_ONLY", written or _output_format(context), written is not None)
    )


async def answer_writer(context: QueryContext, text: bytes) -> web.StreamResponse:
    sql = _trimmed(text)
    if accesses_files(sql):
        raise EngineError.of(48, "NOT_IMPLEMENTED", "INTO OUTFILE and FROM INFILE are not allowed over HTTP")
    kind, count = context.engine.classify(sql.decode("utf-8", "surrogateescape"))
    if count > 1:
        raise syntax_error("Multi-statements are not allowed")
    written = output_format(sql)
    statement = SqlStatement(sql, kind, written or _output_format(context), format_written=written is not None)
    # Text that does not parse goes to the engine, which produces the error message.
    harmless = statement.kind in {"READ_ONLY", "UNKNOWN"} or changes_only_session(statement.sql)
    if context.job.is_read_only_request and not harmless:
        raise readonly(f"{context.job.user.name}: Cannot execute query in readonly mode")
    if statement.returns_rows:
        context = replace(context, job=context.job.as_read_only())
    return await _answer(context, statement)


async def answer_insert(context: QueryContext, insert: Insert, body: Body) -> web.Response:
    """Write the rows to a temporary file and insert them with INSERT ... FROM INFILE in one engine call: a request that
    the client cuts off inserts nothing.

    Not `Connection.send_insert`: in chdb 4.4.0 it reports success when a constraint, a materialized view or "too many
    parts" failed. Not inline after FORMAT: the engine's statement splitter cuts binary data.
    """
    if context.job.is_read_only_request:
        raise readonly(f"{context.job.user.name}: Cannot execute query in readonly mode")
    with tempfile.NamedTemporaryFile(dir=context.engine.spool, prefix="insert-") as rows:
        rows.write(body.head[insert.rows_at :])
        async for chunk in body.rest():
            rows.write(chunk)
        rows.flush()
        done = await context.run_once(insert.from_file(rows.name), "TSV")
    headers = context.headers | {"X-ClickHouse-Summary": summary(done, context.began_ns)}
    return web.Response(headers=headers, content_type="text/plain")


async def _answer(context: QueryContext, statement: SqlStatement) -> web.StreamResponse:
    streamed = statement.returns_rows and statement.format in STREAMABLE
    if streamed and context.job.parameters.get("wait_end_of_query") != "1":
        answer = await answer_streamed(context, statement.sql, statement.format, _packer(context))
        if answer is not None:
            return answer
    return await _answer_buffered(context, statement)


def _trimmed(text: bytes) -> bytes:
    sql = text.strip().rstrip(b";").rstrip()
    if not sql:
        raise syntax_error("Empty query")
    return sql


def _output_format(context: QueryContext) -> str:
    return _requested_format(context) or DEFAULT


def _requested_format(context: QueryContext) -> str | None:
    """The format of the URL or a header. Raises `EngineError` for an invalid name."""
    name = context.job.parameters.get("default_format") or context.http.headers.get("X-ClickHouse-Format")
    if name and not name.isalnum():
        raise EngineError.of(73, "UNKNOWN_FORMAT", f"Unknown format {name[:40]}")
    return name or None


def _packer(context: QueryContext) -> Packer:
    enabled = context.job.parameters.get("enable_http_compression") in {"1", "true"}
    return Packer(accepted(context.http.headers.get("Accept-Encoding", "")) if enabled else "")


async def _answer_buffered(context: QueryContext, statement: SqlStatement) -> web.Response:
    # A statement without a result writes no header row even with ...WithNames; an empty result does.
    with_names = not statement.returns_rows and not statement.format_written and statement.format == DEFAULT
    limited = context.limited_to(MAX_BUFFERED_BYTES)
    result = await limited.run_once(statement.sql, "TabSeparatedWithNames" if with_names else statement.format)
    data = result.bytes() or b""
    headers = context.headers | {"X-ClickHouse-Summary": summary(result, context.began_ns)}
    if statement.returns_rows or data:
        headers["X-ClickHouse-Format"] = statement.format
    if with_names:
        data = data.partition(b"\n")[2]
    headers["Content-Type"] = content_type(statement.format)
    packer, plain = _packer(context), data
    if packer.encoding and plain:
        headers["Content-Encoding"] = packer.encoding
        data = await context.run(lambda: packer.pack(plain) + packer.finish())
    return web.Response(body=data, headers=headers)
