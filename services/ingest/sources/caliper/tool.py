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
    EXPRESSION_RESULTS,
    GROUP,
    IRI,
    MAX_LEVELS,
    MESSAGE,
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
    containers_of,
    entity,
    terms,
)
from services.ingest.sources.caliper.translation import evaluate, translate
from services.ingest.sources.mapping.settings import Compiled
from services.ingest.sources.tool import RawPayloads, Received, Tool, ToolSettings, payload_per_value, verify_bearer
from services.ingest.sources.vendor_model import read


def split(received: Received, _settings: ToolSettings, _now: datetime) -> RawPayloads | Rejected:
    """Split an envelope. One with a single event, and anything that is no envelope, stays unchanged, byte for byte."""
    parsed = read_json(received.body)
    if isinstance(parsed, Rejected):
        return parsed
    envelope = parsed.value
    data = envelope.get("data") if isinstance(envelope, dict) else None
    if not isinstance(envelope, dict) or not isinstance(data, list) or len(data) <= 1:
        return RawPayloads((received.body,))
    items = [item for item in data if item is not None] or data[:1]
    return payload_per_value({**envelope, "data": [item]} for item in items)


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
NON_TEXT: list[object] = []
NOBODY: list[object] = [[]]
EVENT = "Event"


def redact(payload: object, settings: ToolSettings, pseudonym: Pseudonym) -> object:
    assert isinstance(settings, CaliperSettings)
    kept = allow_list(Envelope).redact(payload, pseudonym)
    if isinstance(payload, dict) and isinstance(payload.get("data"), list) and isinstance(kept, dict):
        kept["data"] = [_redact_item(item, settings, pseudonym) for item in payload["data"]]
    return kept


def _redact_item(value: object, settings: CaliperSettings, pseudonym: Pseudonym) -> object:
    item = read(Item, value)
    if isinstance(item, Rejected) or not isinstance(value, dict):
        return AllowList().redact(value, pseudonym)
    if not item.type.endswith(EVENT):
        return {"type": CUT}
    action = read(Action, value)
    thing = action if isinstance(action, Rejected) else read(Named, action.object)
    if isinstance(action, Rejected) or isinstance(thing, Rejected):
        return _event_allow_list(settings).redact(value, pseudonym)
    objects = frozenset({thing.id, thing.type} - {""}) | containers_of(value)
    if settings.meaning(f"{action.type}.{action.action}", objects) is None:
        return _outline_allow_list(settings).redact(value, pseudonym)
    return _event_allow_list(settings).redact(_with_results(value, settings), pseudonym)


def _outline_allow_list(settings: CaliperSettings) -> AllowList:
    """Enough of an event to show that it has no meaning here."""
    kinds, actions = map(frozenset, zip(*(action.split(".") for action in settings.actions), strict=True))
    named = {"type": AllowList(leaf=terms(kinds, EVENT)), "action": AllowList(leaf=terms(actions, CUT))}
    return AllowList(members={**named, "object": AllowList()})


def _event_allow_list(settings: CaliperSettings) -> AllowList:
    container = _container(settings, MAX_LEVELS)
    thing = allow_list(Thing).with_members(
        id=AllowList(leaf=container.leaf),
        type=AllowList(leaf=terms({PERSON, MESSAGE, *settings.objects}, CUT)),
        **{EXPRESSION_RESULTS: ENTITY.members[EXPRESSION_RESULTS], PART: container},
    )
    found = AllowList(members={"people": ENTITIES, "relationship": AllowList(leaf=ID)})
    return (
        allow_list(CaliperEvent)
        .with_members(
            **_outline_allow_list(settings).members,
            **{EXPRESSION_RESULTS: found, GROUP: container, "generated": allow_list(Scored)},
        )
        .with_members(object=replace(thing, leaf=container.leaf))
    )


def _container(settings: CaliperSettings, levels: int) -> AllowList:
    """Allow-list of a thread, forum, course or group: its presence, and its id and type if the settings name them."""
    recognised = settings.objects
    identified = Leaf("an IRI", lambda text, pseudonym: text if text in recognised else IRI.of_text(text, pseudonym))
    members = {"id": AllowList(leaf=identified), "type": AllowList(leaf=terms(recognised, CUT))}
    if levels > 1:
        members |= dict.fromkeys((PART, ORGANIZATION), _container(settings, levels - 1))
    return AllowList(leaf=identified, members=members)


def _with_results(event: Mapping[str, object], settings: CaliperSettings) -> object:
    """Add the results of the settings' expressions to the event and to every person in it."""
    if EXPRESSION_RESULTS in event:
        return event
    found: object = event
    for path in PEOPLE:
        found = _with_results_at(found, path, settings)
    people = _result_of("people", settings.people, event, NOBODY)
    if "people" in people:
        people["people"] = _annotate_people(people["people"], settings)
    results = people | _result_of("relationship", settings.relationship, event, NON_TEXT)
    return {**found, EXPRESSION_RESULTS: results} if isinstance(found, dict) else found


def _with_results_at(value: object, path: tuple[str, ...], settings: CaliperSettings) -> object:
    if not path:
        return _annotate_people(value, settings)
    if isinstance(value, dict) and path[0] in value:
        return {**value, path[0]: _with_results_at(value[path[0]], path[1:], settings)}
    return value


def _annotate_people(value: object, settings: CaliperSettings) -> object:
    return (
        [_annotate_person(one, settings) for one in value]
        if isinstance(value, list)
        else _annotate_person(value, settings)
    )


def _annotate_person(value: object, settings: CaliperSettings) -> object:
    person = entity(value) if isinstance(value, str) else value
    if not isinstance(person, dict) or EXPRESSION_RESULTS in person or not (settings.participant or settings.address):
        return value
    found = _result_of("participant", settings.participant, person, NON_TEXT)
    return {**person, EXPRESSION_RESULTS: found | _result_of("address", settings.address, person, NON_TEXT)}


def _result_of(name: str, expression: Compiled | None, value: object, nothing: object) -> dict[str, object]:
    if expression is None:
        return {}
    found = evaluate(name, expression, value)
    if isinstance(found, Rejected):
        return {name: nothing}
    return {} if found.value is None else {name: found.value}


TOOL = Tool(
    name="caliper", verify=verify_bearer, translate=translate, settings=CaliperSettings, redact=redact, split=split
)
