"""When another destination gets a message in place of the one that it is for, and what it gets."""

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.domain.attempts import FALL_BACK
from services.notify.domain.ids import Destination, delivery_id, list_id, transition_id
from services.notify.domain.outbox import Parked


def is_overdue(delivery: Delivery, parked: Parked | None, now: Instant) -> bool:
    """Whether it has failed, or has waited for a destination that is down, for so long that another shall have it."""
    if delivery.due_at > now and not delivery.attempt:
        return False
    since = delivery.started_at if parked is None else max(parked.since, delivery.planned_at)
    return since is not None and now - since >= FALL_BACK[delivery.alert.urgency]


def in_place_of(delivery: Delivery, to: Destination, now: Instant) -> Delivery:
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
