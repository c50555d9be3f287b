"""Every statement but an INSERT with rows: checked, then streamed or answered whole."""

from dataclasses import dataclass

from aiohttp import web

from deploy.local.clickhouse import formats
from deploy.local.clickhouse.answer import Asked
from deploy.local.clickhouse.compression import Packer, accepted
from deploy.local.clickhouse.errors import ClickHouseError, readonly, syntax_error
from deploy.local.clickhouse.reader_limits import ReaderLimits
from deploy.local.clickhouse.statements import changes_only_session, output_format, reaches_files
from deploy.local.clickhouse.stream import answer_streamed
from deploy.local.clickhouse.summary import summary
from deploy.local.clickhouse.users import Role


@dataclass(frozen=True)
class Statement:
    sql: bytes
    kind: str  # as the engine classifies it
    format: str
    format_written: bool

    @property
    def answers(self) -> bool:
        return self.kind == "READ_ONLY"


async def answer_statement(asked: Asked, text: bytes, limits: ReaderLimits) -> web.StreamResponse:
    statement = _parsed(asked, text.strip().rstrip(b";").rstrip())
    _check_rights(asked, statement, limits)
    streamed = statement.answers and statement.format in formats.STREAMABLE
    if streamed and asked.job.parameters.get("wait_end_of_query") != "1":
        answer = await answer_streamed(asked, statement.sql, statement.format, _packer(asked))
        if answer is not None:
            return answer
    return await _answer_whole(asked, statement)


def _parsed(asked: Asked, sql: bytes) -> Statement:
    if not sql:
        raise syntax_error("Empty query")
    if reaches_files(sql):
        raise ClickHouseError.of(48, "NOT_IMPLEMENTED", "INTO OUTFILE and FROM INFILE are not allowed over HTTP")
    kind, count = asked.engine.classify(sql.decode("utf-8", "surrogateescape"))
    if count > 1:
        raise syntax_error("Multi-statements are not allowed")
    written = output_format(sql)
    asked_for = asked.job.parameters.get("default_format") or asked.http.headers.get("X-ClickHouse-Format")
    return Statement(sql, kind, written or asked_for or formats.DEFAULT, format_written=written is not None)


def _check_rights(asked: Asked, statement: Statement, limits: ReaderLimits) -> None:
    user = asked.job.user
    is_reader = user.role is Role.READER
    if is_reader:
        limits.check(statement.sql)
    # What does not parse goes on to the engine, for the sake of its error message.
    harmless = statement.kind in {"READ_ONLY", "UNKNOWN"} or changes_only_session(statement.sql)
    if (is_reader or asked.job.reading) and not harmless:
        raise readonly(f"{user.name}: Cannot execute query in readonly mode")


def _packer(asked: Asked) -> Packer:
    enabled = asked.job.parameters.get("enable_http_compression") in {"1", "true"}
    return Packer(accepted(asked.http.headers.get("Accept-Encoding", "")) if enabled else "")


async def _answer_whole(asked: Asked, statement: Statement) -> web.Response:
    # A statement without a result writes nothing even ...WithNames, which tells it from an empty result.
    told_apart = not statement.answers and not statement.format_written and statement.format == formats.DEFAULT
    result = await asked.once(statement.sql, "TabSeparatedWithNames" if told_apart else statement.format)
    data = result.bytes() or b""
    headers = asked.headers | {"X-ClickHouse-Summary": summary(result, asked.began_ns)}
    if statement.answers or data:
        headers["X-ClickHouse-Format"] = statement.format
    if told_apart:
        data = data.partition(b"\n")[2]
    headers["Content-Type"] = formats.content_type(statement.format)
    return await _packed(asked, data, headers)


async def _packed(asked: Asked, data: bytes, headers: dict[str, str]) -> web.Response:
    packer = _packer(asked)
    if packer.encoding and data:
        headers["Content-Encoding"] = packer.encoding
        plain = data
        data = await asked.engine.run(lambda: packer.pack(plain) + packer.finish())
    return web.Response(body=data, headers=headers)
