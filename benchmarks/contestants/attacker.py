"""A tenant at full force, as a separate process with the lowest priority, until it is terminated. Its last line of
output holds the answers that it got."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import aiohttp

BATCH = "application/cloudevents-batch+json"
JSON = "application/json"
MIN_NICE = 19
MEBIBYTE = 2**20
CONNECTIONS = 8
TRICKLING, HALF_SENT = 600, 20
TWICE = "{" + ",".join(f'"n{number}":1' for number in range(30_000)) + ',"n29999":1}'


@dataclass(frozen=True)
class AttackOrders:
    kind: str
    port: int
    secret: str
    hr_secret: str


class Attack:
    def __init__(self, orders: AttackOrders, session: aiohttp.ClientSession) -> None:
        self._orders, self._session = orders, session
        self._numbers = count()
        self.answers: Counter[str] = Counter()

    async def oversize(self) -> None:
        """1: records that are too large for the log."""
        addresses = [f"a{number}@example.com" for number in range(25_527)]
        person = {"id": "p", "name": "x", "addresses": addresses, "time_zone": "UTC", "consent": True}
        row = {"id": "1", "status": "active", "email": ";".join(addresses), "name": "x"}
        await asyncio.gather(
            *(self._repeat(lambda: self._post("/v1/directory/participants", [person])) for _ in range(CONNECTIONS)),
            *(self._repeat(lambda: self._hr([row])) for _ in range(CONNECTIONS)),
        )

    async def freeze(self) -> None:
        """4: bodies that are slow to parse, with and without a token, signed or not."""
        twice, large = TWICE.encode(), b"[" + b"[]," * (MEBIBYTE // 3 - 10) + b"1]"
        signed = {"x-zm-signature": "v0=00", "x-zm-request-timestamp": "1"}
        requests: list[Callable[[], Awaitable[None]]] = [
            lambda: self._post("/v1/events", twice),
            lambda: self._post("/v1/events", large),
            lambda: self._post("/v1/directory/participants", twice),
            lambda: self._post("/v1/sources/zoom/zoom", twice, signed),
            lambda: self._post("/v1/sources/microsoft_graph/graph", twice, {}),
            lambda: self._post("/v1/sources/hr/hr", b" " * 16 * MEBIBYTE, {}),
            lambda: self._post("/v1/sources/hr/hr", twice, {"authorization": f"Bearer {self._orders.hr_secret}"}),
        ]
        await asyncio.gather(*(self._repeat(way) for way in requests for _ in range(2)))

    async def slow(self) -> None:
        """7: connections that trickle headers, half-sent bodies, chunks of one byte."""
        head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Slow: "
        body = b"POST /v1/sources/hr/hr HTTP/1.1\r\nHost: x\r\nContent-Length: 16000000\r\n\r\n" + b" " * 8 * MEBIBYTE
        proven = body.replace(b"Host: x", f"Host: x\r\nAuthorization: Bearer {self._orders.hr_secret}".encode())
        chunks = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 50_000
        await asyncio.gather(
            *(self._repeat(lambda: self._trickle(head, b"a")) for _ in range(TRICKLING)),
            *(self._repeat(lambda: self._trickle(body, b" ")) for _ in range(HALF_SENT)),
            *(self._repeat(lambda: self._trickle(proven, b" ")) for _ in range(HALF_SENT)),
            *(self._repeat(lambda: self._trickle(chunks, b"")) for _ in range(2)),
        )

    async def flood(self) -> None:
        """8: people without end, and batches of invalid events."""
        nonsense = json.dumps([{"type": "mentoring.session.held.v1", "id": str(n)} for n in range(9_000)]).encode()
        ones = b"[" + b"1," * (MEBIBYTE // 2 - 10) + b"1]"
        requests: list[Callable[[], Awaitable[None]]] = [
            lambda: self._post("/v1/directory/participants", self._people()),
            lambda: self._post("/v1/events", nonsense),
            lambda: self._post("/v1/events", ones),
        ]
        await asyncio.gather(*(self._repeat(way) for way in requests for _ in range(CONNECTIONS)))

    def _people(self) -> list[dict[str, Any]]:
        first = next(self._numbers) * 5_000
        return [
            {"id": f"p{number}", "name": "A Person", "time_zone": "UTC", "consent": True}
            for number in range(first, first + 5_000)
        ]

    async def _repeat(self, request_once: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await request_once()
            except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as ended:
                self.answers[type(ended).__name__] += 1
                await asyncio.sleep(0.05)

    async def _hr(self, rows: list[dict[str, str]]) -> None:
        proof = {"authorization": f"Bearer {self._orders.hr_secret}"}
        await self._post("/v1/sources/hr/hr", json.dumps(rows).encode(), proof)

    async def _post(self, path: str, body: object, headers: dict[str, str] | None = None) -> None:
        authorization = {"authorization": f"Bearer {self._orders.secret}"} if headers is None else headers
        media = BATCH if path == "/v1/events" else JSON
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self._orders.port}{path}"
        async with self._session.post(url, data=content, headers={**authorization, "content-type": media}) as answer:
            await answer.read()
            self.answers[str(answer.status)] += 1

    async def _trickle(self, begin: bytes, part: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._orders.port)
        answered = asyncio.ensure_future(reader.read(1_000))
        try:
            writer.write(begin)
            while not answered.done():
                writer.write(part)
                await asyncio.wait([answered], timeout=1)
        finally:
            answered.cancel()
            await asyncio.gather(answered, return_exceptions=True)
            self.answers["ended"] += 1
            writer.transport.abort()


async def attack(orders: AttackOrders) -> Counter[str]:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        attacker = Attack(orders, session)
        requests = {"1": attacker.oversize, "4": attacker.freeze, "7": attacker.slow, "8": attacker.flood}
        task = asyncio.create_task(requests[orders.kind]())
        stopped = asyncio.create_task(ended.wait())
        await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return attacker.answers


if __name__ == "__main__":
    os.nice(MIN_NICE)
    sys.stdout.write(json.dumps(asyncio.run(attack(AttackOrders(**json.loads(sys.argv[1]))))))
