"""Who an event of Caliper is about: its actor, and whoever else it or the settings name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from services.ingest.domain.activity import Person
from services.ingest.domain.tools.allow_list import address_in
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.caliper.model import EXPRESSED, MAILTO, PERSON, CaliperSettings, CaliperTold
from services.ingest.sources.mapping.settings import Compiled, ExpressionResult
from services.ingest.sources.vendor_model import within

# Of an identity in the directory (schemas.directory).
LONGEST = 320
MOST_PEOPLE = 100


@dataclass(frozen=True)
class CaliperCircle:
    by: Person
    others: tuple[Person, ...]
    relationship: str


def circle_of(told: CaliperTold, settings: CaliperSettings) -> CaliperCircle | Rejected:
    by = _person(told.event.actor, settings)
    if isinstance(by, Rejected):
        return within("actor", by)
    named = _named(told, settings)
    if isinstance(named, Rejected):
        return within("settings.people", named)
    others: list[Person] = []
    for entity in (*_concerned(told), *named):
        person = _person(entity, settings)
        if isinstance(person, Rejected):
            return person
        others.append(person)
    relationship = _text("relationship", settings.relationship, told.raw)
    if isinstance(relationship, Rejected):
        return within("settings.relationship", relationship)
    distinct = tuple(person for person in dict.fromkeys(others) if person != by)
    return CaliperCircle(by, distinct, relationship)


def _concerned(told: CaliperTold) -> Iterator[Mapping[str, object]]:
    """Whose attempt it was, whom it is about, who wrote what is spoken of, who wrote what it answers, and with whom it
    is shared."""
    for entity in (told.thing.assignee, told.scored.attempt.assignee):
        if entity:
            yield entity
    if told.thing.type == PERSON:
        yield told.event.object
    yield from told.thing.creators
    yield from told.thing.replyTo.creators
    yield from told.scored.withAgents


def _named(told: CaliperTold, settings: CaliperSettings) -> tuple[Mapping[str, object], ...] | Rejected:
    found = expressed("people", settings.people, told.raw) if settings.people else None
    if found is None or isinstance(found, Rejected):
        return found or ()
    values = found.value if isinstance(found.value, list) else [] if found.value is None else [found.value]
    entities = tuple({"id": one} if isinstance(one, str) else one for one in values if one is not None)
    if len(entities) > MOST_PEOPLE or not all(isinstance(entity, dict) for entity in entities):
        return rejected("invalid", "", f"must give people, at most {MOST_PEOPLE}: IRIs or entities")
    return entities


def _person(entity: Mapping[str, object], settings: CaliperSettings) -> Person | Rejected:
    iri = entity.get("id")
    if not isinstance(iri, str) or not 0 < len(iri) <= LONGEST:
        return rejected("invalid", "id", f"must be an IRI of at most {LONGEST} characters")
    participant = _text("participant", settings.participant, entity)
    address = _text("address", settings.address, entity)
    if isinstance(participant, Rejected):
        return participant
    if isinstance(address, Rejected):
        return address
    if iri.lower().startswith(MAILTO):
        return Person(address=address_in(iri) or iri[len(MAILTO) :], participant=participant)
    return Person(id=iri, address=address, participant=participant)


def expressed(name: str, expression: Compiled, value: object) -> ExpressionResult | Rejected:
    """What the expression finds in an entity or an event or, of one that was stored, what it found."""
    kept = value.get(EXPRESSED) if isinstance(value, dict) else None
    return ExpressionResult(kept.get(name)) if isinstance(kept, dict) else expression.of(value)


def _text(name: str, expression: Compiled | None, value: object) -> str | Rejected:
    """Empty where there is nothing."""
    found = expressed(name, expression, value) if expression else None
    if isinstance(found, Rejected):
        return found
    if found is None or found.value is None:
        return ""
    if isinstance(found.value, str | int) and not isinstance(found.value, bool):
        return str(found.value)
    return rejected("invalid", "", "must give a text")
