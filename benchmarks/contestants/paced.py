"""Sends requests at a steady pace, regardless of earlier answers, each timed from its scheduled time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from statistics import quantiles
from typing import TypeVar

PER_SECOND = 200
# The first requests open connections and warm caches; they do not count.
WARM_UP_REQUESTS = PER_SECOND

Item = TypeVar("Item")


async def paced(items: Sequence[Item], send: Callable[[Item], Awaitable[None]]) -> dict[str, float]:
    """Return milliseconds by quantile."""
    took: list[float] = []

    async def once(item: Item, at: float) -> None:
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        await send(item)
        took.append((time.perf_counter() - at) * 1_000)

    begin = time.perf_counter() + 0.1
    async with asyncio.TaskGroup() as group:
        for number, item in enumerate(items):
            group.create_task(once(item, begin + number / PER_SECOND))
    parts = quantiles(took[WARM_UP_REQUESTS:], n=100)
    return {"p50": parts[49], "p99": parts[98]}
