"""What all ways to answer a request share: its parts, and the headers every answer carries."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from aiohttp import web

from deploy.local.clickhouse.engine import Engine, Handle, Result
from deploy.local.clickhouse.job import Job
from deploy.local.clickhouse.lease import Lease
from deploy.local.clickhouse.users import Role

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """One request on its way: `session` is the handle to use, None for a fresh one."""

    http: web.Request
    job: Job
    engine: Engine
    session: Handle | None
    headers: dict[str, str]
    began_ns: int = field(default_factory=time.perf_counter_ns)

    def holding(self, most: int) -> "Asked":
        """For a reader, whose whole answer is to be held in memory: `most` bytes of it."""
        if self.job.user.role is Role.WRITER:
            return self
        asked = int(self.job.settings.get("max_result_bytes", most))
        return replace(self, job=self.job.asking({"max_result_bytes": str(min(asked, most))}))

    def lease(self) -> Lease:
        return Lease(self.engine, self.job, self.session)

    async def run(self, call: Callable[[], T]) -> T:
        """On a thread for the user's role. When the client goes away a statement that only reads is killed."""
        sign = self.job.sign if self.job.reading_statement else ""
        return await self.engine.run(call, self.job.user.role, sign)

    async def try_database(self, name: str | None) -> None:
        """Raises `EngineError` UNKNOWN_DATABASE where there is none of that name yet."""
        if name is not None:
            parameters = {**self.job.parameters, "database": name}
            await replace(self, job=replace(self.job, parameters=parameters)).once(b"SELECT 1", "Null")

    async def once(self, sql: bytes, fmt: str) -> Result:
        """The whole result of one engine call."""
        return await self.run(lambda: self._once(sql, fmt))

    def _once(self, sql: bytes, fmt: str) -> Result:
        with self.lease() as lease:
            return lease.handle.query(sql, fmt, self.job.binds)
