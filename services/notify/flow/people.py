"""Follows directory, programmes and roster, so that messages can name people; and tells who was erased."""

from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.directory import Participant
from schemas.programs import Programme
from services.notify.domain.name_book import NameBook, PairRecord
from services.notify.flow.report import Metrics
from services.notify.names import Names
from services.runtime import log
from services.runtime.kafka import Record, read_to_end
from services.runtime.settings import Settings
from services.runtime.unexpected import described
from services.validation_errors import places

STARTED = "mentoring.relationship.started.v1"
LONGEST_SHOWN = 100
"""A key may have a megabyte."""


class Erased(NamedTuple):
    """A person, or a relationship, of whom nothing is known any more."""

    kind: str
    tenant: str
    id: str


class PeopleRecords:
    """Applies records on the thread that follows; `erased` is for the thread that decides."""

    def __init__(self, people: NameBook, names: Names, metrics: Metrics) -> None:
        self._people, self._names, self._metrics = people, names, metrics
        self._erased: SimpleQueue[Erased] = SimpleQueue()
        self._away: SimpleQueue[tuple[str, str]] = SimpleQueue()

    def erased(self) -> list[Erased]:
        """Since it was last asked for; nobody who was described again meanwhile. At a start everybody whose tombstone
        is still there."""
        found: list[Erased] = []
        while True:
            try:
                one = self._erased.get_nowait()
            except Empty:
                return found
            if one.kind == "relationship" or not self._people.knows(one.tenant, one.id):
                found.append(one)

    def away(self) -> list[tuple[str, str]]:
        """Who was said to be on leave, or to have left, since it was last asked for, by tenant and id. At a start
        everybody who is."""
        found: list[tuple[str, str]] = []
        while not self._away.empty():
            found.append(self._away.get_nowait())
        return found

    def apply(self, record: Record) -> None:
        """What cannot be read is told, and nobody is called what once was known."""
        tenant, slash, subject = (record.key or b"").decode(errors="replace").partition("/")
        if not slash:
            return  # how far the projector is
        try:
            self._applied(record, tenant, subject)
        except ValidationError as invalid:
            self._leave_out(record, tenant, subject, "; ".join(places(invalid)))
        except Exception as failure:  # noqa: BLE001 (told; whatever it was, the next record is read)
            self._leave_out(record, tenant, subject, str(described(failure)))

    def _applied(self, record: Record, tenant: str, subject: str) -> None:
        if record.topic == self._names.directory:
            if record.value is None:
                self._forget("person", tenant, subject)
            else:
                person = Participant.model_validate_json(record.value)
                self._people.upsert(person)
                if person.status != "active":
                    self._away.put((person.tenant, person.id))
        elif record.topic == self._names.programs:
            if record.value is None:
                self._people.undescribe(tenant, subject)
            else:
                self._people.describe(Programme.model_validate_json(record.value))
        elif record.value is None:
            self._people.part(tenant, subject)
        else:
            self._pair(tenant, subject, _RosterEntry.model_validate_json(record.value))

    def _pair(self, tenant: str, relationship: str, entry: "_RosterEntry") -> None:
        starts = [(key[3], fact) for key, fact in entry.history.facts if key[2] == STARTED]
        if entry.erased:
            self._forget("relationship", tenant, relationship)
        elif starts:
            _, (_, mentors, mentees, *_) = max(starts, key=lambda start: str(start[0]))
            self._people.pair(tenant, relationship, PairRecord(tuple(sorted(mentors)), tuple(sorted(mentees))))

    def _forget(self, kind: str, tenant: str, subject: str) -> None:
        if kind == "person":
            self._people.forget(tenant, subject)
        else:
            self._people.part(tenant, subject)
        self._erased.put(Erased(kind, tenant, subject))

    def _leave_out(self, record: Record, tenant: str, subject: str, reason: str) -> None:
        if record.topic == self._names.directory:
            self._people.forget(tenant, subject)
        elif record.topic == self._names.programs:
            self._people.undescribe(tenant, subject)
        else:
            self._people.part(tenant, subject)
        self._metrics.people_unreadable.inc()
        log.get(__name__).error(
            "person_unreadable",
            topic=record.topic,
            key=f"{tenant}/{subject}"[:LONGEST_SHOWN],
            offset=record.offset,
            reason=reason,
        )


def read_people(settings: Settings, names: Names) -> NameBook:
    """As directory, programmes and roster say them now. Raises KafkaError."""
    people = NameBook()
    records = PeopleRecords(people, names, Metrics(CollectorRegistry()))
    for record in read_to_end(settings, [names.directory, names.programs, names.roster]):
        records.apply(record)
    return people


class _RosterPart(BaseModel):
    """Of the roster only what a message needs: who is paired with whom, and whether that was erased."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _RosterFacts(_RosterPart):
    facts: tuple[tuple[tuple[Any, ...], tuple[Any, ...]], ...] = ()


class _RosterEntry(_RosterPart):
    erased: bool = False
    history: _RosterFacts = _RosterFacts()
