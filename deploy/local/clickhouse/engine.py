"""The one chdb engine of this process: handles on it, and its blocking calls on a thread pool."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

import chdb
from chdb import ChdbError

from deploy.local.clickhouse.errors import ClickHouseError

ROLES = Path(__file__).with_name("roles.xml")
ENGINE_CONFIG = "<clickhouse><users_config>{roles}</users_config></clickhouse>\n"
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

    def __init__(self, path: Path, threads: int) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.spool = _empty_folder(path.with_name(f"{path.name}-spool"))
        config = self.spool / "engine.xml"
        config.write_text(ENGINE_CONFIG.format(roles=ROLES))
        self._address = f"{path}?config-file={config}"
        self._root = self.connect()  # keeps the engine open between requests
        self._pool = ThreadPoolExecutor(threads, "engine")

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

    async def run(self, call: Callable[[], T]) -> T:
        """A blocking call on the pool; the engine's errors come as `ClickHouseError`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, call)
        except (ChdbError, RuntimeError) as failed:
            raise ClickHouseError(str(failed)) from None

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._root.close()


def _empty_folder(folder: Path) -> Path:
    """A process that was killed leaves its temporary files behind."""
    folder.mkdir(exist_ok=True)
    for left in folder.iterdir():
        left.unlink()
    return folder
