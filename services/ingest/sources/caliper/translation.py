"""From an event of Caliper to what it says about people and their relationship."""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from schemas.primitives import to_rfc3339
from services.ingest.domain import activity as said
from services.ingest.domain.activity import Native, Person, Translation
from services.ingest.domain.derived_events import digest
from services.ingest.domain.tools.allow_list import address_in
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.caliper.model import (
    EXPRESSED,
    MAILTO,
    MESSAGE,
    PERSON,
    PERSONS,
    VERSIONS,
    Action,
    CaliperEvent,
    CaliperMeaning,
    CaliperSettings,
    Envelope,
    Item,
    Named,
    Scored,
    Thing,
    is_public,
    places_of,
    term,
)
from services.ingest.sources.mapping.settings import Compiled, ExpressionResult
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vendor_model import read, within
from services.ingest.sources.vocabulary import (
    FEEDBACK,
    MEASURED,
    Scale,
    as_id,
    as_one,
    members,
    native_id,
    on_our_scale,
)

# Of an identity in the directory (schemas.directory).
LONGEST = 320
MOST_PEOPLE = 100


@dataclass(frozen=True)
class CaliperCircle:
    by: Person
    others: tuple[Person, ...]
    relationship: str


@dataclass(frozen=True)
class CaliperTold:
    """An event: as read, and as it came, which expressions look at."""

    event: CaliperEvent
    thing: Thing
    scored: Scored
    raw: object


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
    entities = tuple({"id": value} if isinstance(value, str) else value for value in values)
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


# Of `data.minutes`.
LONGEST_SESSION = timedelta(days=1)


def message_key(message: str) -> str:
    """A message is the statement that it was written: who answers it knows its id, and not that of the event."""
    return f"message:{message}"


def data_of(told: CaliperTold, meaning: CaliperMeaning, settings: CaliperSettings) -> Mapping[str, object] | Rejected:
    """What is fixed in the settings stays as it is."""
    measured = _measured(told, meaning.type, settings)
    if isinstance(measured, Rejected):
        return measured
    wanted = members(meaning.type)
    subject = told.thing.id or told.event.id
    ids = {"session_id": digest("entity", subject), "goal_id": as_id(subject), "request_id": as_id(told.event.id)}
    if told.thing.replyTo.id:
        ids["reply_to"] = message_key(told.thing.replyTo.id)
    return {**{name: value for name, value in ids.items() if name in wanted}, **measured, **meaning.data}


def _measured(told: CaliperTold, name: str, settings: CaliperSettings) -> Mapping[str, object] | Rejected:
    if name == HELD:
        return _session(told)
    if name in MEASURED:
        return _score_of(told, name, settings)
    return {}


def _session(told: CaliperTold) -> Mapping[str, object] | Rejected:
    """From the entity, where it says when it began and ended; the event's own time is when somebody said so."""
    started, ended = told.thing.startedAtTime, told.thing.endedAtTime
    lasted = told.thing.duration or (ended - started if started and ended else None)
    data = {"started_at": to_rfc3339(started or told.event.eventTime)}
    if not lasted:
        return data
    if not timedelta(0) < lasted <= LONGEST_SESSION:
        return rejected("invalid", "object.duration", "a session lasts longer than nothing and at most 24 hours")
    return {**data, "minutes": lasted / timedelta(minutes=1)}


def _score_of(told: CaliperTold, name: str, settings: CaliperSettings) -> Mapping[str, object] | Rejected:
    found = chosen(told.scored, settings.scale)
    if isinstance(found, Rejected):
        return within("generated", found)
    if found:
        return on_our_scale(name, found.number, found.scale)
    is_needed = name != "mentoring.checkin.answered.v1"
    return rejected("invalid", "generated", f"a score or a rating is required in {name}") if is_needed else {}


@dataclass(frozen=True)
class Chosen:
    number: float
    scale: Scale


def chosen(scored: Scored, default: Scale | None) -> Chosen | Rejected | None:
    """None if nothing was generated. Paths begin at `generated`."""
    if scored.scoreGiven is not None:
        return _score(scored, scored.scoreGiven, default)
    return _rating(scored, default) if scored.selections else None


def _score(scored: Scored, given: float, default: Scale | None) -> Chosen | Rejected:
    scale = default if scored.maxScore is None else read(Scale, {"min": 0, "max": scored.maxScore})
    if scale is None:
        return rejected("invalid", "maxScore", "is required: neither the event nor the settings say the scale")
    return within("maxScore", scale) if isinstance(scale, Rejected) else _on(scale, given, "scoreGiven")


def _rating(scored: Scored, default: Scale | None) -> Chosen | Rejected:
    number = _number(scored.selections[0])
    if len(scored.selections) > 1 or number is None:
        return rejected("invalid", "selections", "must be one number")
    points = scored.question.scale
    values = [value for value in map(_number, points.itemValues) if value is not None]
    if points.minValue is not None and points.maxValue is not None:
        values = [points.minValue, points.maxValue]
    scale = read(Scale, {"min": min(values), "max": max(values)}) if values else default
    if scale is None:
        return rejected("invalid", "question.scale", "is required: neither the event nor the settings say the scale")
    return within("question.scale", scale) if isinstance(scale, Rejected) else _on(scale, number, "selections")


def _on(scale: Scale, number: float, path: str) -> Chosen | Rejected:
    if scale.holds(number):
        return Chosen(number, scale)
    return rejected("invalid", path, f"must lie on the scale from {scale.min:g} to {scale.max:g}")


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


CONTACTS = frozenset({"mentoring.message.sent.v1", "mentoring.resource.shared.v1"})
HELD = "mentoring.session.held.v1"
# Of what an event is about, and of what it generates: what only sessions and only ratings are made of. In any other
# event they say nothing here, and cannot be at fault.
TIMES = frozenset({"startedAtTime", "endedAtTime", "duration"})
POINTS = frozenset({"scoreGiven", "maxScore", "selections", "question"})


def translate(value: object, settings: ToolSettings) -> Translation:
    assert isinstance(settings, CaliperSettings)
    envelope = read(Envelope, value)
    if isinstance(envelope, Rejected):
        return envelope
    if envelope.dataVersion not in VERSIONS:
        return rejected("invalid", "dataVersion", f"must be one of {', '.join(sorted(VERSIONS))}")
    return as_one((f"data.{index}", _translated(item, settings)) for index, item in enumerate(envelope.data))


def _translated(value: object, settings: CaliperSettings) -> Translation:
    item = read(Item, value)
    if isinstance(item, Rejected):
        return item
    if not item.type.endswith("Event"):
        return Ignored("entity")
    action = read(Action, value)
    if isinstance(action, Rejected):
        return action
    thing = read(Named, action.object)
    if isinstance(thing, Rejected):
        return within("object", thing)
    objects = frozenset({thing.id, thing.type} - {""}) | places_of(value if isinstance(value, dict) else {})
    meaning = settings.meaning(f"{action.type}.{action.action}", objects)
    return _meant(value, meaning, settings) if meaning else Ignored("action_of_no_interest")


def _meant(value: object, meaning: CaliperMeaning, settings: CaliperSettings) -> Translation:
    event = read(CaliperEvent, value)
    if isinstance(event, Rejected):
        return event
    if term(str(event.actor.get("type", ""))) not in PERSONS:
        return Ignored("actor_is_no_person")
    thing = read(Thing, _without(() if meaning.type == HELD else TIMES, event.object))
    scored = read(Scored, _without(() if meaning.type in MEASURED else POINTS, event.generated))
    if isinstance(thing, Rejected):
        return within("object", thing)
    if isinstance(scored, Rejected):
        return within("generated", scored)
    return _said(CaliperTold(event, thing, scored, value), meaning, settings)


def _without(members: Collection[str], entity: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in entity.items() if name not in members}


def _said(told: CaliperTold, meaning: CaliperMeaning, settings: CaliperSettings) -> Translation:
    circle = circle_of(told, settings)
    if isinstance(circle, Rejected):
        return circle
    if _is_of_a_course(told, circle, meaning, settings):
        return Ignored("of_a_course_or_forum")
    data = data_of(told, meaning, settings)
    if isinstance(data, Rejected):
        return data
    event = told.event
    return (
        said.GenericActivity(
            key=_key(told, meaning),
            time=event.eventTime,
            native=Native(f"{event.type}.{event.action}"[:128], native_id(event.id)),
            type=meaning.type,
            data=data,
            by=circle.by,
            people=circle.others,
            relationship=circle.relationship,
        ),
    )


def _is_of_a_course(
    told: CaliperTold, circle: CaliperCircle, meaning: CaliperMeaning, settings: CaliperSettings
) -> bool:
    """What somebody writes or shares in a course or a forum, to nobody in particular, is no contact of a pair unless
    the settings say so of that place."""
    is_addressed = bool(circle.others or circle.relationship)
    if meaning.object is not None or is_addressed:
        return False
    if meaning.type == FEEDBACK and f"{told.event.type}.{told.event.action}" not in settings.events:
        # Of a resource, a course or whatever else is no person and nobody's attempt.
        return bool(told.thing.type)
    return meaning.type in CONTACTS and isinstance(told.raw, dict) and is_public(told.raw)


def _key(told: CaliperTold, meaning: CaliperMeaning) -> str:
    """A message that is posted is known by its own id, anything else by that of its event."""
    is_message = meaning.type == "mentoring.message.sent.v1" and told.thing.type == MESSAGE and told.thing.id
    return message_key(told.thing.id) if is_message else told.event.id
