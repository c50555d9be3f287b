"""Names by directory, programmes and roster as they are now: looked up when a message is rendered, stored nowhere
else."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from unicodedata import bidirectional, category

from schemas.directory import Participant
from schemas.primitives import Side
from schemas.programs import Programme
from services.notify.domain.wording import isolate
from services.notify.domain.working_hours import WorkCalendar

IsOff = Callable[[str], bool]
"""Whether an address takes no mail."""
MAX_NAMED = 3
"""Per side of a relationship: a group of twenty mentees is named by its first ones and counted."""

_TURNS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


class Erased(NamedTuple):
    """An erased person or relationship."""

    kind: str
    tenant: str
    id: str


class PairRecord(NamedTuple):
    """The mentors and mentees of a relationship, by id."""

    mentors: tuple[str, ...]
    mentees: tuple[str, ...]


class PairContact(NamedTuple):
    """One person of a relationship. `address`: mail, None where the directory has none."""

    side: Side
    name: str
    address: str | None


@dataclass(frozen=True)
class MessageNames:
    """The names that a message may use. `pair`: names of both sides, None where nobody is known; `each`: the mentor and
    the mentee, where they are one person each. `calendar`: of the programme. `people`: the ids of everybody whose name
    is used."""

    pair: str | None = None
    each: tuple[str, str] | None = None
    owner: str | None = None
    calendar: WorkCalendar = field(default_factory=WorkCalendar)
    people: tuple[str, ...] = ()

    @property
    def zone(self) -> str:
        return self.calendar.zone


@dataclass(frozen=True)
class Owner:
    """The person who looks after a programme, and the role."""

    person: Participant
    role: str


@dataclass
class NameBook:
    """A projection of names. Erased or unreadable records are removed, so that no message uses an outdated name."""

    _participants: dict[tuple[str, str], Participant] = field(default_factory=dict)
    _programs: dict[tuple[str, str], Programme] = field(default_factory=dict)
    _pairs: dict[tuple[str, str], PairRecord] = field(default_factory=dict)

    def upsert(self, participant: Participant) -> None:
        self._participants[participant.tenant, participant.id] = participant

    def forget(self, tenant: str, participant: str) -> None:
        self._participants.pop((tenant, participant), None)

    def upsert_programme(self, programme: Programme) -> None:
        self._programs[programme.tenant, programme.id] = programme

    def remove_programme(self, tenant: str, program: str) -> None:
        self._programs.pop((tenant, program), None)

    def upsert_pair(self, tenant: str, relationship: str, record: PairRecord) -> None:
        self._pairs[tenant, relationship] = record

    def single_person(self, tenant: str, relationship: str, side: Side) -> str | None:
        """Return the person of that side, where it is exactly one."""
        record = self._pairs.get((tenant, relationship))
        people = () if record is None else record.mentors if side == "mentor" else record.mentees
        return people[0] if len(people) == 1 else None

    def contacts(self, tenant: str, relationship: str) -> list[PairContact]:
        """Return the first people of both sides, with the address that the directory has now."""
        record = self._pairs.get((tenant, relationship), PairRecord((), ()))
        sides: list[tuple[Side, tuple[str, ...]]] = [("mentor", record.mentors), ("mentee", record.mentees)]
        return [
            PairContact(side, name, next(iter(self._participants[tenant, one].addresses), None))
            for side, people in sides
            for one in people[:MAX_NAMED]
            if (name := self._name(tenant, one, {}))
        ]

    def remove_pair(self, tenant: str, relationship: str) -> None:
        self._pairs.pop((tenant, relationship), None)

    def name(self, tenant: str, participant: str) -> str | None:
        """Return the name; None where the id is unknown."""
        return self._name(tenant, participant, {})

    def programme(self, tenant: str, program: str) -> Programme | None:
        return self._programs.get((tenant, program))

    def calendar(self, tenant: str, program: str) -> WorkCalendar:
        """Return the calendar of a programme; of an unknown one the weekdays in UTC."""
        found = self._programs.get((tenant, program))
        return WorkCalendar(found.time_zone, frozenset(found.holidays)) if found else WorkCalendar()

    def region(self, tenant: str, program: str) -> str:
        found = self._programs.get((tenant, program))
        return found.region if found else ""

    def participant(self, tenant: str, participant: str) -> Participant | None:
        return self._participants.get((tenant, participant))

    def roles_of(self, tenant: str, person: str) -> list[tuple[str, str]]:
        """Return the programmes that name the person, each with the first role, by name."""
        found: dict[str, str] = {}
        for programme in list(self._programs.values()):
            for role, one in _roles(programme) if programme.tenant == tenant else ():
                if one == person:
                    found.setdefault(programme.id, role)
        return sorted(found.items())

    def reachable(self, tenant: str, person: str, is_off: IsOff) -> Participant | None:
        """Return the person if active and with an address that takes mail."""
        return self._participants.get((tenant, person)) if self.address_of(tenant, person, is_off) else None

    def address_of(self, tenant: str, person: str, is_off: IsOff) -> str | None:
        """Return the first address that takes mail, if the person is active."""
        participant = self._participants.get((tenant, person))
        addresses = participant.addresses if participant is not None and participant.status == "active" else ()
        return next((one for one in addresses if not is_off(one)), None)

    def owners(self, tenant: str, program: str, is_off: IsOff) -> list[Owner]:
        """Return coordinator, deputy and manager, in this order, as far as they can be reached: the first owns the
        programme, the next one is asked when nobody answers."""
        programme = self._programs.get((tenant, program))
        return [
            Owner(found, role)
            for role, one in (_roles(programme) if programme else ())
            if (found := self.reachable(tenant, one, is_off)) is not None
        ]

    def next_in_line(self, tenant: str, program: str, is_off: IsOff) -> Owner | None:
        """Return who is asked when the owner does not answer: the second who can be reached."""
        owners = self.owners(tenant, program, is_off)
        return next((one for one in owners if one.person.id != owners[0].person.id), None)

    def naming(self, tenant: str, program: str, relationship: str) -> MessageNames:
        people: dict[str, str] = {}
        record = self._pairs.get((tenant, relationship), PairRecord((), ()))
        mentors, mentees = (self._side(tenant, side, people) for side in (record.mentors, record.mentees))
        are_two = mentors and mentees and len(record.mentors) == len(record.mentees) == 1
        programme, owner = self._programs.get((tenant, program)), None
        for role, one in _roles(programme) if programme else ():
            # The first who is known and active.
            participant_ = self._participants.get((tenant, one))
            if owner is None and participant_ is not None and participant_.status == "active":
                owner = f"{self._name(tenant, one, people) or one} ({role})"
        return MessageNames(
            pair=" & ".join(filter(None, (mentors, mentees))) or None,
            each=(mentors, mentees) if are_two else None,
            owner=owner,
            calendar=self.calendar(tenant, program),
            people=tuple(people),
        )

    def _side(self, tenant: str, side: tuple[str, ...], named: dict[str, str]) -> str:
        """`Ana Ruiz, Ben Ode and 3 more`"""
        names = [name for one in side[:MAX_NAMED] if (name := self._name(tenant, one, named))]
        more = len(side) - MAX_NAMED
        return ", ".join(names) + (f" and {more} more" if names and more > 0 else "")

    def _name(self, tenant: str, participant: str, named: dict[str, str]) -> str | None:
        person = self._participants.get((tenant, participant))
        if person is None:
            return None
        # A name is one line, whatever a directory has.
        shown = "".join(one for one in " ".join(person.name.split()) if not _is_unseen(one)).strip()
        if not shown:
            return None
        named[participant] = isolate(shown)
        return named[participant]


def _is_unseen(one: str) -> bool:
    """Control characters, and signs that turn the direction of what follows a name."""
    return category(one) == "Cc" or bidirectional(one) in _TURNS


def _roles(programme: Programme) -> list[tuple[str, str]]:
    """Return the people who look after it, in order."""
    roles = (
        ("coordinator", programme.coordinator),
        ("deputy", programme.deputy),
        ("manager", programme.manager),
    )
    return [(role, one) for role, one in roles if one is not None]
