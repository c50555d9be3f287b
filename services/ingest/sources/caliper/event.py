"""The parts of an envelope and its events that we read. Wherever an entity may stand, its IRI alone may stand too."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field

from services.ingest.sources.reading import Foreign, Ident, MaybeText, ZonedOrUtc

# 1.2 only adds to 1.1 (events and entities that are read here alike).
VERSIONS = frozenset({"http://purl.imsglobal.org/ctx/caliper/v1p1", "http://purl.imsglobal.org/ctx/caliper/v1p2"})
LONGEST_DURATION = 64
SEPARATOR = re.compile(r"[/#:]")


def _term(value: object) -> object:
    """JSON-LD lets a term be written short (`Posted`) or as an IRI."""
    return SEPARATOR.split(value)[-1] if isinstance(value, str) else value


def _entity(value: object) -> object:
    if isinstance(value, str):
        return {"id": value}
    return {} if value is None else value


def _entities(value: object) -> object:
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [_entity(each) for each in values]


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


Term = Annotated[str, Field(min_length=1, max_length=100), BeforeValidator(_term)]
Raw = Annotated[dict[str, object], BeforeValidator(_entity)]
Raws = Annotated[tuple[dict[str, object], ...], BeforeValidator(_entities)]
Number = Annotated[float, BeforeValidator(_number)]
Selected = Annotated[tuple[str, ...], BeforeValidator(_texts)]


class Envelope(Foreign):
    dataVersion: Ident  # noqa: N815 (the standard's name)
    data: list[object]


class Item(Foreign):
    """Anything in `data`: an event, or an entity that is described."""

    type: Term


class Action(Item):
    """As much of an event as tells whether it is one of ours."""

    action: Term
    object: Raw


class Event(Action):
    id: Ident
    actor: Raw
    eventTime: ZonedOrUtc  # noqa: N815 (the standard's name)
    generated: Raw = Field(default_factory=dict)


class Replied(Foreign):
    id: MaybeText = ""
    creators: Raws = ()


class Attempted(Foreign):
    assignee: Raw = Field(default_factory=dict)


class Named(Foreign):
    id: MaybeText = ""
    type: Annotated[MaybeText, BeforeValidator(_term)] = ""


class Thing(Named):
    """What an event is about, of any type."""

    assignee: Raw = Field(default_factory=dict)
    creators: Raws = ()
    replyTo: Annotated[Replied, BeforeValidator(_entity)] = Replied()  # noqa: N815 (the standard's name)
    startedAtTime: ZonedOrUtc | None = None  # noqa: N815 (the standard's name)
    endedAtTime: ZonedOrUtc | None = None  # noqa: N815 (the standard's name)
    duration: Annotated[timedelta | None, BeforeValidator(_duration)] = None


class Points(Foreign):
    """A numeric scale, or a Likert scale whose items have values."""

    minValue: Number | None = None  # noqa: N815 (the standard's name)
    maxValue: Number | None = None  # noqa: N815 (the standard's name)
    itemValues: Selected = ()  # noqa: N815 (the standard's name)


class Question(Foreign):
    scale: Annotated[Points, BeforeValidator(_entity)] = Points()


class Scored(Foreign):
    """What a grade or, in the feedback profile, a ranking generates: a score, or a rating."""

    scoreGiven: Number | None = None  # noqa: N815 (the standard's name)
    maxScore: Number | None = None  # noqa: N815 (the standard's name)
    selections: Selected = ()
    question: Annotated[Question, BeforeValidator(_entity)] = Question()
    attempt: Annotated[Attempted, BeforeValidator(_entity)] = Attempted()
