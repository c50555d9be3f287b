"""The Caliper endpoint: splitting envelopes into one event each, and redaction."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from services.ingest.domain.cloudevents import read_json
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import CUT, ID, AllowList, Leaf, allow_list
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.caliper.model import (
    ENTITIES,
    ENTITY,
    EXPRESSED,
    GROUP,
    IRI,
    MESSAGE,
    MOST_LEVELS,
    ORGANIZATION,
    PART,
    PERSON,
    Action,
    CaliperEvent,
    CaliperSettings,
    Envelope,
    Item,
    Named,
    Scored,
    Thing,
    entity,
    places_of,
    terms,
)
from services.ingest.sources.caliper.translation import expressed, translate
from services.ingest.sources.mapping.settings import Compiled
from services.ingest.sources.tool import RawPayloads, Received, Tool, ToolSettings, as_records, prove_bearer
from services.ingest.sources.vendor_model import read


def take(received: Received, _settings: ToolSettings, _now: datetime) -> RawPayloads | Rejected:
    """Split an envelope. One with a single event, and anything that is no envelope, stays unchanged, byte for byte."""
    parsed = read_json(received.body)
    if isinstance(parsed, Rejected):
        return parsed
    envelope = parsed.value
    data = envelope.get("data") if isinstance(envelope, dict) else None
    if not isinstance(envelope, dict) or not isinstance(data, list) or len(data) <= 1:
        return RawPayloads((received.body,))
    items = [item for item in data if item is not None] or data[:1]
    return as_records({**envelope, "data": [item]} for item in items)


# Paths of people in an event, outer ones first: expressions see the entity before inner people are replaced.
PEOPLE = (
    ("actor",),
    ("object",),
    ("object", "assignee"),
    ("object", "creators"),
    ("object", "replyTo", "creators"),
    ("generated", "attempt", "assignee"),
    ("generated", "withAgents"),
)
# Replacements for an invalid expression result (no text, no person): the record stays invalid in the same way.
NO_TEXT: list[object] = []
NOBODY: list[object] = [[]]
EVENT = "Event"


def keep(payload: object, settings: ToolSettings, pseudonym: Pseudonym) -> object:
    assert isinstance(settings, CaliperSettings)
    kept = allow_list(Envelope).kept(payload, pseudonym)
    if isinstance(payload, dict) and isinstance(payload.get("data"), list) and isinstance(kept, dict):
        kept["data"] = [_item(item, settings, pseudonym) for item in payload["data"]]
    return kept


def _item(value: object, settings: CaliperSettings, pseudonym: Pseudonym) -> object:
    item = read(Item, value)
    if isinstance(item, Rejected) or not isinstance(value, dict):
        return AllowList().kept(value, pseudonym)
    if not item.type.endswith(EVENT):
        return {"type": CUT}
    action = read(Action, value)
    thing = action if isinstance(action, Rejected) else read(Named, action.object)
    if isinstance(action, Rejected) or isinstance(thing, Rejected):
        return _list(settings).kept(value, pseudonym)
    objects = frozenset({thing.id, thing.type} - {""}) | places_of(value)
    if settings.meaning(f"{action.type}.{action.action}", objects) is None:
        return _outline(settings).kept(value, pseudonym)
    return _list(settings).kept(_with_findings(value, settings), pseudonym)


def _outline(settings: CaliperSettings) -> AllowList:
    """Enough of an event to show that it has no meaning here."""
    kinds, actions = map(frozenset, zip(*(known.split(".") for known in settings.actions), strict=True))
    named = {"type": AllowList(leaf=terms(kinds, EVENT)), "action": AllowList(leaf=terms(actions, CUT))}
    return AllowList(members={**named, "object": AllowList()})


def _list(settings: CaliperSettings) -> AllowList:
    place = _place(settings, MOST_LEVELS)
    thing = allow_list(Thing).with_members(
        id=AllowList(leaf=place.leaf),
        type=AllowList(leaf=terms({PERSON, MESSAGE, *settings.objects}, CUT)),
        **{EXPRESSED: ENTITY.members[EXPRESSED], PART: place},
    )
    found = AllowList(members={"people": ENTITIES, "relationship": AllowList(leaf=ID)})
    return (
        allow_list(CaliperEvent)
        .with_members(**_outline(settings).members, **{EXPRESSED: found, GROUP: place, "generated": allow_list(Scored)})
        .with_members(object=replace(thing, leaf=place.leaf))
    )


def _place(settings: CaliperSettings, levels: int) -> AllowList:
    """Allow-list of a thread, forum, course or group: its presence, and its id and type if the settings name them."""
    known = settings.objects
    identified = Leaf("an IRI", lambda text, pseudonym: text if text in known else IRI.of_text(text, pseudonym))
    members = {"id": AllowList(leaf=identified), "type": AllowList(leaf=terms(known, CUT))}
    if levels > 1:
        members |= dict.fromkeys((PART, ORGANIZATION), _place(settings, levels - 1))
    return AllowList(leaf=identified, members=members)


def _with_findings(event: Mapping[str, object], settings: CaliperSettings) -> object:
    """Add the results of the settings' expressions to the event and to every person in it."""
    if EXPRESSED in event:
        return event
    found: object = event
    for place in PEOPLE:
        found = _changed(found, place, settings)
    people = _found("people", settings.people, event, NOBODY)
    if "people" in people:
        people["people"] = _people(people["people"], settings)
    findings = people | _found("relationship", settings.relationship, event, NO_TEXT)
    return {**found, EXPRESSED: findings} if isinstance(found, dict) else found


def _changed(value: object, place: tuple[str, ...], settings: CaliperSettings) -> object:
    if not place:
        return _people(value, settings)
    if isinstance(value, dict) and place[0] in value:
        return {**value, place[0]: _changed(value[place[0]], place[1:], settings)}
    return value


def _people(value: object, settings: CaliperSettings) -> object:
    return [_person(one, settings) for one in value] if isinstance(value, list) else _person(value, settings)


def _person(value: object, settings: CaliperSettings) -> object:
    person = entity(value) if isinstance(value, str) else value
    if not isinstance(person, dict) or EXPRESSED in person or not (settings.participant or settings.address):
        return value
    found = _found("participant", settings.participant, person, NO_TEXT)
    return {**person, EXPRESSED: found | _found("address", settings.address, person, NO_TEXT)}


def _found(name: str, expression: Compiled | None, value: object, nothing: object) -> dict[str, object]:
    if expression is None:
        return {}
    found = expressed(name, expression, value)
    if isinstance(found, Rejected):
        return {name: nothing}
    return {} if found.value is None else {name: found.value}


TOOL = Tool(name="caliper", verify=prove_bearer, translate=translate, settings=CaliperSettings, keep=keep, take=take)
