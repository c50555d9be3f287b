"""A channel for tests that wait for each answer, and deliveries that are rendered as for serving."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from schemas.alerts import ChannelName, Delivery
from services.notify.channels.channel import Channel
from services.notify.domain.decisions import alert_changed, plan_deliveries
from services.notify.domain.deliveries import Verdict
from services.notify.domain.ids import Destination
from services.notify.domain.name_book import NameBook
from services.notify.rendering.renderer import Renderer
from tests.notify.building import Pair, apply_event, clock, day, hour, new_alerts

LINK = "https://pairs.example.org/{relationship}"


@dataclass(frozen=True)
class Waiting:
    channel: Channel
    runner: asyncio.Runner

    def send(self, delivery: Delivery) -> Verdict:
        return self.runner.run(self.channel.send(delivery))


@contextmanager
def sending(make: Callable[[], Channel]) -> Iterator[Waiting]:
    async def made() -> Channel:
        return make()

    with asyncio.Runner() as runner:
        channel = runner.run(made())
        try:
            yield Waiting(channel, runner)
        finally:
            runner.run(channel.close())


def episode(
    channel: ChannelName = "webhook",
    recipient: str = "there",
    relationship: str = "4F2",
    **told: Any,  # noqa: ANN401
) -> list[Delivery]:
    """Fired, escalated, resolved: planned for one destination."""
    pair = Pair(relationship=relationship).but(**told)
    rows = (pair.changed(hour(0), health=38.0), pair.changed(day(2), health=20.0), pair.changed(day(4), health=90.0))
    transitioned = apply_event(new_alerts(), *rows, clock(day(30)))
    to = [Destination(channel, recipient)]
    return [delivery for one in transitioned for delivery in plan_deliveries(alert_changed(one, day(9)), to)]


def rendered(delivery: Delivery, people: NameBook | None = None, link: str | None = LINK) -> Delivery:
    return Renderer(people or NameBook(), link).render(delivery)
