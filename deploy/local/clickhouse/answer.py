"""What all kinds of responses share: the context of a query, output formats and summary headers."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from aiohttp import web

from deploy.local.clickhouse.engine import Engine, Handle, Result
from deploy.local.clickhouse.job import Job
from deploy.local.clickhouse.lease import Lease
from deploy.local.clickhouse.users import Role

# Formats whose blocks are complete in themselves; all others are produced in one engine call.
STREAMABLE = {"CSV", "JSONEachRow", "Native", "RowBinary", "TSV", "TSVRaw", "TabSeparated", "TabSeparatedRaw"}
DEFAULT = "TabSeparated"
CONTENT_TYPES = {
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "Pretty": "text/plain; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
}
T = TypeVar("T")


@dataclass(frozen=True)
class QueryContext:
    """One request in progress: `session` is the handle to use, None for a fresh one."""

    http: web.Request
    job: Job
    engine: Engine
    session: Handle | None
    headers: dict[str, str]
    began_ns: int = field(default_factory=time.perf_counter_ns)

    def limited_to(self, most: int) -> "QueryContext":
        """Limit a reader's result, which is buffered in memory, to `most` bytes."""
        if self.job.user.role is Role.WRITER:
            return self
        requested = int(self.job.settings.get("max_result_bytes", most))
        return replace(self, job=self.job.with_settings({"max_result_bytes": str(min(requested, most))}))

    def lease(self) -> Lease:
        return Lease(self.engine, self.job, self.session)

    async def run(self, call: Callable[[], T]) -> T:
        """Run on a thread for the user's role. If the client disconnects, a read-only statement is killed."""
        marker = self.job.marker if self.job.is_read_only_statement else ""
        return await self.engine.run(call, self.job.user.role, marker)

    async def try_database(self, name: str | None) -> None:
        """Raises `EngineError` UNKNOWN_DATABASE if the database does not exist."""
        if name is not None:
            parameters = {**self.job.parameters, "database": name}
            await replace(self, job=replace(self.job, parameters=parameters)).run_once(b"SELECT 1", "Null")

    async def run_once(self, sql: bytes, fmt: str) -> Result:
        """Return the complete result of one engine call."""
        return await self.run(lambda: self._run_once(sql, fmt))

    def _run_once(self, sql: bytes, fmt: str) -> Result:
        with self.lease() as lease:
            return lease.handle.query(sql, fmt, self.job.binds)


def summary(result: Result, began_ns: int) -> str:
    """The X-ClickHouse-Summary header: what a statement read and wrote. `began_ns` is a `time.perf_counter_ns`."""
    counts = {
        "read_rows": result.storage_rows_read() or result.rows_read(),
        "read_bytes": result.storage_bytes_read(),
        "written_rows": result.rows_written(),
        "written_bytes": result.bytes_written(),
        "total_rows_to_read": result.storage_rows_read(),
        "result_rows": result.rows_written() or result.rows_read(),
        "result_bytes": result.bytes_written() or result.bytes_read(),
        "elapsed_ns": time.perf_counter_ns() - began_ns,
    }
    return json.dumps({name: str(count) for name, count in counts.items()})


def short_summary(began_ns: int) -> str:
    """For a streamed response, for which the engine reports no counts."""
    return json.dumps({"elapsed_ns": str(time.perf_counter_ns() - began_ns)})


def content_type(name: str) -> str:
    return CONTENT_TYPES.get(name, "application/octet-stream")
