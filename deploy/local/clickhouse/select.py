"""Every statement: checked, then streamed or answered whole, or its rows put in."""

import tempfile
from dataclasses import dataclass, replace

from aiohttp import web

from deploy.local.clickhouse.answer import DEFAULT, STREAMABLE, Asked, content_type, summary
from deploy.local.clickhouse.body import Body
from deploy.local.clickhouse.compression import Packer, accepted
from deploy.local.clickhouse.errors import EngineError, readonly, syntax_error
from deploy.local.clickhouse.reader_statement import ReaderStatements, check_format
from deploy.local.clickhouse.sessions import Session
from deploy.local.clickhouse.statements import Insert, changes_only_session, output_format, reaches_files
from deploy.local.clickhouse.stream import answer_streamed

MOST_BYTES_HELD = 1 << 27  # of a reader's answer that is not streamed


@dataclass(frozen=True)
class SqlStatement:
    sql: bytes
    kind: str  # as the engine classifies it
    format: str
    format_written: bool

    @property
    def answers(self) -> bool:
        return self.kind == "READ_ONLY"


async def answer_reader(
    asked: Asked, text: bytes, statements: ReaderStatements, session: Session
) -> web.StreamResponse:
    """A reader's statement is parsed and checked before anything of it reaches the engine as a statement."""
    sql = _trimmed(text)
    check_format(_asked_format(asked))
    admitted = await asked.run(lambda: statements.check(sql))
    if admitted.session_only:
        await asked.try_database(admitted.database)
        session.settings |= admitted.settings
        session.database = admitted.database or session.database
        return web.Response(headers=asked.headers, content_type="text/plain")
    asked = replace(asked, job=asked.job.asking(admitted.settings).for_reading())
    written = admitted.format
    return await _answered(asked, SqlStatement(sql, "READ_ONLY", written or _default(asked), written is not None))


async def answer_writer(asked: Asked, text: bytes) -> web.StreamResponse:
    sql = _trimmed(text)
    if reaches_files(sql):
        raise EngineError.of(48, "NOT_IMPLEMENTED", "INTO OUTFILE and FROM INFILE are not allowed over HTTP")
    kind, count = asked.engine.classify(sql.decode("utf-8", "surrogateescape"))
    if count > 1:
        raise syntax_error("Multi-statements are not allowed")
    written = output_format(sql)
    statement = SqlStatement(sql, kind, written or _default(asked), format_written=written is not None)
    # What does not parse goes on to the engine, for the sake of its error message.
    harmless = statement.kind in {"READ_ONLY", "UNKNOWN"} or changes_only_session(statement.sql)
    if asked.job.reading and not harmless:
        raise readonly(f"{asked.job.user.name}: Cannot execute query in readonly mode")
    if statement.answers:
        asked = replace(asked, job=asked.job.for_reading())
    return await _answered(asked, statement)


async def answer_insert(asked: Asked, insert: Insert, body: Body) -> web.Response:
    """Its rows go to a temporary file and in through INSERT ... FROM INFILE, as one engine call: what a client that
    dies has cut off inserts nothing.

    Not `Connection.send_insert`: in chdb 4.4.0 it reports success when a constraint, a materialized view or "too many
    parts" failed. Not inline after FORMAT: the engine's splitter of statements cuts binary data.
    """
    if asked.job.reading:
        raise readonly(f"{asked.job.user.name}: Cannot execute query in readonly mode")
    with tempfile.NamedTemporaryFile(dir=asked.engine.spool, prefix="insert-") as rows:
        rows.write(body.head[insert.rows_at :])
        async for chunk in body.rest():
            rows.write(chunk)
        rows.flush()
        done = await asked.once(insert.from_file(rows.name), "TSV")
    headers = asked.headers | {"X-ClickHouse-Summary": summary(done, asked.began_ns)}
    return web.Response(headers=headers, content_type="text/plain")


async def _answered(asked: Asked, statement: SqlStatement) -> web.StreamResponse:
    streamed = statement.answers and statement.format in STREAMABLE
    if streamed and asked.job.parameters.get("wait_end_of_query") != "1":
        answer = await answer_streamed(asked, statement.sql, statement.format, _packer(asked))
        if answer is not None:
            return answer
    return await _answer_whole(asked, statement)


def _trimmed(text: bytes) -> bytes:
    sql = text.strip().rstrip(b";").rstrip()
    if not sql:
        raise syntax_error("Empty query")
    return sql


def _default(asked: Asked) -> str:
    return _asked_format(asked) or DEFAULT


def _asked_format(asked: Asked) -> str | None:
    """Of the URL or a header. Raises `EngineError` for what could not be a format's name."""
    name = asked.job.parameters.get("default_format") or asked.http.headers.get("X-ClickHouse-Format")
    if name and not name.isalnum():
        raise EngineError.of(73, "UNKNOWN_FORMAT", f"Unknown format {name[:40]}")
    return name or None


def _packer(asked: Asked) -> Packer:
    enabled = asked.job.parameters.get("enable_http_compression") in {"1", "true"}
    return Packer(accepted(asked.http.headers.get("Accept-Encoding", "")) if enabled else "")


async def _answer_whole(asked: Asked, statement: SqlStatement) -> web.Response:
    # A statement without a result writes nothing even ...WithNames, which tells it from an empty result.
    told_apart = not statement.answers and not statement.format_written and statement.format == DEFAULT
    held = asked.holding(MOST_BYTES_HELD)
    result = await held.once(statement.sql, "TabSeparatedWithNames" if told_apart else statement.format)
    data = result.bytes() or b""
    headers = asked.headers | {"X-ClickHouse-Summary": summary(result, asked.began_ns)}
    if statement.answers or data:
        headers["X-ClickHouse-Format"] = statement.format
    if told_apart:
        data = data.partition(b"\n")[2]
    headers["Content-Type"] = content_type(statement.format)
    packer, plain = _packer(asked), data
    if packer.encoding and plain:
        headers["Content-Encoding"] = packer.encoding
        data = await asked.run(lambda: packer.pack(plain) + packer.finish())
    return web.Response(body=data, headers=headers)
