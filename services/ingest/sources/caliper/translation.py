"""From an event of Caliper to what it says about people and their relationship."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from schemas.primitives import to_rfc3339
from services.ingest.domain import activity as said
from services.ingest.domain.activity import Native, Translation
from services.ingest.domain.ids import digest
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.caliper.model import (
    MESSAGE,
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
    term,
)
from services.ingest.sources.caliper.people import CaliperCircle, circle_of
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vendor_model import read, within
from services.ingest.sources.vocabulary import (
    FEEDBACK,
    MEASURED,
    Scale,
    as_id,
    as_one,
    members,
    minutes_of,
    native_id,
    off_scale,
    on_our_scale,
)

HELD = "mentoring.session.held.v1"

CONTACTS = frozenset({"mentoring.message.sent.v1", "mentoring.resource.shared.v1"})
GRADE = "GradeEvent"
OF_A_COURSE, NOBODY_ADDRESSED = Ignored("of_a_course_or_forum"), Ignored("nobody_addressed")
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
    return _said(CaliperTold(event, thing, scored, value), meaning, settings)


def _without(members: Collection[str], entity: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in entity.items() if name not in members}


def _said(told: CaliperTold, meaning: CaliperMeaning, settings: CaliperSettings) -> Translation:
    circle = circle_of(told, settings)
    if isinstance(circle, Rejected):
        return circle
    if ignored := _concerns_nobody(told, circle, meaning, settings):
        return ignored
    data = _data(told, meaning, settings)
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


def _concerns_nobody(
    told: CaliperTold, circle: CaliperCircle, meaning: CaliperMeaning, settings: CaliperSettings
) -> Ignored | None:
    """None where it is of the pair. What somebody writes or shares is no contact of the only pair that they are of,
    because nobody else is named, and a grade of what was handed in within a course is no judgement of mentoring: the
    settings have to say so, of the place or, where there is none, of the action."""
    if meaning.object is not None or circle.relationship:
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
    # Of a resource, a course or whatever else is no person and nobody's attempt.
    return OF_A_COURSE if meaning.type == FEEDBACK and told.thing.type else NOBODY_ADDRESSED


def _data(told: CaliperTold, meaning: CaliperMeaning, settings: CaliperSettings) -> Mapping[str, object] | Rejected:
    """What is fixed in the settings stays as it is."""
    measures = measured(told, meaning.type, settings)
    if isinstance(measures, Rejected):
        return measures
    wanted = members(meaning.type)
    subject = told.thing.id or told.event.id
    ids = {"session_id": digest("entity", subject), "goal_id": as_id(subject), "request_id": as_id(told.event.id)}
    if told.thing.replyTo.id:
        ids["reply_to"] = _message_key(told.thing.replyTo.id)
    return {**{name: value for name, value in ids.items() if name in wanted}, **measures, **meaning.data}


def _key(told: CaliperTold, meaning: CaliperMeaning) -> str:
    """A message that is posted is known by its own id, anything else by that of its event."""
    is_message = meaning.type == "mentoring.message.sent.v1" and told.thing.type == MESSAGE and told.thing.id
    return _message_key(told.thing.id) if is_message else told.event.id


def _message_key(message: str) -> str:
    """A message is the statement that it was written: who answers it knows its id, and not that of the event."""
    return f"message:{message}"


@dataclass(frozen=True)
class Chosen:
    number: float
    scale: Scale


def measured(told: CaliperTold, name: str, settings: CaliperSettings) -> Mapping[str, object] | Rejected:
    """Members of the data of an event of this type; none where it measures nothing."""
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
    minutes = minutes_of(lasted, "object.duration")
    return minutes if isinstance(minutes, Rejected) else {**data, **minutes}


def _score_of(told: CaliperTold, name: str, settings: CaliperSettings) -> Mapping[str, object] | Rejected:
    found = chosen(told.scored, settings.scale)
    if isinstance(found, Rejected):
        return within("generated", found)
    if found:
        return on_our_scale(name, found.number, found.scale)
    is_needed = name != "mentoring.checkin.answered.v1"
    return rejected("invalid", "generated", f"a score or a rating is required in {name}") if is_needed else {}


def chosen(scored: Scored, default: Scale | None) -> Chosen | Rejected | None:
    """None if nothing was generated. Paths begin at `generated`."""
    if scored.scoreGiven is not None:
        return _score(scored, scored.scoreGiven, default)
    return _rating(scored, default) if any(scored.selections) else None


def _score(scored: Scored, given: float, default: Scale | None) -> Chosen | Rejected:
    scale = default if scored.maxScore is None else read(Scale, {"min": 0, "max": scored.maxScore})
    if scale is None:
        return rejected("invalid", "maxScore", "is required: neither the event nor the settings say the scale")
    return within("maxScore", scale) if isinstance(scale, Rejected) else _on(scale, given, "scoreGiven")


def _rating(scored: Scored, default: Scale | None) -> Chosen | Rejected:
    selected = [one for one in scored.selections if one]
    number = _number(selected[0])
    if len(selected) > 1 or number is None:
        return rejected("invalid", "selections", "must be one number")
    points = scored.question.scale
    values = [value for value in map(_number, points.itemValues) if value is not None]
    if len(values) < len(points.itemValues):
        # The one that is missing may be the least or the greatest.
        values = []
    if points.minValue is not None and points.maxValue is not None:
        values = [points.minValue, points.maxValue]
    scale = read(Scale, {"min": min(values), "max": max(values)}) if values else default
    if scale is None:
        return rejected("invalid", "question.scale", "is required: neither the event nor the settings say the scale")
    return within("question.scale", scale) if isinstance(scale, Rejected) else _on(scale, number, "selections")


def _on(scale: Scale, number: float, path: str) -> Chosen | Rejected:
    return off_scale(number, scale, path) or Chosen(number, scale)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
