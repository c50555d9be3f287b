"""Deliveries in words: each message, each destination, and sending as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.board.access import BoardPerson
from services.notify.board.acts import may_resolve_again
from services.notify.board.rows import AlertReader, AlertRow
from services.notify.domain.deliveries import has_ended
from services.notify.domain.ids import subject_key
from services.notify.domain.notices import NOTICES, is_notice
from services.notify.domain.subjects import SubjectWatch
from services.notify.rendering import phrases

RECENT = timedelta(hours=24)
MAX_DELIVERIES = 200
DELIVERY_WORDS: Mapping[str, str] = {
    "planned": "Waits",
    "held": "Held back",
    "started": "Being sent",
    "unknown": "Unknown",
    "delivered": "Delivered",
    "dead": "Not delivered",
    "superseded": "Superseded",
}


@dataclass(frozen=True)
class DeliveryRow:
    """A message in words: `link` is empty where it is about no alert; `more`: the number of further alerts in it."""

    delivery: Delivery
    words: str
    transition: str
    about: str
    link: str
    is_dead: bool
    may_resolve_again: bool
    more: int


@dataclass(frozen=True)
class DeliveryLight:
    """The state of sending: good, waiting or bad."""

    state: str
    words: str


@dataclass(frozen=True)
class DestinationLine:
    name: str
    channel: str
    last_delivered: Instant | None
    waiting: int
    dead: int
    trouble: str


def delivery_row(reader: AlertReader, delivery: Delivery) -> DeliveryRow:
    naming, kind = reader.people.naming(delivery.tenant, delivery.program, delivery.relationship), "pair"
    about, link = naming.pair, f"/alerts/{delivery.dedup_key}"
    if delivery.alert.subject_kind != "relationship":
        kind, watch = delivery.alert.subject_kind, reader.state.any_watch(subject_key(delivery))
        about = f"{kind} {watch.source}" if isinstance(watch, SubjectWatch) and watch.source else None
    about = f"{about or f'{kind} {delivery.relationship}'}: {phrases.topic(delivery.alert)}"
    if is_notice(delivery):
        # A notice links to no alert.
        about, link = NOTICES[delivery.alert.rule].headline, ""
    return DeliveryRow(
        delivery=delivery,
        words=DELIVERY_WORDS[delivery.state],
        transition=phrases.word(delivery.alert),
        about=about,
        link=link,
        is_dead=delivery.state in {"dead", "unknown"},
        may_resolve_again=may_resolve_again(delivery),
        more=len(delivery.items) + delivery.more,
    )


def message_row(reader: AlertReader, row: AlertRow, delivery: Delivery) -> DeliveryRow:
    """Return it as a message of this alert: its other alerts may be of programmes that the person does not see."""
    alerts_by_key = {
        delivery.dedup_key: delivery.alert,
        **{item.alert.dedup_key: item.alert for item in delivery.items},
    }
    transition = phrases.word(alerts_by_key[row.key])
    return replace(
        delivery_row(reader, delivery), about=f"{row.who}: {row.topic}", link=row.link, transition=transition
    )


def visible_deliveries(reader: AlertReader, person: BoardPerson) -> list[Delivery]:
    """Return the deliveries all of whose alerts the person may see, the newest first."""
    found = [
        one
        for one in reader.state.deliveries()
        if person.can_see_all(one.tenant, [one.program, *(item.program for item in one.items)])
    ]
    return sorted(found, key=lambda one: (one.changed_at, one.delivery_id), reverse=True)


def delivery_light(reader: AlertReader, person: BoardPerson) -> DeliveryLight:
    found = destinations(reader, person)
    last = max((one.last_delivered for one in found if one.last_delivered), default=None)
    if not found:
        return DeliveryLight("good", "Nothing has been sent yet")
    proven = f"last proven {last:%a %H:%M} UTC" if last else "nothing has arrived yet"
    failing = [one.name for one in found if one.trouble]
    dead = sum(one.dead for one in found)
    if failing:
        return DeliveryLight("bad", f"Messages do not arrive at {', '.join(failing[:3])}; {proven}")
    if dead:
        return DeliveryLight("bad", f"{dead} {'message was' if dead == 1 else 'messages were'} given up; {proven}")
    waiting = sum(one.waiting for one in found)
    if waiting:
        return DeliveryLight("waiting", f"{waiting} {'message waits' if waiting == 1 else 'messages wait'}; {proven}")
    return DeliveryLight("good", f"Messages arrive; {proven}")


def destinations(reader: AlertReader, person: BoardPerson) -> list[DestinationLine]:
    """Return the destinations by their deliveries of 30 days; the log is no destination of people."""
    by_destination: dict[tuple[str, str], list[Delivery]] = {}
    for one in visible_deliveries(reader, person):
        if one.channel != "log":
            by_destination.setdefault((one.recipient, one.channel), []).append(one)
    return [_destination(*key, deliveries) for key, deliveries in sorted(by_destination.items())]


def _destination(name: str, channel: str, deliveries: Sequence[Delivery]) -> DestinationLine:
    """`deliveries`: the newest first."""
    waiting = [one for one in deliveries if not has_ended(one)]
    # One address of a list that is put off says nothing about the destination.
    tried = [one for one in waiting if one.attempt and one.state == "planned" and one.status]
    failing = [one for one in tried if one.address is None]
    newest = deliveries[0].changed_at
    return DestinationLine(
        name=name,
        channel=channel,
        last_delivered=next((one.changed_at for one in deliveries if one.state == "delivered"), None),
        waiting=len(waiting),
        dead=sum(one.state == "dead" and newest - one.changed_at <= RECENT for one in deliveries),
        trouble=failing[0].status if failing else "",
    )
