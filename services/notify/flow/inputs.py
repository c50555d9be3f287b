"""The inputs beside scores: names, erasures and absences; what programmes expect, the watermarks of sources, and
applied rules."""

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
from services.notify.topics import NotifyTopics
from services.runtime import log
from services.runtime.kafka import Record, read_to_end
from services.runtime.settings import Settings
from services.runtime.unexpected import error_fields
from services.validation_errors import field_errors

STARTED = "mentoring.relationship.started.v1"
LONGEST_SHOWN = 100
"""A key may have a megabyte."""


class PeopleRecords:
    """Applies records on the follower's thread; `erased` and `away` are for the thread that decides."""

    def __init__(self, people: NameBook, topics: NotifyTopics, metrics: Metrics) -> None:
        self._people, self._topics, self._metrics = people, topics, metrics
        self._erased: SimpleQueue[Erased] = SimpleQueue()
        self._away: SimpleQueue[tuple[str, str]] = SimpleQueue()

    def drain_erased(self) -> list[Erased]:
        """Return who was erased since the last call, without persons described again meanwhile; after a start everybody
        whose tombstone is still there."""
        found = [self._erased.get_nowait() for _ in range(self._erased.qsize())]
        return [
            one for one in found if one.kind == "relationship" or self._people.participant(one.tenant, one.id) is None
        ]

    def drain_away(self) -> list[tuple[str, str]]:
        """Return who is on leave, or has left, since the last call, by tenant and id; after a start everybody who
        is."""
        return [self._away.get_nowait() for _ in range(self._away.qsize())]

    def apply(self, record: Record) -> None:
        """Apply a record. An unreadable one is logged, and the former name is dropped."""
        tenant, slash, subject = (record.key or b"").decode(errors="replace").partition("/")
        if not slash:
            return  # the checkpoint of the projector
        try:
            self._apply_record(record, tenant, subject)
        except ValidationError as invalid:
            self._skip(record, tenant, subject, "; ".join(field_errors(invalid)))
        except Exception as failure:  # noqa: BLE001 (logged; whatever it was, the next record is read)
            self._skip(record, tenant, subject, str(error_fields(failure)))

    def _apply_record(self, record: Record, tenant: str, subject: str) -> None:
        if record.value is None:
            self._drop(record.topic, tenant, subject)
            if record.topic == self._topics.directory:
                self._erased.put(Erased("person", tenant, subject))
        elif record.topic == self._topics.directory:
            person = Participant.model_validate_json(record.value)
            self._people.upsert(person)
            if person.status != "active":
                self._away.put((person.tenant, person.id))
        elif record.topic == self._topics.programs:
            self._people.upsert_programme(Programme.model_validate_json(record.value))
        else:
            entry = _RosterEntry.model_validate_json(record.value)
            starts = [(key[3], fact) for key, fact in entry.history.facts if key[2] == STARTED]
            if entry.erased:
                self._people.remove_pair(tenant, subject)
                self._erased.put(Erased("relationship", tenant, subject))
            elif starts:
                _, (_, mentors, mentees, *_) = max(starts, key=lambda start: str(start[0]))
                self._people.upsert_pair(tenant, subject, PairRecord(tuple(sorted(mentors)), tuple(sorted(mentees))))

    def _drop(self, topic: str, tenant: str, subject: str) -> None:
        """Drop what is projected: no message uses an outdated name."""
        if topic == self._topics.directory:
            self._people.forget(tenant, subject)
        elif topic == self._topics.programs:
            self._people.remove_programme(tenant, subject)
        else:
            self._people.remove_pair(tenant, subject)

    def _skip(self, record: Record, tenant: str, subject: str, reason: str) -> None:
        self._drop(record.topic, tenant, subject)
        self._metrics.people_unreadable.inc()
        log.get(__name__).error(
            "person_unreadable",
            topic=record.topic,
            key=f"{tenant}/{subject}"[:LONGEST_SHOWN],
            offset=record.offset,
            reason=reason,
        )


def read_people(settings: Settings, topics: NotifyTopics) -> NameBook:
    """Return the names as directory, programmes and roster hold them now. Raises KafkaError."""
    people = NameBook()
    records = PeopleRecords(people, topics, Metrics(CollectorRegistry()))
    for record in read_to_end(settings, [topics.directory, topics.programs, topics.roster]):
        records.apply(record)
    return people


class _RosterPart(BaseModel):
    """The part of the roster that a message needs: who is paired with whom, and whether the relationship was erased."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _RosterFacts(_RosterPart):
    facts: tuple[tuple[tuple[Any, ...], tuple[Any, ...]], ...] = ()


class _RosterEntry(_RosterPart):
    erased: bool = False
    history: _RosterFacts = _RosterFacts()


class SubjectInputs:
    """Programmes, sources and rules. The topics are read to their end before anything is decided, and followed from
    there on; applying a record twice changes nothing."""

    def __init__(self, rules: RuleBook, shared: SharedAlerts, topics: NotifyTopics, metrics: Metrics) -> None:
        self._rules, self._shared, self._topics, self._metrics = rules, shared, topics, metrics
        self._applied_to: dict[tuple[str, int], int] = {}

    @property
    def topics(self) -> list[str]:
        return [self._topics.programs, self._topics.sources, self._topics.rules]

    def apply(self, record: Record) -> None:
        """Apply a record. An unreadable one is logged once, and the previous state stays in force."""
        partition = (record.topic, record.partition)
        if record.offset <= self._applied_to.get(partition, -1):
            return
        self._applied_to[partition] = record.offset
        try:
            if record.topic == self._topics.rules:
                self._rules.apply(RULE_EVENT.validate_json(record.value or b""))
            elif record.topic == self._topics.sources:
                if record.value is not None:
                    self._shared.apply_watermark(SourceWatermark.model_validate_json(record.value))
            elif record.value is not None:
                programme = Programme.model_validate_json(record.value)
                self._shared.upsert_programme(programme)
                self._check_levels(programme)
            else:
                tenant, _, program = (record.key or b"").decode(errors="replace").partition("/")
                self._shared.remove_programme(tenant, program)
        except ValidationError as invalid:
            self._skip(record, "; ".join(field_errors(invalid)))
        except Exception as failure:  # noqa: BLE001 (logged; whatever it was, the next record is read)
            self._skip(record, str(error_fields(failure)))

    def _check_levels(self, programme: Programme) -> None:
        """Warn of levels that no row crosses: they fire late, with the next row of the pair, at midnight at the
        latest."""
        watch = programme.profiles[-1].watch
        rules = self._rules.in_force((programme.tenant, programme.id), programme.recordedtime).rules
        found = [f"{rule.name}: {gap}" for rule in rules for gap in unwatched(rule, watch)]
        if found:
            log.get(__name__).warning(
                "levels_unwatched", tenant=programme.tenant, program=programme.id, levels="; ".join(found)
            )

    def _skip(self, record: Record, reason: str) -> None:
        self._metrics.inputs_unreadable.labels(record.topic).inc()
        log.get(__name__).error(
            "input_unreadable",
            topic=record.topic,
            key=(record.key or b"").decode(errors="replace")[:LONGEST_SHOWN],
            offset=record.offset,
            reason=reason,
        )
