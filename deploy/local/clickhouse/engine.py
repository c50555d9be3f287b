"""The one chdb engine of this process: its connections, and blocking calls on separate threads for readers and writers.

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
# Backups go into the data folder, the only place where this process may write.
ENGINE_CONFIG = """<clickhouse>
<users_config>{roles}</users_config>
<backups><allowed_path>{path}/backups</allowed_path></backups>
</clickhouse>
"""
WRITING_THREADS = 8  # engine calls at once; each uses all processors
KILL_RETRY_SECONDS = 0.2  # a statement in preparation is not in system.processes yet
PARSER_LIMITS = "SET max_execution_time = 5, max_parser_depth = 400, max_parser_backtracks = 100000, max_threads = 1"
# A tree without a part of the statement would hide that part from the check: formatted again, it must equal the
# statement, except for brackets, which the tree represents by its shape.
PARSE = """SELECT parseQueryToJSON({sql:String}) AS tree,
    replaceRegexpAll(formatQuerySingleLine(formatQueryFromJSON(tree)), '[() ]', '')
        = replaceRegexpAll(formatQuerySingleLine({sql:String}), '[() ]', '')"""
WRAPPER_TEXT = re.compile(r": In scope SELECT parseQueryToJSON\(.*(?=\. \()", re.DOTALL)  # in error messages
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
    """A connection within the process; it has its own settings, roles, USE and temporary tables."""

    def query(self, sql: "str | bytes", fmt: str, params: Mapping[str, str] | None = None) -> Result: ...
    def send_query(self, sql: "str | bytes", fmt: str, params: Mapping[str, str] | None = None) -> ResultStream: ...
    def close(self) -> None: ...


class Engine:
    """Owns the data folder: chdb locks it, so there is one engine per folder and one folder per process."""

    def __init__(self, path: Path, temporary: Path) -> None:
        """`temporary` is used by this process only."""
        self.spool = temporary
        config = temporary / "engine.xml"
        config.write_text(ENGINE_CONFIG.format(roles=ROLES, path=path))
        self._address = f"{path}?config-file={config}"
        self._root = self.connect()  # keeps the engine open between requests
        self._killer = self.connect()  # handles are not shared between threads
        self._parser = self.connect()
        self._parser.query(PARSER_LIMITS, "TSV")
        self._parsing = threading.Lock()
        self._executors = {
            Role.WRITER: ThreadPoolExecutor(WRITING_THREADS, "writer"),
            Role.READER: ThreadPoolExecutor(CONCURRENT_READERS, "reader"),
        }
        self._control = ThreadPoolExecutor(1, "control")

    def connect(self) -> Handle:
        """About 0.5 ms."""
        handle: Handle = chdb.connect(self._address)
        return handle

    def read(self, sql: str) -> list[str]:
        """Return the lines of a query's result, for the server's own queries."""
        return (self._root.query(sql, "TSVRaw").bytes() or b"").decode().splitlines()

    def classify(self, sql: str) -> tuple[str, int]:
        """Return the engine's class of a statement, and the number of statements in the text.

        The class is READ_ONLY, CONTROL, MUTATING, MUTATING_GLOBAL, or UNKNOWN for text that does not parse.
        """
        report = self._root._conn.classify_query(sql, "")  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
        return report["query_class"].name, report["statement_count"]

    def parse(self, sql: str) -> str:
        """Return the syntax tree of a statement as JSON. Blocking. Raises `EngineError` for text that is no statement,
        and for a statement whose tree is missing or incomplete."""
        try:
            with self._parsing:
                row = self._parser.query(PARSE, "JSONCompactEachRow", {"sql": quoting.parameter(sql)}).bytes()
        except (ChdbError, RuntimeError) as failed:
            error = EngineError(WRAPPER_TEXT.sub("", str(failed)))
            if error.code == NO_TREE:
                error = readonly("reader: Cannot execute query in readonly mode")
            raise error from None
        tree, is_complete = json.loads(row or b"[]")
        if not is_complete:
            raise denied("a statement of which the engine does not show every part")
        return str(tree)

    async def run(self, call: Callable[[], T], role: Role = Role.WRITER, marker: str = "") -> T:
        """Run a blocking call on a thread for `role`; the engine's errors become `EngineError`.

        When the caller is cancelled (its client disconnected), statements with this `marker` are killed. The caller
        still waits for the call to end, because the call uses its files and handles.
        """
        future = self._executors[role].submit(call)
        try:
            return await asyncio.shield(asyncio.wrap_future(future))
        except (ChdbError, RuntimeError) as failed:
            raise EngineError(str(failed)) from None
        except asyncio.CancelledError:
            await asyncio.shield(self._cancelled(future, marker))
            raise

    def close(self) -> None:
        for executor in (*self._executors.values(), self._control):
            executor.shutdown(wait=True, cancel_futures=True)
        self._killer.close()
        self._parser.close()
        self._root.close()

    async def _cancelled(self, future: "Future[T]", marker: str) -> None:
        future.cancel()  # if it has not started
        kill = f"KILL QUERY WHERE startsWith(Settings['log_comment'], {quoting.text(marker)}) ASYNC"
        while not future.done():
            if marker:
                await asyncio.wrap_future(self._control.submit(self._killer.query, kill, "TSV"))
            await asyncio.wait([asyncio.wrap_future(future)], timeout=KILL_RETRY_SECONDS)
