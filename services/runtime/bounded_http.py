"""An HTTP client with a total deadline and a maximum body size for each request."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeVar

import httpx

CLOSE_SECONDS = 2.0
"""The time that the loop has to end its cancelled requests."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Bounds:
    """`seconds` for the whole request: name lookup, connection, sending, headers and body; `octets` of the body."""

    seconds: float
    octets: int


@dataclass(frozen=True)
class HttpAnswer:
    """`cut`: the bound that truncated the body, if any."""

    status: int
    headers: httpx.Headers
    body: bytes
    cut: Literal["", "octets", "seconds"] = ""


class BodyBrokenError(httpx.ReadError):
    """The connection broke within the body. `answer` has the status and the headers only."""

    def __init__(self, broken: httpx.TransportError, answer: HttpAnswer) -> None:
        super().__init__(str(broken))
        self.answer = answer


class AsyncBoundedHttp:
    """For the tasks of one loop. httpx limits only single reads: it would wait without end for a server that sends one
    byte of a header every second. h11 accepts headers of 100 KiB at most."""

    def __init__(self, *, proxies_of_environment: bool = False) -> None:
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            timeout=None,  # noqa: S113 (see Bounds)
            trust_env=proxies_of_environment,
        )

    async def ask(self, prepare: Callable[[], httpx.Request], bounds: Bounds) -> HttpAnswer:
        """`prepare` runs on a thread within the deadline, so it may resolve names. Raises TimeoutError when no status
        arrives in time, httpx.HTTPError (BodyBrokenError after the status), and whatever `prepare` raises."""
        loop = asyncio.get_running_loop()
        until = loop.time() + bounds.seconds
        async with asyncio.timeout_at(until):
            request = await _run_on_thread(prepare, loop)
            # No decompression: a few bytes of gzip can expand to a gigabyte.
            request.headers["accept-encoding"] = "identity"
            answer = await self._client.send(request, stream=True)
        try:
            body, cut = await _read(answer, bounds.octets, until)
        except httpx.TransportError as broken:
            raise BodyBrokenError(broken, HttpAnswer(answer.status_code, answer.headers, b"")) from broken
        finally:
            await answer.aclose()
        return HttpAnswer(answer.status_code, answer.headers, body, cut)

    async def close(self) -> None:
        await self._client.aclose()
        # Closed transports end in the next turn of the loop.
        await asyncio.sleep(0.01)


class BoundedHttp:
    """For any thread, which blocks until the answer is there; the requests run on one loop."""

    def __init__(self, *, proxies_of_environment: bool = False) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bounded-http", daemon=True)
        self._thread.start()
        self._http = AsyncBoundedHttp(proxies_of_environment=proxies_of_environment)

    def ask(self, prepare: Callable[[], httpx.Request], bounds: Bounds) -> HttpAnswer:
        """As AsyncBoundedHttp.ask."""
        return asyncio.run_coroutine_threadsafe(self._http.ask(prepare, bounds), self._loop).result()

    def close(self) -> None:
        """Idempotent. Callers that still wait get a CancelledError."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_SECONDS)
        self._loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._http.close()


async def _read(answer: httpx.Response, octets: int, until: float) -> tuple[bytes, Literal["", "octets", "seconds"]]:
    body = bytearray()
    try:
        async with asyncio.timeout_at(until):
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > octets:
                    return bytes(body[:octets]), "octets"
    except TimeoutError:
        return bytes(body), "seconds"
    return bytes(body), ""


async def _run_on_thread(work: Callable[[], Result], loop: asyncio.AbstractEventLoop) -> Result:
    """Run it in a daemon thread that is not joined: a name server may take half a minute to answer."""
    found: asyncio.Future[Result] = loop.create_future()

    def settle(outcome: Result | Exception) -> None:
        if found.done():  # too late: it was cancelled
            return
        if isinstance(outcome, Exception):
            found.set_exception(outcome)
        else:
            found.set_result(outcome)

    def run() -> None:
        outcome: Result | Exception
        try:
            outcome = work()
        except Exception as fault:  # noqa: BLE001 (raised again in the caller)
            outcome = fault
        with suppress(RuntimeError):  # the loop has ended, and its caller with it
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=run, name="bounded-http-prepare", daemon=True).start()
    return await found
