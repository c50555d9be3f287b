"""Translate a Caliper event into an activity of its actor, of other people that it or the settings name, and of their
relationship."""

import math
from collections.abc import Collection, Mapping

from services.ingest.domain import activity
from services.ingest.domain.activity import Native, Person, Translation
from services.ingest.domain.ids import digest
from services.ingest.domain.tools.allow_list import address_in
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.caliper.model import (
    EXPRESSION_RESULTS,
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
    ParsedCaliperEvent,
    Scored,
    Thing,
    containers_of,
    has_public_context,
)
from services.ingest.sources.learning_records import CONTACTS, HELD, IN_COURSE, MESSAGE_SENT, NOBODY_ADDRESSED, term
from services.ingest.sources.mapping.settings import Compiled, ExpressionResult
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vendor_model import read, within
from services.ingest.sources.vocabulary import (
    FEEDBACK,
    MEASURED,
    Parties,
    Scale,
    as_id,
    check_scale,
    combine,
    session_data,
    to_catalogue_scale,
    truncated_native_id,
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
    return combine((f"data.{index}", _translate_item(item, settings)) for index, item in items)


def _translate_item(value: object, settings: CaliperSettings) -> Translation:
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
    objects = frozenset({thing.id, thing.type} - {""}) | containers_of(value if isinstance(value, dict) else {})
    meaning = settings.meaning(f"{action.type}.{action.action}", objects)
    return _translate_event(value, meaning, settings) if meaning else Ignored("action_of_no_interest")


def _translate_event(value: object, meaning: CaliperMeaning, settings: CaliperSettings) -> Translation:
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
    parsed = ParsedCaliperEvent(event, thing, scored, value)
    parties = parties_of(parsed, settings)
    if isinstance(parties, Rejected):
        return parties
    if ignored := _reason_ignored(parsed, parties, meaning, settings):
        return ignored
    data = _data(parsed, meaning, settings)
    if isinstance(data, Rejected):
        return data
    # A posted message is keyed by its own id, any other activity by the event's id.
    is_message = meaning.type == MESSAGE_SENT and thing.type == MESSAGE and thing.id
    return (
        activity.GenericActivity(
            key=_message_key(thing.id) if is_message else event.id,
            time=event.eventTime,
            native=Native(f"{event.type}.{event.action}"[:128], truncated_native_id(event.id)),
            type=meaning.type,
            data=data,
            by=parties.by,
            people=parties.others,
            relationship=parties.relationship,
        ),
    )


def _without(members: Collection[str], entity: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in entity.items() if name not in members}


# Limit of an identity in the directory (schemas.directory).
LONGEST = 320
MAX_PEOPLE = 100


def parties_of(parsed: ParsedCaliperEvent, settings: CaliperSettings) -> Parties | Rejected:
    """Collect the other people: the assignee of the attempt, the person as object, the creators of the object and of
    what it answers, the agents it is shared with, and the people that the settings find."""
    by = _person(parsed.event.actor, settings)
    if isinstance(by, Rejected):
        return within("actor", by)
    found = evaluate("people", settings.people, parsed.raw) if settings.people else ExpressionResult(None)
    if isinstance(found, Rejected):
        return within("settings.people", found)
    values = found.value if isinstance(found.value, list) else [] if found.value is None else [found.value]
    named = [{"id": one} if isinstance(one, str) else one for one in values if one is not None]
    if len(named) > MAX_PEOPLE or not all(isinstance(one, dict) for one in named):
        return rejected("invalid", "settings.people", f"must give people, at most {MAX_PEOPLE}: IRIs or entities")
    assignees = [one for one in (parsed.thing.assignee, parsed.scored.attempt.assignee) if one]
    about = [parsed.event.object] if parsed.thing.type == PERSON else []
    others: dict[Person, None] = {}
    for entity in (
        *(*assignees, *about, *parsed.thing.creators),
        *(*parsed.thing.replyTo.creators, *parsed.scored.withAgents, *named),
    ):
        person = _person(entity, settings)
        if isinstance(person, Rejected):
            return person
        others[person] = None
    relationship = _evaluate_text("relationship", settings.relationship, parsed.raw)
    if isinstance(relationship, Rejected):
        return within("settings.relationship", relationship)
    return Parties(by, tuple(person for person in others if person != by), relationship)


def _person(entity: Mapping[str, object], settings: CaliperSettings) -> Person | Rejected:
    iri = entity.get("id")
    if not isinstance(iri, str) or not 0 < len(iri) <= LONGEST:
        return rejected("invalid", "id", f"must be an IRI of at most {LONGEST} characters")
    participant = _evaluate_text("participant", settings.participant, entity)
    address = _evaluate_text("address", settings.address, entity)
    if isinstance(participant, Rejected):
        return participant
    if isinstance(address, Rejected):
        return address
    if iri.lower().startswith(MAILTO):
        return Person(address=address_in(iri) or iri[len(MAILTO) :], participant=participant)
    return Person(id=iri, address=address, participant=participant)


def evaluate(name: str, expression: Compiled, value: object) -> ExpressionResult | Rejected:
    """Evaluate the expression, or return its stored result if the event was redacted before."""
    stored = value.get(EXPRESSION_RESULTS) if isinstance(value, dict) else None
    return ExpressionResult(stored.get(name)) if isinstance(stored, dict) else expression.evaluate(value)


def _evaluate_text(name: str, expression: Compiled | None, value: object) -> str | Rejected:
    """Return "" if there is no value."""
    found = evaluate(name, expression, value) if expression else None
    if isinstance(found, Rejected):
        return found
    if found is None or found.value is None:
        return ""
    if isinstance(found.value, str | int) and not isinstance(found.value, bool):
        return str(found.value)
    return rejected("invalid", "", "must give a text")


def _reason_ignored(
    parsed: ParsedCaliperEvent, parties: Parties, meaning: CaliperMeaning, settings: CaliperSettings
) -> Ignored | None:
    """Return None if the event concerns the pair. What somebody writes or shares with nobody else named is no contact
    of their only pair, and a grade for work in a course does not rate mentoring, unless the settings say so for the
    place or, without a place, for the action."""
    if meaning.target is not None or parties.relationship:
        return None
    is_public = isinstance(parsed.raw, dict) and has_public_context(parsed.raw)
    is_mapped = f"{parsed.event.type}.{parsed.event.action}" in settings.events
    if parties.others:
        is_grade = parsed.event.type == GRADE and meaning.type == FEEDBACK
        return IN_COURSE if is_grade and is_public and not is_mapped else None
    if meaning.type in CONTACTS and is_public:
        return IN_COURSE
    if is_mapped or meaning.type not in CONTACTS | {FEEDBACK}:
        return None
    # Feedback on a resource, a course, or anything else that is neither a person nor somebody's attempt.
    return IN_COURSE if meaning.type == FEEDBACK and parsed.thing.type else NOBODY_ADDRESSED


def _data(
    parsed: ParsedCaliperEvent, meaning: CaliperMeaning, settings: CaliperSettings
) -> Mapping[str, object] | Rejected:
    measured: Mapping[str, object] | Rejected = {}
    if meaning.type == HELD:
        # Prefer the entity's own times; the event's time is when it was reported.
        started, ended = parsed.thing.startedAtTime, parsed.thing.endedAtTime
        lasted = parsed.thing.duration or (ended - started if started and ended else None)
        measured = session_data(started or parsed.event.eventTime, lasted, "object.duration")
    elif meaning.type in MEASURED:
        measured = _score(parsed.scored, meaning.type, settings)
    if isinstance(measured, Rejected):
        return measured
    subject, answered = parsed.thing.id or parsed.event.id, parsed.thing.replyTo.id
    ids = {"session_id": digest("entity", subject), "goal_id": as_id(subject), "request_id": as_id(parsed.event.id)}
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
        has_ends = bool(values) and (None not in ends or len(values) == len(points.itemValues))
        scale = read(Scale, {"min": min(values), "max": max(values)}) if has_ends else settings.scale
    if scale is None:
        return rejected("invalid", of_scale, "is required: neither the event nor the settings say the scale")
    if isinstance(scale, Rejected):
        return within(of_scale, scale)
    return check_scale(number, scale, path) or to_catalogue_scale(name, number, scale)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
