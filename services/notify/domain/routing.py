"""Where an alert goes: an ordered list of routes, whoever looks after the programme, and from when on people may be
told."""

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
from services.notify.domain.working_hours import Receiving, WorkCalendar


@dataclass(frozen=True)
class RoutingKey:
    """What a route looks at."""

    tenant: Id
    program: Id
    rule: str
    urgency: Urgency


@dataclass(frozen=True)
class Addressee:
    """A destination, the person there, and when people there may be written to (None: at once)."""

    destination: Destination
    person: Id | None = None
    receiving: Receiving | None = None


@dataclass(frozen=True)
class RoutingResult:
    """Where it goes and why, within 200 characters; to nobody where no destination is left."""

    to: tuple[Addressee, ...]
    why: str


class Addressing:
    """Asks directory and programmes as they are now."""

    def __init__(
        self, routing: DestinationsConfig, people: NameBook, off: AddressesOff, preferences: Preferences | None = None
    ) -> None:
        self.routing, self.people, self._off = routing, people, off
        self.preferences = preferences or Preferences()

    def routed(self, about: RoutingKey) -> RoutingResult:
        names, why = self._matched(about)
        found: list[Addressee] = []
        notes: list[str] = []
        for name in names:
            receiver = self.routing.by_name.get(name)
            if receiver is None or not receiver.accepts(about.tenant, about.program):
                continue
            addressee, note = self._addressed(receiver, about)
            notes += [note] if note else []
            if addressee is not None and addressee.destination not in {one.destination for one in found}:
                found.append(addressee)
        if not found:
            return RoutingResult((), f"{why}: no destination takes it"[:200])
        to = ", ".join(one.destination.recipient for one in found)
        return RoutingResult(tuple(found), f"{why}: {to}{''.join(f'; {note}' for note in notes)}"[:200])

    def current_addressee(self, destination: Destination, about: RoutingKey) -> Addressee | None:
        """As it is now what was routed before. None where the destination is no more."""
        receiver = self.routing.by_name.get(destination.recipient)
        if receiver is None or receiver.destination != destination:
            return None
        return self._addressed(receiver, about)[0]

    def to_person(self, person: Id, about: RoutingKey) -> Addressee | None:
        """To somebody by name: by the first destination that goes to owners, else to whom it goes otherwise."""
        for receiver in self.routing.by_name.values():
            if not receiver.is_owner or not receiver.accepts(about.tenant, about.program):
                continue
            known = self.people.reachable(about.tenant, person, self._is_off(receiver))
            if known is not None:
                return self._person(receiver, known, about)
        otherwise = self.routing.by_name.get(self.routing.otherwise or "")
        return None if otherwise is None else self._anybody(otherwise, about)

    def next_in_line(self, about: RoutingKey) -> Addressee | None:
        """Who is asked when whoever looks after the programme does not acknowledge; None where mails do not go to
        persons, or nobody else looks after it."""
        for receiver in self.routing.by_name.values():
            if receiver.is_owner and receiver.accepts(about.tenant, about.program):
                found = self.people.next_in_line(about.tenant, about.program, self._is_off(receiver))
                if found is not None:
                    return self._person(receiver, found.person, about)
        return None

    def admins(self, besides: str) -> list[Addressee]:
        """Who hears of destinations that are down, but by the one that is; else whoever gets what nobody can."""
        named = [name for name in (*self.routing.admins, self.routing.otherwise) if name and name != besides]
        found = [self.routing.by_name[name] for name in named if name in self.routing.by_name]
        wanted = found[: max(1, len(self.routing.admins))] if found else []
        about = RoutingKey("", "", "", "P2")
        return [self._anybody(one, about) for one in wanted if not one.is_owner]

    def calendar(self, tenant: Id, program: Id) -> WorkCalendar:
        return self.people.calendar(tenant, program)

    def most_per_hour(self, destination: Destination) -> int:
        receiver = self.routing.by_name.get(destination.recipient)
        return receiver.most_per_hour if receiver else DestinationConfig.most_per_hour

    def _matched(self, about: RoutingKey) -> tuple[Sequence[str], str]:
        if not self.routing.routes:
            return [name for name, one in self.routing.by_name.items() if one.gets_alerts], "catch-all"
        region = self.people.region(about.tenant, about.program)
        # The log is no destination of people: it has a line of everything.
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

    def _addressed(self, receiver: DestinationConfig, about: RoutingKey) -> tuple[Addressee | None, str]:
        if not receiver.is_owner:
            return self._anybody(receiver, about), ""
        owner = next(iter(self.people.owners(about.tenant, about.program, self._is_off(receiver))), None)
        if owner is not None:
            words = f"{receiver.name} is {owner.person.id} ({owner.role})"
            return self._person(receiver, owner.person, about), words
        is_described = self.people.programme(about.tenant, about.program) is not None
        why = (
            "no coordinator, deputy or manager can be reached" if is_described else "nobody has described the programme"
        )
        otherwise = self.routing.by_name.get(self.routing.otherwise or "")
        if otherwise is None or not otherwise.accepts(about.tenant, about.program):
            return None, why
        return self._anybody(otherwise, about), why

    def _is_off(self, receiver: DestinationConfig) -> IsOff:
        return partial(self._off.is_off, receiver.destination.recipient)

    def _anybody(self, receiver: DestinationConfig, about: RoutingKey) -> Addressee:
        """Whoever reads there."""
        calendar = self.people.calendar(about.tenant, about.program)
        return self._addressee(receiver, receiver.zone or calendar.zone, about, None)

    def _person(self, receiver: DestinationConfig, known: Participant, about: RoutingKey) -> Addressee:
        return self._addressee(receiver, receiver.zone or known.time_zone, about, known.id)

    def _addressee(self, receiver: DestinationConfig, zone: str, about: RoutingKey, person: Id | None) -> Addressee:
        if receiver.hours is None:
            return Addressee(receiver.destination, person)
        holidays = self.people.calendar(about.tenant, about.program).holidays
        hours = receiver.hours if person is None else self.preferences.hours(about.tenant, person, receiver.hours)
        return Addressee(receiver.destination, person, Receiving(hours, WorkCalendar(zone, holidays)))


def deliverable_from(receiving: Receiving | None, moment: Instant) -> Instant:
    """Machines at once."""
    return moment if receiving is None else receiving.deliverable_from(moment)


@dataclass(frozen=True)
class DecisionContext:
    """Whose clock decides, the wall clock, and where notices go. On the log's clock nobody sleeps: nothing is held for
    people."""

    clock: Clock
    now: Callable[[], Instant]
    addressing: Addressing

    def routed(self, about: RoutingKey) -> RoutingResult:
        routed = self.addressing.routed(about)
        if self.clock == "wall":
            return routed
        return replace(routed, to=tuple(replace(one, receiving=None) for one in routed.to))

    def opens(self, delivery: Delivery, now: Instant) -> Instant:
        """From when on it may be sent: what wakes people is P1 alone."""
        if any(alert.urgency == "P1" for alert in listed_alerts(delivery)):
            return now
        about = RoutingKey(delivery.tenant, delivery.program, delivery.alert.rule, delivery.alert.urgency)
        found = self.current_addressees([Recipient(Destination(delivery.channel, delivery.recipient))], about)
        return deliverable_from(found[0].receiving, now) if found else now

    def current_addressees(self, recipients: Sequence[Recipient], about: RoutingKey) -> tuple[Addressee, ...]:
        """Those that were told before, as they are now; a destination that is no more is left out."""
        every = [self.addressing.current_addressee(one.destination, about) for one in recipients]
        # Several may have become one, such as owners whom nobody is any more.
        found = {one.destination: one for one in every if one is not None}
        asleep = self.clock == "wall"
        return tuple(one if asleep else replace(one, receiving=None) for one in found.values())
