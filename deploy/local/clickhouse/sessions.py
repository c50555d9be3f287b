"""Sessions: a handle that keeps SET, USE and temporary tables between requests."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from deploy.local.clickhouse.engine import Engine, Handle
from deploy.local.clickhouse.errors import EngineError, too_many
from deploy.local.clickhouse.job import Job
from deploy.local.clickhouse.statements import needs_session
from deploy.local.clickhouse.users import Role

REAP_SECONDS = 5.0
LONGEST_NAME, MAX_PER_USER = 128, 1000
DEFAULT_TIMEOUT_SECONDS, LONGEST_TIMEOUT_SECONDS = 60.0, 3600.0  # ClickHouse's own


@dataclass
class Session:
    """A writer's session has a handle once a statement needs one. A reader's session only stores what it set by SET and
    USE: each of its statements runs on a fresh handle."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    handle: Handle | None = None
    deadline: float = 0.0
    settings: dict[str, str] = field(default_factory=dict)
    database: str = ""

    def applied_to(self, job: Job) -> Job:
        """The URL takes precedence over the session."""
        parameters = {"database": self.database, **job.parameters} if self.database else job.parameters
        return replace(job, settings={**self.settings, **job.settings}, parameters=parameters)


class Sessions:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._open: dict[tuple[str, str], Session] = {}

    @asynccontextmanager
    async def hold(self, job: Job, sql: bytes) -> AsyncIterator[Session]:
        """Hold the session of a request for its duration; without a session id, a temporary one.

        `handle` is None where a fresh one suffices.
        """
        name = job.parameters.get("session_id", "")
        if not name:
            yield Session()
            return
        key = (job.user.name, name)
        if key not in self._open and job.parameters.get("session_check") == "1":
            raise EngineError.of(372, "SESSION_NOT_FOUND", f"Session {name} not found")
        if len(name) > LONGEST_NAME:
            raise EngineError.of(36, "BAD_ARGUMENTS", f"A session_id has at most {LONGEST_NAME} characters")
        if key not in self._open and sum(user == job.user.name for user, _ in self._open) >= MAX_PER_USER:
            raise too_many(f"sessions of {job.user.name}", MAX_PER_USER)
        session = self._open.setdefault(key, Session())
        if session.lock.locked():
            raise EngineError.of(373, "SESSION_IS_LOCKED", f"Session {name} is locked by a concurrent client")
        async with session.lock:
            session.deadline = time.monotonic() + _timeout(job)
            if session.handle is None and job.user.role is Role.WRITER and needs_session(sql):
                session.handle = await self._engine.run(self._engine.connect)
            yield session

    async def reap(self) -> None:
        """Run until cancelled: close expired sessions."""
        while True:
            await asyncio.sleep(REAP_SECONDS)
            now = time.monotonic()
            expired = [key for key, one in self._open.items() if one.deadline < now and not one.lock.locked()]
            for handle in [self._open.pop(key).handle for key in expired]:
                if handle is not None:
                    await self._engine.run(handle.close)

    def close(self) -> None:
        for session in self._open.values():
            if session.handle is not None:
                session.handle.close()
        self._open.clear()


def _timeout(job: Job) -> float:
    try:
        context = float(job.parameters.get("session_timeout", DEFAULT_TIMEOUT_SECONDS))
    except ValueError:
        raise EngineError.of(72, "CANNOT_PARSE_NUMBER", "session_timeout is not a number") from None
    if not context >= 0:
        raise EngineError.of(72, "CANNOT_PARSE_NUMBER", "session_timeout is no number of seconds")
    return min(LONGEST_TIMEOUT_SECONDS, context)
