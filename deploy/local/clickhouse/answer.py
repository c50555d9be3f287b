"""What all ways to answer a request share: its parts, and the headers every answer carries."""

import time
from dataclasses import dataclass, field

from aiohttp import web

from deploy.local.clickhouse.engine import Engine, Handle, Result
from deploy.local.clickhouse.job import Job
from deploy.local.clickhouse.lease import Lease


@dataclass(frozen=True)
class Asked:
    """One request on its way: `session` is the handle to use, None for a fresh one."""

    http: web.Request
    job: Job
    engine: Engine
    session: Handle | None
    headers: dict[str, str]
    began_ns: int = field(default_factory=time.perf_counter_ns)

    def lease(self) -> Lease:
        return Lease(self.engine, self.job, self.session)

    async def once(self, sql: bytes, fmt: str) -> Result:
        """The whole result of one engine call."""
        return await self.engine.run(lambda: self._once(sql, fmt))

    def _once(self, sql: bytes, fmt: str) -> Result:
        with self.lease() as lease:
            return lease.handle.query(sql, fmt, self.job.binds)
