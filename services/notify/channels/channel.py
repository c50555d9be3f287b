"""What every channel is."""

from typing import Protocol

from schemas.alerts import Delivery
from services.notify.domain.decisions import Destination
from services.notify.domain.verdict import Verdict


class Channel(Protocol):
    """`lanes`: how many deliveries it sends at a time, each in a thread of its own. One, unless its receiver knows a
    repeat by its id: else two that are unknown after a crash are two that may come twice."""

    @property
    def destination(self) -> Destination: ...

    @property
    def lanes(self) -> int: ...

    def send(self, delivery: Delivery) -> Verdict:
        """A repeat of a delivery carries the same id. Raises for what is a fault of ours only."""

    def close(self) -> None: ...
