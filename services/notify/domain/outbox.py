"""What waits for one destination: in order within an alert, and nobody waits for another alert."""

from collections import deque
from heapq import heappop, heappush

from schemas.alerts import Delivery, TransitionName
from schemas.primitives import Instant

_ORDER: dict[TransitionName, int] = {"fired": 0, "escalated": 1, "resolved": 2}


class Outbox:
    """Hands out at most one delivery of an episode at a time, the next one after the outcome of the one before."""

    def __init__(self) -> None:
        self._episodes: dict[str, deque[Delivery]] = {}
        # Episodes by when their first delivery is due; those in somebody's hands are in `_handed` instead.
        self._due: list[tuple[Instant, int, str]] = []
        self._handed: dict[str, str] = {}
        self._count = 0

    def __len__(self) -> int:
        return sum(map(len, self._episodes.values()))

    @property
    def in_hands(self) -> int:
        return len(self._handed)

    def add(self, delivery: Delivery) -> None:
        """Deliveries of an episode are added in the order of its transitions."""
        queue = self._episodes.setdefault(delivery.dedup_key, deque())
        queue.append(delivery)
        if len(queue) == 1:
            self._line_up(delivery)

    def hand_out(self, now: Instant, most: int) -> list[Delivery]:
        """What is due, the longest due first; each must come back through `take_back`."""
        found: list[Delivery] = []
        while self._due and self._due[0][0] <= now and len(found) < most:
            _, _, key = heappop(self._due)
            delivery = self._episodes[key][0]
            self._handed[delivery.delivery_id] = key
            found.append(delivery)
        return found

    def take_back(self, delivery: Delivery) -> None:
        """With its outcome: delivered and dead ones are done, planned ones are tried again when due."""
        key = self._handed.pop(delivery.delivery_id)
        queue = self._episodes[key]
        queue.popleft()
        if delivery.state == "planned":
            queue.appendleft(delivery)
        if queue:
            self._line_up(queue[0])
        else:
            del self._episodes[key]

    def _line_up(self, delivery: Delivery) -> None:
        self._count += 1
        heappush(self._due, (delivery.due_at, self._count, delivery.dedup_key))


def in_order(deliveries: list[Delivery]) -> list[Delivery]:
    """As they were decided: by time, and the transitions of an episode one after the other."""
    return sorted(deliveries, key=lambda d: (d.planned_at, d.alert.at, _ORDER[d.transition], d.delivery_id))
