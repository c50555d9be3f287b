"""The history in ClickHouse. The board works without it: each query answers within seconds or not at all, and after a
failure ClickHouse is left alone for a while."""

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from services.runtime import log
from services.runtime.clickhouse import ClickHouse, ClickHouseError
from services.runtime.settings import Settings

ANSWER_SECONDS = 2.0
PAUSE_SECONDS = 15.0
"""After a failure; meanwhile pages say so at once."""
WORKERS, MAX_WAITING = 3, 12
_FOLDER = files("services.notify.board") / "queries"

Row = tuple[Any, ...]


@dataclass(frozen=True)
class HistoryUnavailable:
    """Why the history is unavailable, for people."""

    reason: str


class StoredHistory:
    """For one event loop; queries run on threads of their own, each with its own client."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="history")
        self._clients = threading.local()
        self._waiting, self._paused_until, self._reason = 0, 0.0, ""

    async def query(self, query: str, **parameters: object) -> Sequence[Row] | HistoryUnavailable:
        """Run a query. `query`: the name of a file in `queries`. Instants in the result are in UTC."""
        if time.monotonic() < self._paused_until:
            return HistoryUnavailable(self._reason)
        if self._waiting >= MAX_WAITING:
            return HistoryUnavailable("too much is asked of ClickHouse at once")
        self._waiting += 1
        loop = asyncio.get_running_loop()
        asked = self._pool.submit(self._run_query, query, parameters)
        asked.add_done_callback(lambda _: self._finished(loop))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(asked), ANSWER_SECONDS)
        except TimeoutError:
            return self._pause(f"ClickHouse did not answer within {ANSWER_SECONDS:g} s")
        except ClickHouseError as failure:
            log.get(__name__).warning("history_away", query=query, code=failure.code, reason=str(failure)[:500])
            return self._pause("ClickHouse does not answer")

    @property
    def reason(self) -> str | None:
        """Why queries are paused; None while ClickHouse answers."""
        return self._reason if time.monotonic() < self._paused_until else None

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _pause(self, reason: str) -> HistoryUnavailable:
        self._paused_until, self._reason = time.monotonic() + PAUSE_SECONDS, reason
        return HistoryUnavailable(reason)

    def _finished(self, loop: asyncio.AbstractEventLoop) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._count_off)

    def _count_off(self) -> None:
        self._waiting -= 1

    def _run_query(self, query: str, parameters: Mapping[str, object]) -> Sequence[Row]:
        if not hasattr(self._clients, "client"):
            self._clients.client = ClickHouse(self._settings)
        sql = (_FOLDER / f"{query}.sql").read_text()
        # clickhouse-connect gives naive datetimes where the column's zone is UTC.
        return [
            tuple(one.replace(tzinfo=UTC) if isinstance(one, datetime) and one.tzinfo is None else one for one in row)
            for row in self._clients.client.query(sql, parameters)
        ]
