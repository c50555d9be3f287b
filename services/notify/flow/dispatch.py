"""Keeps the deliveries of all destinations moving: due, started, with a courier, settled."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.channels.channel import Channel
from services.notify.domain.attempts import refused, settled, started
from services.notify.domain.decisions import Destination
from services.notify.domain.outbox import Outbox
from services.notify.flow.senders import Brought, Courier, taken

MOST_IN_HANDS = 50
"""Deliveries of a destination that are started at once. All of them are sent again after a crash."""
LAST_SECONDS = 0.5
"""What couriers are given to finish the deliveries in hand when we stop; the receiver may be slow."""


@dataclass(frozen=True)
class Environment:
    """What is not a function of the input: wall time and chance."""

    now: Callable[[], Instant]
    chance: Callable[[], float]


class Dispatch:
    def __init__(self, channels: Sequence[Channel], environment: Environment) -> None:
        self._surroundings = environment
        self._brought: SimpleQueue[Brought] = SimpleQueue()
        self._couriers = [Courier(channel, self._brought, environment.now) for channel in channels]
        self._outboxes = {courier.destination: Outbox() for courier in self._couriers}

    @property
    def destinations(self) -> list[Destination]:
        return list(self._outboxes)

    @property
    def waiting(self) -> int:
        return sum(map(len, self._outboxes.values()))

    def add(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Returns, as dead, those whose destination is no longer configured."""
        dead = []
        for delivery in deliveries:
            outbox = self._outboxes.get(Destination(delivery.channel, delivery.recipient))
            if outbox is None:
                dead.append(refused(delivery, "this destination is no longer configured", self._surroundings.now()))
            else:
                outbox.add(delivery)
        return dead

    def settle(self) -> list[Delivery]:
        """What has come back since, with its outcome: to be written down."""
        found = []
        for delivery, answer in [(b.delivery, b.answer) for b in taken(self._brought) if b.answer]:
            outcome = settled(delivery, answer, self._surroundings.chance())
            self._outboxes[Destination(delivery.channel, delivery.recipient)].take_back(outcome)
            found.append(outcome)
        return found

    def start(self) -> list[Delivery]:
        """What is due now, as started: to be written down before it is sent."""
        now = self._surroundings.now()
        return [
            started(delivery, now)
            for outbox in self._outboxes.values()
            for delivery in outbox.hand_out(now, MOST_IN_HANDS - outbox.in_hands)
        ]

    def send(self, deliveries: Sequence[Delivery]) -> None:
        """Those that were written down as started."""
        for courier in self._couriers:
            to = courier.destination
            courier.bring([d for d in deliveries if (d.channel, d.recipient) == (to.channel, to.recipient)])

    def stop(self) -> list[Delivery]:
        """Finishes what is in hand; the outcomes are to be written down. What was started and not sent is sent after
        the next start, under the same ids."""
        until = time.monotonic() + LAST_SECONDS
        for courier in self._couriers:
            courier.stop()
        for courier in self._couriers:
            courier.join(until)
        return self.settle()
