"""The ledger of deliveries that ended in the last 30 days: none is sent twice, fallback recipients get the end of an
episode, and erasures find what they name."""

from collections import defaultdict
from heapq import heappop, heappush
from typing import NamedTuple

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.domain.deliveries import RETENTION
from services.notify.domain.ids import Destination

MAY_HAVE_ARRIVED = frozenset({"delivered", "unknown", "superseded"})
"""States of a delivery that has arrived, or may have."""


class FinishedDelivery(NamedTuple):
    """`dedup_keys`: of all episodes that it lists."""

    dedup_keys: tuple[str, ...]
    ended_at: Instant
    tenant: str
    relationships: tuple[str, ...]
    people: tuple[str, ...]


class Ledger:
    def __init__(self) -> None:
        self._finished: dict[str, FinishedDelivery] = {}
        self._by_age: list[tuple[Instant, str]] = []
        self._stand_ins: dict[str, dict[str, Destination]] = defaultdict(dict)
        # Ids of deliveries by tenant and relationship, and by tenant and person.
        self._of_relationship: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._naming: dict[tuple[str, str], set[str]] = defaultdict(set)

    def __contains__(self, delivery_id: str) -> bool:
        return delivery_id in self._finished

    def add(self, delivery: Delivery) -> None:
        """Add an ended delivery."""
        relationships = (delivery.relationship, *(item.relationship for item in delivery.items))
        finished = FinishedDelivery(
            (delivery.dedup_key, *(item.alert.dedup_key for item in delivery.items)),
            delivery.changed_at,
            delivery.tenant,
            relationships,
            (*delivery.people, *([delivery.person] if delivery.person else [])),
        )
        self._finished[delivery.delivery_id] = finished
        heappush(self._by_age, (delivery.changed_at, delivery.delivery_id))
        for relationship in relationships:
            self._of_relationship[delivery.tenant, relationship].add(delivery.delivery_id)
        for person in finished.people:
            self._naming[delivery.tenant, person].add(delivery.delivery_id)
        if delivery.fallback_of is not None and delivery.state in MAY_HAVE_ARRIVED:
            for dedup_key in finished.dedup_keys:
                self._stand_ins[dedup_key][delivery.delivery_id] = Destination(delivery.channel, delivery.recipient)

    def remove(self, delivery_id: str) -> None:
        """Remove a delivery that is replayed or erased."""
        finished = self._finished.pop(delivery_id, None)
        if finished is None:
            return
        for relationship in finished.relationships:
            _discard(self._of_relationship, (finished.tenant, relationship), delivery_id)
        for person in finished.people:
            _discard(self._naming, (finished.tenant, person), delivery_id)
        for dedup_key in finished.dedup_keys:
            stand_ins = self._stand_ins.get(dedup_key, {})
            if stand_ins.pop(delivery_id, None) and not stand_ins:
                del self._stand_ins[dedup_key]

    def expired(self, now: Instant) -> list[str]:
        """Remove deliveries past their retention, and return their ids."""
        found = []
        while self._by_age and self._by_age[0][0] <= now - RETENTION:
            ended_at, delivery_id = heappop(self._by_age)
            finished = self._finished.get(delivery_id)
            if finished is not None and finished.ended_at == ended_at:
                self.remove(delivery_id)
                found.append(delivery_id)
        return found

    def fallback_recipients(self, dedup_key: str) -> set[Destination]:
        """Return the destinations that got, or may have got, a notice of the episode as fallback."""
        return set(self._stand_ins.get(dedup_key, {}).values())

    def of_relationship(self, tenant: str, relationship: str) -> list[str]:
        return sorted(self._of_relationship.get((tenant, relationship), ()))

    def mentioning(self, tenant: str, person: str) -> list[str]:
        return sorted(self._naming.get((tenant, person), ()))


def _discard(index: dict[tuple[str, str], set[str]], key: tuple[str, str], delivery_id: str) -> None:
    index[key].discard(delivery_id)
    if not index[key]:
        del index[key]
