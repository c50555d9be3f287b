"""What is read beside the scores: who is called what, who was erased or is away; what programmes expect, how far
sources have spoken, and which rules were applied."""

from queue import SimpleQueue
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.directory import Participant
from schemas.programs import Programme, SourceWatermark
from schemas.rule_faults import unwatched
from schemas.rule_sets import RULE_EVENT
from services.notify.domain.name_book import Erased, NameBook, PairRecord
from services.notify.domain.rule_book import RuleBook
from services.notify.domain.shared_alerts import SharedAlerts
from services.notify.flow.report import Metrics
from services.notify.names import Names
from services.runtime import log
from services.runtime.kafka import Record, read_to_end
from services.runtime.settings import Settings
from services.runtime.unexpected import error_fields
from services.validation_errors import places

STARTED = "mentoring.relationship.started.v1"
LONGEST_SHOWN = 100
"""A key may have a megabyte."""


class PeopleRecords:
    """Applies records on the thread that follows; `erased` is for the thread that decides."""

    def __init__(self, people: NameBook, names: Names, metrics: Metrics) -> None:
        self._people, self._names, self._metrics = people, names, metrics
        self._erased: SimpleQueue[Erased] = SimpleQueue()
        self._away: SimpleQueue[tuple[str, str]] = SimpleQueue()

    def erased(self) -> list[Erased]:
        """Since it was last asked for; nobody who was described again meanwhile. At a start everybody whose tombstone
        is still there."""
        found = [self._erased.get_nowait() for _ in range(self._erased.qsize())]
        return [
            one for one in found if one.kind == "relationship" or self._people.participant(one.tenant, one.id) is None
        ]

    def away(self) -> list[tuple[str, str]]:
        """Who was said to be on leave, or to have left, since it was last asked for, by tenant and id. At a start
        everybody who is."""
        return [self._away.get_nowait() for _ in range(self._away.qsize())]

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
            self._leave_out(record, tenant, subject, str(error_fields(failure)))

    def _applied(self, record: Record, tenant: str, subject: str) -> None:
        if record.value is None:
            self._drop(record.topic, tenant, subject)
            if record.topic == self._names.directory:
                self._erased.put(Erased("person", tenant, subject))
        elif record.topic == self._names.directory:
            person = Participant.model_validate_json(record.value)
            self._people.upsert(person)
            if person.status != "active":
                self._away.put((person.tenant, person.id))
        elif record.topic == self._names.programs:
            self._people.describe(Programme.model_validate_json(record.value))
        else:
            entry = _RosterEntry.model_validate_json(record.value)
            starts = [(key[3], fact) for key, fact in entry.history.facts if key[2] == STARTED]
            if entry.erased:
                self._people.part(tenant, subject)
                self._erased.put(Erased("relationship", tenant, subject))
            elif starts:
                _, (_, mentors, mentees, *_) = max(starts, key=lambda start: str(start[0]))
                self._people.pair(tenant, subject, PairRecord(tuple(sorted(mentors)), tuple(sorted(mentees))))

    def _drop(self, topic: str, tenant: str, subject: str) -> None:
        """Nobody is called what once was known."""
        if topic == self._names.directory:
            self._people.forget(tenant, subject)
        elif topic == self._names.programs:
            self._people.undescribe(tenant, subject)
        else:
            self._people.part(tenant, subject)

    def _leave_out(self, record: Record, tenant: str, subject: str, reason: str) -> None:
        self._drop(record.topic, tenant, subject)
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


class SubjectInputs:
    """The topics are read to their end before anything is decided, and as they grow from there on; twice is as once."""

    def __init__(self, rules: RuleBook, shared: SharedAlerts, names: Names, metrics: Metrics) -> None:
        self._rules, self._shared, self._names, self._metrics = rules, shared, names, metrics
        self._applied_to: dict[tuple[str, int], int] = {}

    @property
    def topics(self) -> list[str]:
        return [self._names.programs, self._names.sources, self._names.rules]

    def apply(self, record: Record) -> None:
        """What cannot be read is told, once, and what was known before stands."""
        partition = (record.topic, record.partition)
        if record.offset <= self._applied_to.get(partition, -1):
            return
        self._applied_to[partition] = record.offset
        try:
            if record.topic == self._names.rules:
                self._rules.apply(RULE_EVENT.validate_json(record.value or b""))
            elif record.topic == self._names.sources:
                if record.value is not None:
                    self._shared.mark(SourceWatermark.model_validate_json(record.value))
            elif record.value is not None:
                programme = Programme.model_validate_json(record.value)
                self._shared.describe(programme)
                self._check_levels(programme)
            else:
                tenant, _, program = (record.key or b"").decode(errors="replace").partition("/")
                self._shared.undescribe(tenant, program)
        except ValidationError as invalid:
            self._leave_out(record, "; ".join(places(invalid)))
        except Exception as failure:  # noqa: BLE001 (told; whatever it was, the next record is read)
            self._leave_out(record, str(error_fields(failure)))

    def _check_levels(self, programme: Programme) -> None:
        """A level that no row crosses fires late: with the next row of the pair, at midnight at the latest."""
        watch = programme.profiles[-1].watch
        rules = self._rules.in_force((programme.tenant, programme.id), programme.recordedtime).rules
        found = [f"{rule.name}: {gap}" for rule in rules for gap in unwatched(rule, watch)]
        if found:
            log.get(__name__).warning(
                "levels_unwatched", tenant=programme.tenant, program=programme.id, levels="; ".join(found)
            )

    def _leave_out(self, record: Record, reason: str) -> None:
        self._metrics.inputs_unreadable.labels(record.topic).inc()
        log.get(__name__).error(
            "input_unreadable",
            topic=record.topic,
            key=(record.key or b"").decode(errors="replace")[:LONGEST_SHOWN],
            offset=record.offset,
            reason=reason,
        )
