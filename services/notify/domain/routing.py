"""Routing: an ordered list of routes, the owner of the programme, and from when on people may be written to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from schemas.alerts import Delivery, Urgency
from schemas.directory import Participant
from schemas.primitives import Id, Instant
from services.notify.domain.deliveries import listed_alerts
from services.notify.domain.destinations import DestinationConfig, DestinationsConfig
from services.notify.domain.guards import Clock
from services.notify.domain.ids import Destination, Recipient
from services.notify.domain.name_book import IsOff, NameBook
from services.notify.domain.preferences import AddressesOff, Preferences
from services.notify.domain.working_hours import DeliveryWindow, WorkCalendar


@dataclass(frozen=True)
class RoutingKey:
    """What a route matches on."""

    tenant: Id
    program: Id
    rule: str
    urgency: Urgency


@dataclass(frozen=True)
class Addressee:
    """A destination, the person there, and when people there may be written to (None: at any time)."""

    destination: Destination
    person: Id | None = None
    delivery_window: DeliveryWindow | None = None


@dataclass(frozen=True)
class RoutingResult:
    """The addressees and why, within 200 characters; none where no destination is left."""

    to: tuple[Addressee, ...]
    why: str


class Addressing:
    """Resolves addressees by directory and programmes as they are now."""

    def __init__(
        self, routing: DestinationsConfig, people: NameBook, off: AddressesOff, preferences: Preferences | None = None
    ) -> None:
        self.routing, self.people, self._off = routing, people, off
        self.preferences = preferences or Preferences()

    def route(self, about: RoutingKey) -> RoutingResult:
        names, why = self._match_routes(about)
        found: list[Addressee] = []
        notes: list[str] = []
        for name in names:
            receiver = self.routing.by_name.get(name)
            if receiver is None or not receiver.accepts(about.tenant, about.program):
                continue
            addressee, note = self._resolve(receiver, about)
            notes += [note] if note else []
            if addressee is not None and addressee.destination not in {one.destination for one in found}:
                found.append(addressee)
        if not found:
            return RoutingResult((), f"{why}: no destination takes it"[:200])
        to = ", ".join(one.destination.recipient for one in found)
        return RoutingResult(tuple(found), f"{why}: {to}{''.join(f'; {note}' for note in notes)}"[:200])

    def current_addressee(self, destination: Destination, about: RoutingKey) -> Addressee | None:
        """Return the current addressee of a destination; None where it no longer exists."""
        receiver = self.routing.by_name.get(destination.recipient)
        if receiver is None or receiver.destination != destination:
            return None
        return self._resolve(receiver, about)[0]

    def to_person(self, person: Id, about: RoutingKey) -> Addressee | None:
        """Return the addressee of a person: by the first destination that goes to owners, else the `otherwise`
        destination."""
        for receiver in self.routing.by_name.values():
            if not receiver.is_owner or not receiver.accepts(about.tenant, about.program):
                continue
            participant = self.people.reachable(about.tenant, person, self._is_off(receiver))
            if participant is not None:
                return self._personal_addressee(receiver, participant, about)
        otherwise = self.routing.by_name.get(self.routing.otherwise or "")
        return None if otherwise is None else self._shared_addressee(otherwise, about)

    def next_in_line(self, about: RoutingKey) -> Addressee | None:
        """Return who is next when the owner of the programme does not acknowledge; None where mails do not go to
        persons, or there is nobody else."""
        for receiver in self.routing.by_name.values():
            if receiver.is_owner and receiver.accepts(about.tenant, about.program):
                found = self.people.next_in_line(about.tenant, about.program, self._is_off(receiver))
                if found is not None:
                    return self._personal_addressee(receiver, found.person, about)
        return None

    def admins(self, excluding: str) -> list[Addressee]:
        """Return the admins to notify of a destination that is down, by another one; else the `otherwise`
        destination."""
        named = [name for name in (*self.routing.admins, self.routing.otherwise) if name and name != excluding]
        found = [self.routing.by_name[name] for name in named if name in self.routing.by_name]
        chosen = found[: max(1, len(self.routing.admins))] if found else []
        about = RoutingKey("", "", "", "P2")
        return [self._shared_addressee(one, about) for one in chosen if not one.is_owner]

    def calendar(self, tenant: Id, program: Id) -> WorkCalendar:
        return self.people.calendar(tenant, program)

    def most_per_hour(self, destination: Destination) -> int:
        receiver = self.routing.by_name.get(destination.recipient)
        return receiver.most_per_hour if receiver else DestinationConfig.most_per_hour

    def _match_routes(self, about: RoutingKey) -> tuple[Sequence[str], str]:
        if not self.routing.routes:
            return [name for name, one in self.routing.by_name.items() if one.gets_alerts], "catch-all"
        region = self.people.region(about.tenant, about.program)
        # The log is no destination of people: it gets every alert.
        names = [name for name, one in self.routing.by_name.items() if one.destination.channel == "log"]
        matched: list[str] = []
        for number, route in enumerate(self.routing.routes, 1):
            if not route.matches(about.rule, about.urgency, about.program, region):
                continue
            names += route.to
            matched.append(f"route {number} ({route.words()[:60]})")
            if not route.goes_on:
                break
        return list(dict.fromkeys(names)), ", then ".join(matched)

    def _resolve(self, receiver: DestinationConfig, about: RoutingKey) -> tuple[Addressee | None, str]:
        if not receiver.is_owner:
            return self._shared_addressee(receiver, about), ""
        owner = next(iter(self.people.owners(about.tenant, about.program, self._is_off(receiver))), None)
        if owner is not None:
            words = f"{receiver.name} is {owner.person.id} ({owner.role})"
            return self._personal_addressee(receiver, owner.person, about), words
        is_described = self.people.programme(about.tenant, about.program) is not None
        why = (
            "no coordinator, deputy or manager can be reached" if is_described else "nobody has described the programme"
        )
        otherwise = self.routing.by_name.get(self.routing.otherwise or "")
        if otherwise is None or not otherwise.accepts(about.tenant, about.program):
            return None, why
        return self._shared_addressee(otherwise, about), why

    def _is_off(self, receiver: DestinationConfig) -> IsOff:
        return partial(self._off.is_off, receiver.destination.recipient)

    def _shared_addressee(self, receiver: DestinationConfig, about: RoutingKey) -> Addressee:
        """Return the addressee of a destination without a person."""
        calendar = self.people.calendar(about.tenant, about.program)
        return self._addressee(receiver, receiver.zone or calendar.zone, about, None)

    def _personal_addressee(
        self, receiver: DestinationConfig, participant: Participant, about: RoutingKey
    ) -> Addressee:
        return self._addressee(receiver, receiver.zone or participant.time_zone, about, participant.id)

    def _addressee(self, receiver: DestinationConfig, zone: str, about: RoutingKey, person: Id | None) -> Addressee:
        if receiver.hours is None:
            return Addressee(receiver.destination, person)
        holidays = self.people.calendar(about.tenant, about.program).holidays
        hours = receiver.hours if person is None else self.preferences.hours(about.tenant, person, receiver.hours)
        return Addressee(receiver.destination, person, DeliveryWindow(hours, WorkCalendar(zone, holidays)))


def deliverable_from(delivery_window: DeliveryWindow | None, moment: Instant) -> Instant:
    """Return when a notice may be sent from this moment on; machines get it at once."""
    return moment if delivery_window is None else delivery_window.deliverable_from(moment)


@dataclass(frozen=True)
class DecisionContext:
    """The clock that decides, the wall clock, and where notices go. On the log's clock nothing is held for people."""

    clock: Clock
    now: Callable[[], Instant]
    addressing: Addressing

    def route(self, about: RoutingKey) -> RoutingResult:
        routed = self.addressing.route(about)
        if self.clock == "wall":
            return routed
        return replace(routed, to=tuple(replace(one, delivery_window=None) for one in routed.to))

    def deliverable_from(self, delivery: Delivery, now: Instant) -> Instant:
        """Return from when on the delivery may be sent: only a P1 wakes people."""
        if any(alert.urgency == "P1" for alert in listed_alerts(delivery)):
            return now
        about = RoutingKey(delivery.tenant, delivery.program, delivery.alert.rule, delivery.alert.urgency)
        found = self.current_addressees([Recipient(Destination(delivery.channel, delivery.recipient))], about)
        return deliverable_from(found[0].delivery_window, now) if found else now

    def current_addressees(self, recipients: Sequence[Recipient], about: RoutingKey) -> tuple[Addressee, ...]:
        """Return the current addressees of earlier recipients; a destination that no longer exists is left out."""
        every = [self.addressing.current_addressee(one.destination, about) for one in recipients]
        # Several may have become one, such as owners that no longer exist.
        found = {one.destination: one for one in every if one is not None}
        is_wall = self.clock == "wall"
        return tuple(one if is_wall else replace(one, delivery_window=None) for one in found.values())
