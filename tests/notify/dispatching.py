"""Dispatch with its senders and real receivers, without a broker: written records are kept in a list."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from schemas.alerts import ChannelName, Delivery
from services.notify.channels.smtp import MailDirectory
from services.notify.domain.destinations import DestinationConfig, HttpTarget, WebhookOptions
from services.notify.domain.ledger import Ledger
from services.notify.domain.name_book import NameBook
from services.notify.flow.dispatch import Dispatch, Environment
from services.notify.flow.senders import SenderPool
from services.notify.rendering.renderer import Renderer
from tests.receiver import SECRET

NO_MAIL = MailDirectory(lambda *_: None, lambda *_: False)


@dataclass
class Clock:
    """A wall clock that a test may advance."""

    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Running:
    """`written`: the last record of each delivery; `gone`: ids of tombstones; `history`: every state in its order."""

    dispatch: Dispatch
    clock: Clock
    ledger: Ledger
    people: NameBook
    written: dict[str, Delivery] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    history: list[tuple[str, str, str]] = field(default_factory=list)

    def step(self, released: Sequence[Delivery] = ()) -> None:
        step = self.dispatch.step(released)
        for delivery in (*step.planned, *step.outcomes, *step.starting):
            self.written[delivery.delivery_id] = delivery
            self.history.append((delivery.recipient, delivery.transition, delivery.state))
        for delivery_id in step.gone:
            self.written.pop(delivery_id, None)
            self.gone.append(delivery_id)
        self.dispatch.send(step.starting)

    def until(self, holds: Callable[[], object], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"it did not come to be; states: {self.history[-20:]}"
            self.step()
            time.sleep(0.005)

    def states(self, recipient: str) -> list[str]:
        return [one.state for one in self.written.values() if one.recipient == recipient]

    def statuses(self, recipient: str) -> list[str]:
        return [one.status for one in self.written.values() if one.recipient == recipient]


def webhook(name: str, url: str, seconds: float = 5, **fields: object) -> DestinationConfig:
    target = HttpTarget(url, allow_private=True, timeout_seconds=seconds)
    return DestinationConfig(name, "webhook", WebhookOptions(target, SecretStr(SECRET)), **fields)  # type: ignore[arg-type]


def chat(name: str, channel: ChannelName, url: str, **fields: object) -> DestinationConfig:
    target = HttpTarget(url, allow_private=True, timeout_seconds=1)
    return DestinationConfig(name, channel, target, **fields)  # type: ignore[arg-type]


@contextmanager
def running(
    *configs: DestinationConfig,
    finished: Sequence[Delivery] = (),
    opens: Callable[[Delivery, datetime], datetime] = lambda _, now: now,
) -> Iterator[Running]:
    clock, ledger, people = Clock(), Ledger(), NameBook()
    for delivery in finished:
        ledger.add(delivery)
    # Without jitter a retry is due at once.
    dispatch = Dispatch(
        SenderPool(clock.now),
        Renderer(people, None),
        ledger,
        Environment(clock.now, lambda: 0.0, NO_MAIL, opens),
    )
    dispatch.configure(configs)
    try:
        yield Running(dispatch, clock, ledger, people)
    finally:
        dispatch.stop()


@contextmanager
def gate() -> Iterator[threading.Event]:
    """Opens at the end of the block at the latest: a waiting sender must not block the end of a test."""
    event = threading.Event()
    try:
        yield event
    finally:
        event.set()
