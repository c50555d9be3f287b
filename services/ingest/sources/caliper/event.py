"""The parts of an envelope and its events that we read. Wherever an entity may stand, its IRI alone may stand too."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field

from services.ingest.domain.pseudonym import Pseudonym
from services.ingest.domain.tools.allow_list import AllowList, allow_list
from services.ingest.domain.tools.leaves import ADDRESS, CUT, ID, NUMBER, Leaf, address_in, matching, one_of
from services.ingest.sources.reading import Foreign, Ident, MaybeText, ZonedOrUtc

# 1.2 only adds to 1.1 (events and entities that are read here alike).
VERSIONS = frozenset({"http://purl.imsglobal.org/ctx/caliper/v1p1", "http://purl.imsglobal.org/ctx/caliper/v1p2"})
LONGEST_DURATION = 64
SEPARATOR = re.compile(r"[/#:]")


def term(text: str) -> str:
    """JSON-LD lets a term be written short (`Posted`) or as an IRI."""
    return SEPARATOR.split(text)[-1]


def _term(value: object) -> object:
    return term(value) if isinstance(value, str) else value


def entity(value: object) -> object:
    """Wherever an entity may stand, its IRI alone may stand too."""
    if isinstance(value, str):
        return {"id": value}
    return {} if value is None else value


def _entities(value: object) -> object:
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [entity(each) for each in values]


def _texts(value: object) -> object:
    return [str(each) for each in value] if isinstance(value, list) else [] if value is None else value


def _duration(value: object) -> object:
    if value is None or (isinstance(value, str) and len(value) <= LONGEST_DURATION and value.startswith("P")):
        return value
    raise ValueError("must be an ISO 8601 duration as in PT1H30M")


def _number(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("must be a number")  # noqa: TRY004 (pydantic reads ValueError)
    return value


def places_of(event: Mapping[str, object]) -> frozenset[str]:
    """The ids and types of the thread, forum, course or group to which it belongs, and to which that belongs."""
    about = event.get("object")
    found: set[str] = set()
    for place in (about.get(PART) if isinstance(about, dict) else None, event.get(GROUP)):
        node = entity(place)
        for _ in range(MOST_LEVELS):
            if not isinstance(node, dict):
                break
            names = (node.get("id"), node.get("type"))
            found.update(term_or_id for name in names if isinstance(name, str) for term_or_id in (name, term(name)))
            node = entity(node.get(PART) or node.get(ORGANIZATION))
    return frozenset(found - {""})


def is_public(event: Mapping[str, object]) -> bool:
    """Whether it belongs to a thread or forum, or to a group that is described; of a group's mere IRI nobody knows what
    it is."""
    about = event.get("object")
    return isinstance(event.get(GROUP), dict) or (isinstance(about, dict) and bool(about.get(PART)))


def terms(known: AbstractSet[str], otherwise: str) -> Leaf:
    """A term that means something here, written short; of any other that it is another."""
    return Leaf("a term", lambda text, _: term(text) if term(text) in known else otherwise)


def _iri(text: str, pseudonym: Pseudonym) -> str:
    if text.lower().startswith(MAILTO):
        address = address_in(text)
        return MAILTO + address if address else CUT
    return pseudonym(text)


PART, GROUP, ORGANIZATION = "isPartOf", "group", "subOrganizationOf"
# A thread of a forum of a section of an offering of a course.
MOST_LEVELS = 6
MAILTO = "mailto:"
PERSON, MESSAGE = "Person", "Message"
# Bots are not people, and neither are groups of them: an event has one actor.
PERSONS = frozenset({"", "Agent", PERSON})
EXPRESSED = "rapport_expressed"
"""A member that no sender has: what the expressions of the settings found in an entity or an event. It is kept in the
place of all that they may have looked at."""
DURATION = re.compile(r"P[\dYMWDTHS.,]{1,63}", re.ASCII)
# What is kept where only the settings know what is read: nothing, until keeping.py has asked them.
BY_SETTINGS = AllowList()
IRI = Leaf("an IRI, or its digest where it may be text", _iri)
FOUND = AllowList(members={"participant": AllowList(leaf=ID), "address": AllowList(leaf=ADDRESS)})
ENTITY = AllowList(
    leaf=IRI,
    members={"id": AllowList(leaf=IRI), "type": AllowList(leaf=terms(PERSONS, CUT)), EXPRESSED: FOUND},
)
ENTITIES = AllowList(leaf=IRI, members=ENTITY.members, items=ENTITY)

Term = Annotated[str, Field(min_length=1, max_length=100), BeforeValidator(_term), BY_SETTINGS]
Raw = Annotated[dict[str, object], BeforeValidator(entity), ENTITY]
Raws = Annotated[tuple[dict[str, object], ...], BeforeValidator(_entities), ENTITIES]
Number = Annotated[float, BeforeValidator(_number)]
Selected = Annotated[tuple[str, ...], BeforeValidator(_texts), AllowList(items=AllowList(leaf=NUMBER))]


class Envelope(Foreign):
    dataVersion: Annotated[Ident, one_of(*VERSIONS)]  # noqa: N815 (the standard's name)
    data: Annotated[list[object], BY_SETTINGS]


class Item(Foreign):
    """Anything in `data`: an event, or an entity that is described."""

    type: Term


class Action(Item):
    """As much of an event as tells whether it is one of ours."""

    action: Term
    object: Annotated[Raw, BY_SETTINGS]


class Event(Action):
    id: Ident
    actor: Raw
    eventTime: ZonedOrUtc  # noqa: N815 (the standard's name)
    generated: Annotated[Raw, BY_SETTINGS] = Field(default_factory=dict)


class Replied(Foreign):
    id: Annotated[MaybeText, IRI] = ""
    creators: Raws = ()


REPLIED = AllowList(leaf=IRI, members=allow_list(Replied).members)


class Attempted(Foreign):
    assignee: Raw = Field(default_factory=dict)


class Named(Foreign):
    id: Annotated[MaybeText, IRI] = ""
    type: Annotated[MaybeText, BeforeValidator(_term), BY_SETTINGS] = ""


class Thing(Named):
    """What an event is about, of any type."""

    assignee: Raw = Field(default_factory=dict)
    creators: Raws = ()
    replyTo: Annotated[Replied, BeforeValidator(entity), REPLIED] = Replied()  # noqa: N815 (the standard's name)
    startedAtTime: ZonedOrUtc | None = None  # noqa: N815 (the standard's name)
    endedAtTime: ZonedOrUtc | None = None  # noqa: N815 (the standard's name)
    duration: Annotated[timedelta | None, BeforeValidator(_duration), Leaf("a duration", matching(DURATION))] = None


class Points(Foreign):
    """A numeric scale, or a Likert scale whose items have values."""

    minValue: Number | None = None  # noqa: N815 (the standard's name)
    maxValue: Number | None = None  # noqa: N815 (the standard's name)
    itemValues: Selected = ()  # noqa: N815 (the standard's name)


class Question(Foreign):
    scale: Annotated[Points, BeforeValidator(entity)] = Points()


class Scored(Foreign):
    """What a grade or, in the feedback profile, a ranking generates: a score, or a rating."""

    scoreGiven: Number | None = None  # noqa: N815 (the standard's name)
    maxScore: Number | None = None  # noqa: N815 (the standard's name)
    selections: Selected = ()
    question: Annotated[Question, BeforeValidator(entity)] = Question()
    attempt: Annotated[Attempted, BeforeValidator(entity)] = Attempted()
