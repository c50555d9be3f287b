"""The outbox of one destination. Deliveries go in order within an episode, and within the grouped messages of one
person; one alert never waits for another. While the destination is down only one delivery tries. The module also
decides when a fallback gets a message."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from heapq import heappop, heappush

from schemas.alerts import Delivery, TransitionName
from schemas.primitives import Instant
from services.notify.domain.deliveries import FALL_BACK, KEYED, AddressPutOff, backoff, has_ended
from services.notify.domain.ids import Destination, address_delivery_id, delivery_id, list_id, transition_id

_ORDER: dict[TransitionName, int] = {"fired": 0, "unstable": 0, "escalated": 1, "reminded": 1, "resolved": 2}
UNHEALTHY_AFTER = 3
"""Failures in a row after which a destination counts as unhealthy, whatever has failed: a single one is a hiccup."""


@dataclass(frozen=True)
class SendLimits:
    """`in_flight`: how many deliveries are started at once; all of them are unknown after a crash. At most `most` are
    sent within `span`."""

    in_flight: int
    most: int
    span: timedelta


@dataclass(frozen=True)
class Parked:
    """The destination is down: since when, after how many failures in a row, why, and when the next attempt is due."""

    since: Instant
    failures: int
    reason: str
    until: Instant


class Outbox:
    """Returns at most one delivery at a time per episode, or per person of grouped messages; the next one follows the
    outcome of the one before."""

    def __init__(self, limits: SendLimits) -> None:
        self.parked: Parked | None = None
        self._limits = limits
        self._recent: deque[Instant] = deque(maxlen=limits.most)
        self._queues: dict[str, deque[Delivery]] = {}
        # Queues by when their first delivery is due; queues with a delivery in flight are in `_in_flight` instead.
        self._due: list[tuple[Instant, int, str]] = []
        self._in_flight: dict[str, str] = {}
        self._scheduled_count = 0
        # The queues of single addresses, by episode.
        self._address_queues: dict[str, set[str]] = {}
        # Failures since the last accepted message, and the first of them.
        self._failures = 0
        self._failing_since: Instant | None = None

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def __contains__(self, delivery: Delivery) -> bool:
        return any(one.delivery_id == delivery.delivery_id for one in self._queues.get(_ordering_key(delivery), ()))

    def __iter__(self) -> Iterator[Delivery]:
        for queue in self._queues.values():
            yield from queue

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    @property
    def is_unhealthy(self) -> bool:
        return self.parked is not None and self.parked.failures >= UNHEALTHY_AFTER

    def add(self, delivery: Delivery) -> list[Delivery]:
        """Add a delivery; those of an episode come in the order of its transitions. Returns those that it makes
        needless: notices of unknown outcome where it ends their episode, and what single addresses of the list have not
        got yet of the episode: they get this one."""
        key = _ordering_key(delivery)
        put_off = self._overtaken_addresses(delivery)
        if delivery.address is not None:
            self._address_queues.setdefault(delivery.dedup_key, set()).add(key)
        queue = self._queues.setdefault(key, deque())
        is_end = delivery.transition == "resolved"
        overtaken = [
            one
            for one in queue
            if is_end and one.dedup_key == delivery.dedup_key and not one.items
            if one.state == "unknown" and one.delivery_id not in self._in_flight
        ]
        for one in overtaken:
            queue.remove(one)
        queue.append(delivery)
        if queue[0].delivery_id not in self._in_flight and (overtaken or len(queue) == 1):
            self._schedule(queue[0])
        return [*put_off, *overtaken]

    def poll_due(
        self, now: Instant, deliverable_from: Callable[[Delivery, Instant], Instant] = lambda _, now: now
    ) -> list[Delivery]:
        """Return due deliveries, the longest due first; each must come back through `complete`. A destination that is
        down gets one, as a trial. `deliverable_from`: when a person may be written to: a repeat wakes nobody either."""
        if self.parked is not None and (now < self.parked.until or self._in_flight):
            return []
        found: list[Delivery] = []
        capacity = (1 if self.parked is not None else self._limits.in_flight) - self.in_flight
        while self._due and self._due[0][0] <= now and len(found) < capacity:
            if len(self._recent) >= self._limits.most and now - self._recent[0] < self._limits.span:
                break
            _, _, key = heappop(self._due)
            queue = self._queues.get(key)
            delivery = queue[0] if queue else None
            if delivery is None or delivery.delivery_id in self._in_flight or delivery.due_at > now:
                continue  # a stale entry: removed, in flight, or put off
            opens_at = deliverable_from(delivery, now)
            if opens_at > now:
                self._scheduled_count += 1
                heappush(self._due, (opens_at, self._scheduled_count, key))
                continue
            self._in_flight[delivery.delivery_id] = key
            self._recent.append(now)
            found.append(delivery)
        return found

    def complete(self, delivery: Delivery) -> None:
        """Take a delivery back with its outcome: an ended one is done, any other is retried when due."""
        key = self._in_flight.pop(delivery.delivery_id)
        queue = self._queues[key]
        queue.popleft()
        if not has_ended(delivery):
            queue.appendleft(delivery)
        if queue:
            self._schedule(queue[0])
        else:
            del self._queues[key]

    def park(self, reason: str, now: Instant, wait: timedelta | None, jitter: float) -> None:
        """Park the destination: for as long as it asked for, or longer with every failure."""
        self._failures += 1
        self._failing_since = self._failing_since or now
        until = now + (wait if wait is not None else backoff(self._failures, jitter))
        self.parked = Parked(self._failing_since, self._failures, reason, until)

    def record_failure(self, reason: str, now: Instant, wait: timedelta | None, jitter: float) -> None:
        """Count a failure that need not be the destination's fault. After several in a row without success it is: a
        receiver that hangs answers nobody."""
        if self._failures + 1 >= UNHEALTHY_AFTER:
            self.park(reason, now, wait, jitter)
        else:
            self._failures += 1
            self._failing_since = self._failing_since or now

    def open(self) -> None:
        """Reopen the destination after an accepted message."""
        self.parked, self._failures, self._failing_since = None, 0, None

    def drop(self, delivery: Delivery) -> bool:
        """Remove a delivery; returns False for one in flight."""
        if delivery.delivery_id in self._in_flight:
            return False
        queue = self._queues[_ordering_key(delivery)]
        queue.remove(delivery)
        if not queue:
            del self._queues[_ordering_key(delivery)]
        elif queue[0].delivery_id not in self._in_flight:
            self._schedule(queue[0])
        return True

    def replace(self, delivery: Delivery) -> bool:
        """Replace a delivery in its place; returns False for one in flight."""
        if delivery.delivery_id in self._in_flight:
            return False
        queue = self._queues[_ordering_key(delivery)]
        queue[[one.delivery_id for one in queue].index(delivery.delivery_id)] = delivery
        return True

    def _overtaken_addresses(self, delivery: Delivery) -> list[Delivery]:
        """Remove and return what waits for single addresses of the episode, unless it lists further alerts."""
        if delivery.address is not None or delivery.items:
            return []
        keys = self._address_queues.pop(delivery.dedup_key, set())
        waiting = [one for key in sorted(keys) for one in list(self._queues.get(key, ())) if not one.items]
        return [one for one in waiting if self.drop(one)]

    def _schedule(self, delivery: Delivery) -> None:
        self._scheduled_count += 1
        heappush(self._due, (delivery.due_at, self._scheduled_count, _ordering_key(delivery)))


def _ordering_key(delivery: Delivery) -> str:
    """Return the key of the queue that keeps the order: an episode, or all grouped messages to one person. An address
    that was put off holds up no other."""
    if delivery.address is not None:
        return f"{delivery.dedup_key}/{delivery.address}"
    if delivery.group is None or delivery.channel in KEYED:
        return delivery.dedup_key
    return f"{delivery.tenant}/{delivery.person or ''}"


def decision_order(deliveries: list[Delivery]) -> list[Delivery]:
    """Sort deliveries as they were decided: by time, and the transitions of an episode one after the other."""
    return sorted(
        deliveries, key=lambda d: (d.planned_at, d.alert.at, d.alert.seq, _ORDER[d.transition], d.delivery_id)
    )


def is_overdue(delivery: Delivery, parked: Parked | None, now: Instant) -> bool:
    """Return whether a delivery has failed, or waited for a destination that is down, for so long that the fallback
    gets it."""
    if delivery.due_at > now and not delivery.attempt:
        return False
    if delivery.address is not None:
        return False  # the others of the list have got it
    since = delivery.started_at if parked is None else max(parked.since, delivery.planned_at)
    return since is not None and now - since >= FALL_BACK[delivery.alert.urgency]


def for_address(delivery: Delivery, put_off: AddressPutOff, now: Instant, jitter: float) -> Delivery:
    """Return the same message for one address of the list that was put off, while others have got it. It is retried,
    given up and listed by itself, so that nobody gets it twice."""
    return delivery.model_copy(
        update={
            "delivery_id": address_delivery_id(delivery.delivery_id, put_off.digest),
            "address": put_off.digest,
            "state": "planned",
            "status": put_off.status,
            "provider_id": "",
            "attempt": 1,
            "due_at": now + backoff(1, jitter),
            "changed_at": now,
        }
    )


def as_fallback(delivery: Delivery, to: Destination, now: Instant) -> Delivery:
    """Return the same message for another destination. Its id is that of a message of this transition to it: a
    destination that gets the alert anyway gets it once."""
    event_id = transition_id(delivery.dedup_key, delivery.alert.seq, delivery.transition)
    event_id = list_id(event_id) if delivery.items else event_id
    return delivery.model_copy(
        update={
            "delivery_id": delivery_id(event_id, to.channel, to.recipient),
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
            "address": None,
            "repeat": False,
            "fallback_of": delivery.delivery_id,
        }
    )
