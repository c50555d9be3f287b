"""What waits for one destination: in order within an alert, and within what one person is told with others; nobody
waits for another alert, and while the destination is down everybody waits for one that tries. And when another
destination gets a message in its place."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from heapq import heappop, heappush

from schemas.alerts import Delivery, TransitionName
from schemas.primitives import Instant
from services.notify.domain.deliveries import FALL_BACK, KEYED, backoff, has_ended
from services.notify.domain.ids import Destination, delivery_id, list_id, transition_id

_ORDER: dict[TransitionName, int] = {"fired": 0, "unstable": 0, "escalated": 1, "reminded": 1, "resolved": 2}
UNHEALTHY_AFTER = 3
"""Failures in a row after which a destination counts as unhealthy, whatever has failed: one is a hiccup."""


@dataclass(frozen=True)
class SendLimits:
    """`in_flight`: how many are started at once; all of them are unknown after a crash. At most `most` in `span`."""

    in_flight: int
    most: int
    span: timedelta


@dataclass(frozen=True)
class Parked:
    """Nothing arrives: since when, how often in a row, why, and when it is tried again."""

    since: Instant
    failures: int
    reason: str
    until: Instant


class Outbox:
    """Hands out at most one delivery of an episode, or of the messages of one person, at a time; the next one after the
    outcome of the one before."""

    def __init__(self, pace: SendLimits) -> None:
        self.parked: Parked | None = None
        self._pace = pace
        self._recent: deque[Instant] = deque(maxlen=pace.most)
        self._episodes: dict[str, deque[Delivery]] = {}
        # Episodes by when their first delivery is due; those in somebody's hands are in `_handed` instead.
        self._due: list[tuple[Instant, int, str]] = []
        self._handed: dict[str, str] = {}
        self._count = 0
        # Failures since something has arrived, and the first of them.
        self._failures = 0
        self._failing_since: Instant | None = None

    def __len__(self) -> int:
        return sum(map(len, self._episodes.values()))

    def __contains__(self, delivery: Delivery) -> bool:
        return any(one.delivery_id == delivery.delivery_id for one in self._episodes.get(_ordering_key(delivery), ()))

    def __iter__(self) -> Iterator[Delivery]:
        for queue in self._episodes.values():
            yield from queue

    @property
    def in_flight(self) -> int:
        return len(self._handed)

    @property
    def is_unhealthy(self) -> bool:
        return self.parked is not None and self.parked.failures >= UNHEALTHY_AFTER

    def add(self, delivery: Delivery) -> list[Delivery]:
        """Deliveries of an episode are added in the order of its transitions. Returns what it makes needless: a notice
        that may have arrived, and that the end of its episode overtakes."""
        queue = self._episodes.setdefault(_ordering_key(delivery), deque())
        is_end = delivery.transition == "resolved"
        needless = [
            one
            for one in queue
            if is_end and one.dedup_key == delivery.dedup_key and not one.items
            if one.state == "unknown" and one.delivery_id not in self._handed
        ]
        for one in needless:
            queue.remove(one)
        queue.append(delivery)
        if queue[0].delivery_id not in self._handed and (needless or len(queue) == 1):
            self._line_up(queue[0])
        return needless

    def poll_due(
        self, now: Instant, opens: Callable[[Delivery, Instant], Instant] = lambda _, now: now
    ) -> list[Delivery]:
        """What is due, the longest due first; each must come back through `take_back`. Of a destination that is down
        one, which tries. `opens`: from when on it may be sent, where people are: a repeat wakes nobody either."""
        if self.parked is not None and (now < self.parked.until or self._handed):
            return []
        found: list[Delivery] = []
        room = (1 if self.parked is not None else self._pace.in_flight) - self.in_flight
        while self._due and self._due[0][0] <= now and len(found) < room:
            if len(self._recent) >= self._pace.most and now - self._recent[0] < self._pace.span:
                break
            _, _, key = heappop(self._due)
            queue = self._episodes.get(key)
            delivery = queue[0] if queue else None
            if delivery is None or delivery.delivery_id in self._handed or delivery.due_at > now:
                continue  # lined up for one that is no more, or in somebody's hands already
            may_go = opens(delivery, now)
            if may_go > now:
                self._count += 1
                heappush(self._due, (may_go, self._count, key))
                continue
            self._handed[delivery.delivery_id] = key
            self._recent.append(now)
            found.append(delivery)
        return found

    def take_back(self, delivery: Delivery) -> None:
        """With its outcome: what has ended is done, the rest is tried again when due."""
        key = self._handed.pop(delivery.delivery_id)
        queue = self._episodes[key]
        queue.popleft()
        if not has_ended(delivery):
            queue.appendleft(delivery)
        if queue:
            self._line_up(queue[0])
        else:
            del self._episodes[key]

    def park(self, reason: str, now: Instant, wait: timedelta | None, jitter: float) -> None:
        """Nothing is handed out for a while: so long as the destination asked for, or longer with every failure."""
        self._failures += 1
        self._failing_since = self._failing_since or now
        until = now + (wait if wait is not None else backoff(self._failures, jitter))
        self.parked = Parked(self._failing_since, self._failures, reason, until)

    def stumble(self, reason: str, now: Instant, wait: timedelta | None, jitter: float) -> None:
        """Something has failed that need not be the destination's fault. After several in a row, among which nothing
        has arrived, it is: a receiver that hangs answers nobody."""
        if self._failures + 1 >= UNHEALTHY_AFTER:
            self.park(reason, now, wait, jitter)
        else:
            self._failures += 1
            self._failing_since = self._failing_since or now

    def open(self) -> None:
        """Something has arrived."""
        self.parked, self._failures, self._failing_since = None, 0, None

    def drop(self, delivery: Delivery) -> bool:
        """It is not to be sent any more; False for what is in somebody's hands."""
        if delivery.delivery_id in self._handed:
            return False
        queue = self._episodes[_ordering_key(delivery)]
        queue.remove(delivery)
        if not queue:
            del self._episodes[_ordering_key(delivery)]
        elif queue[0].delivery_id not in self._handed:
            self._line_up(queue[0])
        return True

    def replace(self, delivery: Delivery) -> bool:
        """The same delivery with other contents, in its place; False for what is in somebody's hands."""
        if delivery.delivery_id in self._handed:
            return False
        queue = self._episodes[_ordering_key(delivery)]
        queue[[one.delivery_id for one in queue].index(delivery.delivery_id)] = delivery
        return True

    def _line_up(self, delivery: Delivery) -> None:
        self._count += 1
        heappush(self._due, (delivery.due_at, self._count, _ordering_key(delivery)))


def _ordering_key(delivery: Delivery) -> str:
    """What goes in order: an episode; of what people are told with others all that goes to one of them."""
    if delivery.group is None or delivery.channel in KEYED:
        return delivery.dedup_key
    return f"{delivery.tenant}/{delivery.person or ''}"


def decision_order(deliveries: list[Delivery]) -> list[Delivery]:
    """As they were decided: by time, and the transitions of an episode one after the other."""
    return sorted(
        deliveries, key=lambda d: (d.planned_at, d.alert.at, d.alert.seq, _ORDER[d.transition], d.delivery_id)
    )


def is_overdue(delivery: Delivery, parked: Parked | None, now: Instant) -> bool:
    """Whether it has failed, or has waited for a destination that is down, for so long that another shall have it."""
    if delivery.due_at > now and not delivery.attempt:
        return False
    since = delivery.started_at if parked is None else max(parked.since, delivery.planned_at)
    return since is not None and now - since >= FALL_BACK[delivery.alert.urgency]


def as_fallback(delivery: Delivery, to: Destination, now: Instant) -> Delivery:
    """The same message to another destination. Its id is that of a message of this transition to it: whoever gets the
    alert anyway gets it once."""
    told = transition_id(delivery.dedup_key, delivery.alert.seq, delivery.transition)
    told = list_id(told) if delivery.items else told
    return delivery.model_copy(
        update={
            "delivery_id": delivery_id(told, to.channel, to.recipient),
            "channel": to.channel,
            "recipient": to.recipient,
            "state": "planned",
            "attempt": 0,
            "status": "",
            "provider_id": "",
            "latency_seconds": None,
            "planned_at": now,
            "due_at": now,
            "started_at": None,
            "changed_at": now,
            "body": None,
            "people": (),
            "person": None,
            "group": None,
            "repeat": False,
            "fallback_of": delivery.delivery_id,
        }
    )
