"""One message and its lifecycle: planned or held, started, and then delivered, dead, unknown, superseded, or planned
again for later, depending on the receiver's answer."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_never

from schemas.alerts import MAX_ITEMS, Alert, ChannelName, Delivery, DeliveryItem, DeliveryState, Urgency
from schemas.primitives import Id, Instant
from services.notify.domain.ids import Destination, delivery_id, list_id, transition_id
from services.notify.domain.preferences import AddressOff


@dataclass(frozen=True)
class AddressPutOff:
    """The server takes no mail for this address for now."""

    digest: str
    status: str


@dataclass(frozen=True)
class DeliveryAccepted:
    """The receiver accepted the message. `provider_id`: the receiver's id of it, if any; `refused`: digests of
    addresses refused for good, and `put_off` those refused for now, while others were accepted."""

    status: str
    provider_id: str = ""
    refused: tuple[str, ...] = ()
    put_off: tuple[AddressPutOff, ...] = ()


@dataclass(frozen=True)
class RetryLater:
    """The attempt failed, a later one may succeed. `wait`: Retry-After of the receiver, if any; `refused`: digests of
    addresses refused for good, while another was put off."""

    status: str
    wait: timedelta | None = None
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class MailboxPutOff:
    """The server works, and takes nothing for this one mailbox for now: it says nothing about the destination."""

    status: str


@dataclass(frozen=True)
class OutcomeUnknown:
    """The message was sent, and no answer came."""

    status: str


@dataclass(frozen=True)
class MessageRejected:
    """The message is at fault: others may arrive, this one will not. `refused`: digests of addresses refused for
    good."""

    status: str
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class DestinationDown:
    """The destination is at fault, or full: its deliveries wait, and none is lost."""

    status: str
    wait: timedelta | None = None


Verdict = DeliveryAccepted | RetryLater | MailboxPutOff | OutcomeUnknown | MessageRejected | DestinationDown


KEYED: frozenset[ChannelName] = frozenset({"log", "webhook", "pagerduty"})
"""Their receivers recognise a repeat by its key. A repeat through any other channel is a second message to a person."""
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=5)
# An attempt after this time is too late: somebody must look at the dead letters instead.
GIVE_UP: dict[Urgency, timedelta] = {"P1": timedelta(minutes=15), "P2": timedelta(hours=8), "P3": timedelta(hours=24)}
FALL_BACK = GIVE_UP | {"P1": timedelta(minutes=2)}
"""After this time the fallback gets the message, too: an urgent one does not wait until it is given up."""
SENT_AGAIN: frozenset[Urgency] = frozenset({"P1", "P2"})
"""Better twice than never. A P3 needs no second message: it is in the next digest."""
RETENTION = timedelta(days=30)
"""Ended deliveries are kept for so long: they are listed, dead letters are replayed, and nothing is sent twice."""
LONGEST_STATUS, LONGEST_PROVIDER_ID = 512, 256
"""The limits of the schema."""
UNCERTAIN = "nobody knows whether it arrived"
INTERRUPTED = f"interrupted: {UNCERTAIN}"


@dataclass(frozen=True)
class AttemptResult:
    """The verdict on an attempt, when, and after how many seconds."""

    verdict: Verdict
    at: Instant
    seconds: float


def new_delivery(alert: Alert, about: tuple[Id, Id, Id], to: Destination, event_id: str, at: Instant) -> Delivery:
    """Return a delivery of an alert to one destination. `about`: tenant, programme and subject; `event_id`: the
    transition or occasion that its id is derived from."""
    tenant, program, subject = about
    return Delivery(
        delivery_id=delivery_id(event_id, to.channel, to.recipient),
        dedup_key=alert.dedup_key,
        transition=alert.transition,
        channel=to.channel,
        recipient=to.recipient,
        state="planned",
        attempt=0,
        planned_at=at,
        due_at=at,
        changed_at=at,
        alert=alert,
        tenant=tenant,
        program=program,
        relationship=subject,
    )


def start_attempt(delivery: Delivery, at: Instant) -> Delivery:
    """Start an attempt. An unknown delivery on a channel without keys may be a repeat now, and says so: its old body is
    discarded."""
    is_second = delivery.state == "unknown" and delivery.channel not in KEYED
    again: dict[str, Any] = {"repeat": True, "body": None} if is_second else {}
    return delivery.model_copy(
        update={
            "state": "started",
            "attempt": delivery.attempt + 1,
            "started_at": delivery.started_at or at,
            "changed_at": at,
            "status": "",
            "latency_seconds": None,
            **again,
        }
    )


def apply_result(delivery: Delivery, answer: AttemptResult, jitter: float) -> Delivery:
    """Return the delivery after an attempt. `jitter`: a random number from 0 to 1."""
    match answer.verdict:
        case DeliveryAccepted(status=status, provider_id=provider_id):
            done = _with_state(delivery, answer, "delivered", status)
            return done.model_copy(update={"provider_id": provider_id[:LONGEST_PROVIDER_ID]})
        case MessageRejected(status=status):
            return _with_state(delivery, answer, "dead", status)
        case RetryLater(status, wait):
            return _retry_later(
                delivery, answer, status, wait if wait is not None else backoff(delivery.attempt, jitter)
            )
        case MailboxPutOff(status):
            return _retry_later(delivery, answer, status, backoff(delivery.attempt, jitter))
        case OutcomeUnknown(status) if delivery.channel in KEYED:
            return _retry_later(delivery, answer, status, backoff(delivery.attempt, jitter))
        case OutcomeUnknown(status):
            due = answer.at + backoff(delivery.attempt, jitter)
            return _with_state(delivery, answer, "unknown", status).model_copy(update={"due_at": due})
        case DestinationDown(status):
            # The give-up clock starts anew when the destination is back: the message was not at fault.
            update: dict[str, Any] = {"due_at": answer.at, "started_at": None}
            return _with_state(delivery, answer, "planned", status).model_copy(update=update)
        case _:
            assert_never(answer.verdict)


def refused_addresses(delivery: Delivery, answer: AttemptResult) -> list[AddressOff]:
    """Return the addresses that the server refused for good in this attempt."""
    verdict = answer.verdict
    refused = verdict.refused if isinstance(verdict, DeliveryAccepted | MessageRejected | RetryLater) else ()
    return [
        AddressOff(
            destination=delivery.recipient,
            digest=digest,
            tenant=delivery.tenant if delivery.person else None,
            person=delivery.person,
            since=answer.at,
            status=verdict.status[:64],
        )
        for digest in refused
    ]


def recover_interrupted(delivery: Delivery, at: Instant) -> Delivery:
    """Mark a delivery whose outcome the previous run has not written as unknown."""
    if delivery.state != "started":
        return delivery
    return delivery.model_copy(update={"state": "unknown", "status": INTERRUPTED, "changed_at": at, "due_at": at})


def as_held(delivery: Delivery) -> Delivery:
    return delivery.model_copy(update={"state": "held"}) if delivery.state == "planned" else delivery


def supersede(delivery: Delivery, by: Delivery, at: Instant) -> Delivery:
    reason = f"{delivery.status if delivery.address else UNCERTAIN}, and {by.transition} came after it"
    return _with_state(delivery, AttemptResult(MessageRejected(reason), at, seconds=0.0), "superseded", reason)


def mark_dead(delivery: Delivery, reason: str, at: Instant) -> Delivery:
    """Mark a delivery that cannot be attempted as dead."""
    return _with_state(delivery, AttemptResult(MessageRejected(reason), at, seconds=0.0), "dead", reason)


def drop_held(delivery: Delivery, reason: str, at: Instant) -> Delivery:
    """End a held delivery that is not sent by itself."""
    return _with_state(delivery, AttemptResult(MessageRejected(reason), at, seconds=0.0), "superseded", reason)


def reset_for_replay(delivery: Delivery, at: Instant) -> Delivery:
    """Reset a delivery as if it had never been attempted; its id stays the same."""
    return delivery.model_copy(
        update={
            "state": "planned",
            "attempt": 0,
            "due_at": at,
            "started_at": None,
            "changed_at": at,
            "status": "replayed",
            "latency_seconds": None,
            "repeat": delivery.repeat or delivery.state == "unknown",
            "body": None,
        }
    )


def has_ended(delivery: Delivery) -> bool:
    """Return whether nothing more will be done about the delivery."""
    match delivery.state:
        case "delivered" | "dead" | "superseded":
            return True
        case "unknown":
            # Re-sent once, marked, where a person waits for it; re-sent as often as needed where the receiver knows it
            # by its key.
            is_wanted = delivery.alert.urgency in SENT_AGAIN and not delivery.repeat
            return delivery.channel not in KEYED and not is_wanted
        case "planned" | "held" | "started":
            return False
        case _:
            assert_never(delivery.state)


def is_given_up(delivery: Delivery) -> bool:
    """Return whether it has ended without certainly having arrived: a person may replay or discard it."""
    return has_ended(delivery) and delivery.state in {"dead", "unknown"}


def backoff(attempt: int, jitter: float) -> timedelta:
    """Full jitter: anything from zero to the bound, which doubles from 1 s to 5 min, so that many deliveries that
    failed together do not come back together."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** max(0, min(attempt - 1, 20))) * jitter


def _retry_later(delivery: Delivery, answer: AttemptResult, status: str, wait: timedelta) -> Delivery:
    due = answer.at + wait
    if due - (delivery.started_at or answer.at) > GIVE_UP[delivery.alert.urgency]:
        return _with_state(delivery, answer, "dead", f"given up after {delivery.attempt} attempts: {status}")
    return _with_state(delivery, answer, "planned", status).model_copy(update={"due_at": due})


def _with_state(delivery: Delivery, answer: AttemptResult, state: DeliveryState, status: str) -> Delivery:
    return delivery.model_copy(
        update={
            "state": state,
            "status": status[:LONGEST_STATUS],
            "changed_at": answer.at,
            "latency_seconds": answer.seconds,
        }
    )


def fold_messages(lines: Sequence[Delivery], now: Instant) -> Delivery:
    """Fold deliveries of one recipient into one message, to be sent now. Its id follows from the lines it lists: the
    same after any crash."""
    first, *rest = sorted(
        lines, key=lambda d: (d.transition == "resolved", d.alert.urgency, d.alert.since, d.relationship, d.alert.rule)
    )
    alone = reset_for_replay(first, now).model_copy(update={"status": "", "planned_at": now})
    if not rest:
        return alone
    event_id = transition_id(first.dedup_key, first.alert.seq, first.transition)
    items = tuple(DeliveryItem(program=d.program, relationship=d.relationship, alert=d.alert) for d in rest[:MAX_ITEMS])
    message_id = delivery_id(list_id(event_id), first.channel, first.recipient)
    return alone.model_copy(update={"delivery_id": message_id, "items": items, "more": len(rest) - len(items)})


def listed_alerts(delivery: Delivery) -> list[Alert]:
    """Return all alerts that the message lists."""
    return [delivery.alert, *(item.alert for item in delivery.items)]


def without_relationships(delivery: Delivery, relationships: AbstractSet[str]) -> Delivery | None:
    """Return the message without these relationships; None where nothing is left."""
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
