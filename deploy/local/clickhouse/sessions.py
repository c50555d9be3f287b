"""Sessions: a handle that keeps SET, USE and temporary tables from one request to the next."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from deploy.local.clickhouse.engine import Engine, Handle
from deploy.local.clickhouse.errors import ClickHouseError
from deploy.local.clickhouse.job import Job
from deploy.local.clickhouse.statements import needs_session

REAP_SECONDS = 5.0
DEFAULT_TIMEOUT_SECONDS, LONGEST_TIMEOUT_SECONDS = 60.0, 3600.0  # ClickHouse's own


@dataclass
class Session:
    """It costs a handle only once a statement needs one."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    handle: Handle | None = None
    deadline: float = 0.0


class Sessions:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._open: dict[tuple[str, str], Session] = {}

    @asynccontextmanager
    async def handle_for(self, job: Job, sql: bytes) -> AsyncIterator[Handle | None]:
        """The session's handle for the time of a request, or None where a fresh one will do."""
        name = job.parameters.get("session_id", "")
        if not name:
            yield None
            return
        session = self._find(job, name)
        if session.lock.locked():
            raise ClickHouseError.of(373, "SESSION_IS_LOCKED", f"Session {name} is locked by a concurrent client")
        async with session.lock:
            session.deadline = time.monotonic() + _timeout(job)
            if session.handle is None and needs_session(sql):
                session.handle = await self._engine.run(self._engine.connect)
            yield session.handle

    async def reap(self) -> None:
        """Runs until cancelled: closes the sessions whose time is over."""
        while True:
            await asyncio.sleep(REAP_SECONDS)
            now = time.monotonic()
            over = [key for key, one in self._open.items() if one.deadline < now and not one.lock.locked()]
            for handle in [self._open.pop(key).handle for key in over]:
                if handle is not None:
                    await self._engine.run(handle.close)

    def close(self) -> None:
        for session in self._open.values():
            if session.handle is not None:
                session.handle.close()
        self._open.clear()

    def _find(self, job: Job, name: str) -> Session:
        key = (job.user.name, name)
        if key not in self._open and job.parameters.get("session_check") == "1":
            raise ClickHouseError.of(372, "SESSION_NOT_FOUND", f"Session {name} not found")
        return self._open.setdefault(key, Session())


def _timeout(job: Job) -> float:
    try:
        asked = float(job.parameters.get("session_timeout", DEFAULT_TIMEOUT_SECONDS))
    except ValueError:
        raise ClickHouseError.of(72, "CANNOT_PARSE_NUMBER", "session_timeout is not a number") from None
    return min(LONGEST_TIMEOUT_SECONDS, asked)
