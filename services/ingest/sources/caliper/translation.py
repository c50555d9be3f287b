"""Translate a Caliper event into an activity of its actor, of other people that it or the settings name, and of their
relationship."""

import math
from collections.abc import Collection, Mapping

from services.ingest.domain import activity as said
from services.ingest.domain.activity import Native, Person, Translation
from services.ingest.domain.ids import digest
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
    CaliperTold,
    Envelope,
    Item,
    Named,
    Scored,
    Thing,
    is_public_place,
    places_of,
)
from services.ingest.sources.learning_records import CONTACTS, HELD, MESSAGE_SENT, NOBODY_ADDRESSED, OF_A_COURSE, term
from services.ingest.sources.mapping.settings import Compiled, ExpressionResult
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vendor_model import read, within
from services.ingest.sources.vocabulary import (
    FEEDBACK,
    MEASURED,
    Circle,
    Scale,
    as_id,
    as_one,
    native_id,
    off_scale,
    on_our_scale,
    session_data,
)

GRADE = "GradeEvent"
# Members that only sessions (TIMES) and only ratings (POINTS) need. In any other event they are ignored and cannot be
# at fault.
TIMES = frozenset({"startedAtTime", "endedAtTime", "duration"})
POINTS = frozenset({"scoreGiven", "maxScore", "selections", "question"})


def translate(value: object, settings: ToolSettings) -> Translation:
    assert isinstance(settings, CaliperSettings)
    envelope = read(Envelope, value)
    if isinstance(envelope, Rejected):
        return envelope
    if envelope.dataVersion not in VERSIONS:
        return rejected("invalid", "dataVersion", f"must be one of {', '.join(sorted(VERSIONS))}")
    items = ((index, item) for index, item in enumerate(envelope.data) if item is not None)
    return as_one((f"data.{index}", _translated(item, settings)) for index, item in items)


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
    told = CaliperTold(event, thing, scored, value)
    circle = circle_of(told, settings)
    if isinstance(circle, Rejected):
        return circle
    if ignored := _concerns_nobody(told, circle, meaning, settings):
        return ignored
    data = _data(told, meaning, settings)
    if isinstance(data, Rejected):
        return data
    # A posted message is keyed by its own id, any other activity by the event's id.
    is_message = meaning.type == MESSAGE_SENT and thing.type == MESSAGE and thing.id
    return (
        said.GenericActivity(
            key=_message_key(thing.id) if is_message else event.id,
            time=event.eventTime,
            native=Native(f"{event.type}.{event.action}"[:128], native_id(event.id)),
            type=meaning.type,
            data=data,
            by=circle.by,
            people=circle.others,
            relationship=circle.relationship,
        ),
    )


def _without(members: Collection[str], entity: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in entity.items() if name not in members}


# Limit of an identity in the directory (schemas.directory).
LONGEST = 320
MOST_PEOPLE = 100


def circle_of(told: CaliperTold, settings: CaliperSettings) -> Circle | Rejected:
    """Collect the other people: the assignee of the attempt, the person as object, the creators of the object and of
    what it answers, the agents it is shared with, and the people that the settings find."""
    by = _person(told.event.actor, settings)
    if isinstance(by, Rejected):
        return within("actor", by)
    found = expressed("people", settings.people, told.raw) if settings.people else ExpressionResult(None)
    if isinstance(found, Rejected):
        return within("settings.people", found)
    values = found.value if isinstance(found.value, list) else [] if found.value is None else [found.value]
    named = [{"id": one} if isinstance(one, str) else one for one in values if one is not None]
    if len(named) > MOST_PEOPLE or not all(isinstance(one, dict) for one in named):
        return rejected("invalid", "settings.people", f"must give people, at most {MOST_PEOPLE}: IRIs or entities")
    assignees = [one for one in (told.thing.assignee, told.scored.attempt.assignee) if one]
    about = [told.event.object] if told.thing.type == PERSON else []
    others: dict[Person, None] = {}
    for entity in (
        *(*assignees, *about, *told.thing.creators),
        *(*told.thing.replyTo.creators, *told.scored.withAgents, *named),
    ):
        person = _person(entity, settings)
        if isinstance(person, Rejected):
            return person
        others[person] = None
    relationship = _text("relationship", settings.relationship, told.raw)
    if isinstance(relationship, Rejected):
        return within("settings.relationship", relationship)
    return Circle(by, tuple(person for person in others if person != by), relationship)


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
    """Evaluate the expression, or return its stored result if the event was redacted before."""
    kept = value.get(EXPRESSED) if isinstance(value, dict) else None
    return ExpressionResult(kept.get(name)) if isinstance(kept, dict) else expression.of(value)


def _text(name: str, expression: Compiled | None, value: object) -> str | Rejected:
    """Return "" if there is no value."""
    found = expressed(name, expression, value) if expression else None
    if isinstance(found, Rejected):
        return found
    if found is None or found.value is None:
        return ""
    if isinstance(found.value, str | int) and not isinstance(found.value, bool):
        return str(found.value)
    return rejected("invalid", "", "must give a text")


def _concerns_nobody(
    told: CaliperTold, circle: Circle, meaning: CaliperMeaning, settings: CaliperSettings
) -> Ignored | None:
    """Return None if the event concerns the pair. What somebody writes or shares with nobody else named is no contact
    of their only pair, and a grade for work in a course does not rate mentoring, unless the settings say so for the
    place or, without a place, for the action."""
    if meaning.place is not None or circle.relationship:
        return None
    is_public = isinstance(told.raw, dict) and is_public_place(told.raw)
    is_mapped = f"{told.event.type}.{told.event.action}" in settings.events
    if circle.others:
        is_grade = told.event.type == GRADE and meaning.type == FEEDBACK
        return OF_A_COURSE if is_grade and is_public and not is_mapped else None
    if meaning.type in CONTACTS and is_public:
        return OF_A_COURSE
    if is_mapped or meaning.type not in CONTACTS | {FEEDBACK}:
        return None
    # Feedback on a resource, a course, or anything else that is neither a person nor somebody's attempt.
    return OF_A_COURSE if meaning.type == FEEDBACK and told.thing.type else NOBODY_ADDRESSED


def _data(told: CaliperTold, meaning: CaliperMeaning, settings: CaliperSettings) -> Mapping[str, object] | Rejected:
    measured: Mapping[str, object] | Rejected = {}
    if meaning.type == HELD:
        # Prefer the entity's own times; the event's time is when it was reported.
        started, ended = told.thing.startedAtTime, told.thing.endedAtTime
        lasted = told.thing.duration or (ended - started if started and ended else None)
        measured = session_data(started or told.event.eventTime, lasted, "object.duration")
    elif meaning.type in MEASURED:
        measured = _score(told.scored, meaning.type, settings)
    if isinstance(measured, Rejected):
        return measured
    subject, answered = told.thing.id or told.event.id, told.thing.replyTo.id
    ids = {"session_id": digest("entity", subject), "goal_id": as_id(subject), "request_id": as_id(told.event.id)}
    if answered:
        ids["reply_to"] = _message_key(answered)
    return meaning.data_with(ids, measured)


def _message_key(message: str) -> str:
    """Key a message by its own id: a reply knows that id, but not the id of the event."""
    return f"message:{message}"


def _score(scored: Scored, name: str, settings: CaliperSettings) -> Mapping[str, object] | Rejected:
    """Read a score, or a rating by one choice; only a check-in may lack both."""
    selected = [one for one in scored.selections if one]
    if scored.scoreGiven is None and not selected:
        is_needed = name != "mentoring.checkin.answered.v1"
        return rejected("invalid", "generated", f"a score or a rating is required in {name}") if is_needed else {}
    if scored.scoreGiven is not None:
        number, path, of_scale = scored.scoreGiven, "generated.scoreGiven", "generated.maxScore"
        scale = settings.scale if scored.maxScore is None else read(Scale, {"min": 0, "max": scored.maxScore})
    else:
        chosen = _number(selected[0])
        if len(selected) > 1 or chosen is None:
            return rejected("invalid", "generated.selections", "must be one number")
        number, path, of_scale = chosen, "generated.selections", "generated.question.scale"
        points = scored.question.scale
        ends = [points.minValue, points.maxValue]
        values = [one for one in (map(_number, points.itemValues) if None in ends else ends) if one is not None]
        # A Likert scale with gaps has unknown ends: the missing value may be the lowest or the highest.
        is_whole = bool(values) and (None not in ends or len(values) == len(points.itemValues))
        scale = read(Scale, {"min": min(values), "max": max(values)}) if is_whole else settings.scale
    if scale is None:
        return rejected("invalid", of_scale, "is required: neither the event nor the settings say the scale")
    if isinstance(scale, Rejected):
        return within(of_scale, scale)
    return off_scale(number, scale, path) or on_our_scale(name, number, scale)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
