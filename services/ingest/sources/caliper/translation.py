"""What events say."""

from services.ingest.domain.tools import said
from services.ingest.domain.tools.said import Native, Translation
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.caliper.event import (
    MESSAGE,
    PERSONS,
    VERSIONS,
    Action,
    Envelope,
    Event,
    Item,
    Named,
    Scored,
    Thing,
    is_public,
    places_of,
    term,
)
from services.ingest.sources.caliper.meaning import data_of, message_key
from services.ingest.sources.caliper.people import Circle, Told, circle_of
from services.ingest.sources.caliper.settings import CaliperSettings, Meaning
from services.ingest.sources.reading import read, within
from services.ingest.sources.several import as_one
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vocabulary import native_id

CONTACTS = frozenset({"mentoring.message.sent.v1", "mentoring.resource.shared.v1"})


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


def _meant(value: object, meaning: Meaning, settings: CaliperSettings) -> Translation:
    event = read(Event, value)
    if isinstance(event, Rejected):
        return event
    if term(str(event.actor.get("type", ""))) not in PERSONS:
        return Ignored("actor_is_no_person")
    thing, scored = read(Thing, event.object), read(Scored, event.generated)
    if isinstance(thing, Rejected):
        return within("object", thing)
    if isinstance(scored, Rejected):
        return within("generated", scored)
    return _said(Told(event, thing, scored, value), meaning, settings)


def _said(told: Told, meaning: Meaning, settings: CaliperSettings) -> Translation:
    circle = circle_of(told, settings)
    if isinstance(circle, Rejected):
        return circle
    if _is_of_a_course(told, circle, meaning):
        return Ignored("of_a_course_or_forum")
    data = data_of(told, meaning, settings)
    if isinstance(data, Rejected):
        return data
    event = told.event
    return (
        said.Told(
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


def _is_of_a_course(told: Told, circle: Circle, meaning: Meaning) -> bool:
    """What somebody writes or shares in a course or a forum, to nobody in particular, is no contact of a pair unless
    the settings say so of that place."""
    is_addressed = bool(circle.others or circle.relationship)
    if meaning.type not in CONTACTS or meaning.object is not None or is_addressed:
        return False
    return isinstance(told.raw, dict) and is_public(told.raw)


def _key(told: Told, meaning: Meaning) -> str:
    """A message that is posted is known by its own id, anything else by that of its event."""
    is_message = meaning.type == "mentoring.message.sent.v1" and told.thing.type == MESSAGE and told.thing.id
    return message_key(told.thing.id) if is_message else told.event.id
