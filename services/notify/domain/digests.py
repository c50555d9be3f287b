"""Messages that tell of several alerts: the most urgent first, so many of them listed and the rest counted."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from schemas.alerts import MOST_ITEMS, Alert, Delivery, DeliveryItem
from schemas.primitives import Instant
from services.notify.domain.attempts import replayed
from services.notify.domain.ids import delivery_id, list_id, transition_id


def latest(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """The last transition of every episode: what has fired and resolved since stands in one line."""
    found: dict[str, Delivery] = {}
    for delivery in deliveries:
        known = found.get(delivery.dedup_key)
        if known is None or delivery.alert.seq >= known.alert.seq:
            found[delivery.dedup_key] = delivery
    return list(found.values())


def one_message(lines: Sequence[Delivery], now: Instant) -> Delivery:
    """Of one recipient, to be sent now. Filed under its first line. What it is called follows from what it lists: the
    same after any crash."""
    first, *rest = sorted(lines, key=_rank)
    alone = replayed(first, now).model_copy(update={"status": "", "planned_at": now})
    if not rest:
        return alone
    told = transition_id(first.dedup_key, first.alert.seq, first.transition)
    items = tuple(
        DeliveryItem(program=d.program, relationship=d.relationship, alert=d.alert) for d in rest[:MOST_ITEMS]
    )
    named = delivery_id(list_id(told), first.channel, first.recipient)
    return alone.model_copy(update={"delivery_id": named, "items": items, "more": len(rest) - len(items)})


def alerts_of(delivery: Delivery) -> list[Alert]:
    """All that it lists."""
    return [delivery.alert, *(item.alert for item in delivery.items)]


def without(delivery: Delivery, relationships: AbstractSet[str]) -> Delivery | None:
    """The same message with nothing of these relationships in it; None where nothing is left of it."""
    items = tuple(item for item in delivery.items if item.relationship not in relationships)
    if delivery.relationship not in relationships:
        return delivery if items == delivery.items else delivery.model_copy(update={"items": items})
    if not items:
        return None
    first, *others = items
    return delivery.model_copy(
        update={
            "alert": first.alert,
            "program": first.program,
            "relationship": first.relationship,
            "items": tuple(others),
        }
    )


def _rank(delivery: Delivery) -> tuple[bool, str, Instant, str, str]:
    alert = delivery.alert
    return (delivery.transition == "resolved", alert.urgency, alert.since, delivery.relationship, alert.rule)
