"""The one chdb engine of this process: handles on it, and its blocking calls on threads of readers and of writers.

Import it after `confine` (confinement.py): chdb starts threads when it is imported.
"""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

import chdb
from chdb import ChdbError

from deploy.local.clickhouse import quoting
from deploy.local.clickhouse.errors import EngineError, denied, readonly
from deploy.local.clickhouse.reader_settings import CONCURRENT_READERS
from deploy.local.clickhouse.users import Role

ROLES = Path(__file__).with_name("roles.xml")
# Backups lie in the data folder, where alone this process may write.
ENGINE_CONFIG = """<clickhouse>
<users_config>{roles}</users_config>
<backups><allowed_path>{path}/backups</allowed_path></backups>
</clickhouse>
"""
WRITING_THREADS = 8  # engine calls at once; each uses all processors
KILL_AGAIN_SECONDS = 0.2  # a statement that is being prepared is not among the processes yet
PARSER_LIMITS = "SET max_execution_time = 5, max_parser_depth = 400, max_parser_backtracks = 100000, max_threads = 1"
# A tree that lacks a part of the statement would hide it from the check: written out again it must be the statement,
# but for brackets, which the tree holds as its shape.
PARSE = """SELECT parseQueryToJSON({sql:String}) AS tree,
    replaceRegexpAll(formatQuerySingleLine(formatQueryFromJSON(tree)), '[() ]', '')
        = replaceRegexpAll(formatQuerySingleLine({sql:String}), '[() ]', '')"""
PARSED = re.compile(r": In scope SELECT parseQueryToJSON\(.*(?=\. \()", re.DOTALL)  # words of ours in an error
NO_TREE = 36  # BAD_ARGUMENTS: a statement that is neither a SELECT, a SHOW, an EXPLAIN nor a SET
T = TypeVar("T")


class Result(Protocol):
    def bytes(self) -> "bytes | None": ...
    def rows_read(self) -> int: ...
    def bytes_read(self) -> int: ...
    def rows_written(self) -> int: ...
    def bytes_written(self) -> int: ...
    def storage_rows_read(self) -> int: ...
    def storage_bytes_read(self) -> int: ...


class ResultStream(Protocol):
    def __next__(self) -> Result: ...
    def close(self) -> None: ...


class Handle(Protocol):
    """A connection within the process; settings, roles, USE and temporary tables are its own."""

    def query(self, sql: "str | bytes", fmt: str, params: Mapping[str, str] | None = None) -> Result: ...
    def send_query(self, sql: "str | bytes", fmt: str, params: Mapping[str, str] | None = None) -> ResultStream: ...
    def close(self) -> None: ...


class Engine:
    """Owns the data folder: chdb locks it, so there is one engine per folder and one folder per process."""

    def __init__(self, path: Path, temporary: Path) -> None:
        """`temporary` is a folder of this process alone."""
        self.spool = temporary
        config = temporary / "engine.xml"
        config.write_text(ENGINE_CONFIG.format(roles=ROLES, path=path))
        self._address = f"{path}?config-file={config}"
        self._root = self.connect()  # keeps the engine open between requests
        self._killer = self.connect()  # handles are not shared between threads
        self._parser = self.connect()
        self._parser.query(PARSER_LIMITS, "TSV")
        self._parsing = threading.Lock()
        self._lanes = {
            Role.WRITER: ThreadPoolExecutor(WRITING_THREADS, "writer"),
            Role.READER: ThreadPoolExecutor(CONCURRENT_READERS, "reader"),
        }
        self._control = ThreadPoolExecutor(1, "control")

    def connect(self) -> Handle:
        """About 0.5 ms."""
        handle: Handle = chdb.connect(self._address)
        return handle

    def read(self, sql: str) -> list[str]:
        """The lines of a query's answer, for the server's own questions."""
        return (self._root.query(sql, "TSVRaw").bytes() or b"").decode().splitlines()

    def classify(self, sql: str) -> tuple[str, int]:
        """The engine's own class of a statement, and how many statements the text holds.

        READ_ONLY, CONTROL, MUTATING, MUTATING_GLOBAL, or UNKNOWN for what does not parse.
        """
        report = self._root._conn.classify_query(sql, "")  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
        return report["query_class"].name, report["statement_count"]

    def parse(self, sql: str) -> str:
        """The tree of a statement as JSON. Blocking. Raises `EngineError` for what is no statement, and for one of
        which the engine shows no tree, or not all of it."""
        try:
            with self._parsing:
                row = self._parser.query(PARSE, "JSONCompactEachRow", {"sql": quoting.parameter(sql)}).bytes()
        except (ChdbError, RuntimeError) as failed:
            refused = EngineError(PARSED.sub("", str(failed)))
            if refused.code == NO_TREE:
                refused = readonly("reader: Cannot execute query in readonly mode")
            raise refused from None
        tree, whole = json.loads(row or b"[]")
        if not whole:
            raise denied("a statement of which the engine does not show every part")
        return str(tree)

    async def run(self, call: Callable[[], T], role: Role = Role.WRITER, sign: str = "") -> T:
        """A blocking call on a thread for `role`; the engine's errors come as `EngineError`.

        When the caller is cancelled (its client went away), statements signed with `sign` are killed; it waits for the
        call to end in any case, because the call uses files and handles of the caller's.
        """
        called = self._lanes[role].submit(call)
        try:
            return await asyncio.shield(asyncio.wrap_future(called))
        except (ChdbError, RuntimeError) as failed:
            raise EngineError(str(failed)) from None
        except asyncio.CancelledError:
            await asyncio.shield(self._ended(called, sign))
            raise

    def close(self) -> None:
        for lane in (*self._lanes.values(), self._control):
            lane.shutdown(wait=True, cancel_futures=True)
        self._killer.close()
        self._parser.close()
        self._root.close()

    async def _ended(self, called: "Future[T]", sign: str) -> None:
        called.cancel()  # if it has not begun
        kill = f"KILL QUERY WHERE startsWith(Settings['log_comment'], {quoting.text(sign)}) ASYNC"
        while not called.done():
            if sign:
                await asyncio.wrap_future(self._control.submit(self._killer.query, kill, "TSV"))
            await asyncio.wait([asyncio.wrap_future(called)], timeout=KILL_AGAIN_SECONDS)
