"""The parts of a statement that we read."""

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field

from services.ingest.sources.reading import Foreign, Ident, MaybeIdent, MaybeText, ZonedOrUtc

LONGEST_DURATION = 64
# cmi5 says here how far somebody has come, from 0 to 100.
PROGRESS = "https://w3id.org/xapi/cmi5/result/extensions/progress"


def _duration(value: object) -> object:
    # pydantic alone would also take 5400 and "01:30:00".
    if isinstance(value, str) and len(value) <= LONGEST_DURATION and value.startswith("P"):
        return value
    raise ValueError("must be an ISO 8601 duration as in PT1H30M")


def _object(value: object) -> object:
    return {} if value is None else value


def _no_bool(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("must be a number")  # noqa: TRY004 (pydantic reads ValueError)
    return value


Number = Annotated[float, BeforeValidator(_no_bool)]
# A year has 365 days and a month 30: the standard lets both be said, and nothing that lasts so long is a session.
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Extensions = Annotated[dict[str, object], BeforeValidator(_object)]


class Account(Foreign):
    homePage: Ident  # noqa: N815 (the standard's name)
    name: Ident


class Actor(Foreign):
    """An agent, or a group with or without an identity of its own."""

    objectType: MaybeText = ""  # noqa: N815 (the standard's name)
    mbox: MaybeText = ""
    mbox_sha1sum: MaybeText = ""
    openid: MaybeText = ""
    account: Account | None = None
    member: "tuple[Actor, ...] | None" = None

    @property
    def is_group(self) -> bool:
        return self.objectType == "Group" or self.member is not None


class Verb(Foreign):
    id: Ident


class Definition(Foreign):
    type: MaybeText = ""


class Target(Foreign):
    """The object: an activity, where it does not say otherwise."""

    objectType: MaybeText = ""  # noqa: N815 (the standard's name)
    id: MaybeText = ""
    definition: Annotated[Definition, BeforeValidator(_object)] = Definition()


class Score(Foreign):
    scaled: Annotated[Number, Field(ge=-1, le=1)] | None = None
    raw: Number | None = None
    min: Number | None = None
    max: Number | None = None


class Result(Foreign):
    """`response` is free text and left out."""

    score: Annotated[Score, BeforeValidator(_object)] = Score()
    completion: bool | None = None
    duration: Duration | None = None
    extensions: Extensions = Field(default_factory=dict)


class Context(Foreign):
    registration: MaybeIdent = ""
    instructor: Actor | None = None
    team: Actor | None = None
    extensions: Extensions = Field(default_factory=dict)


class Outline(Foreign):
    """As much of a statement as tells whether it is one of ours."""

    verb: Verb
    object: dict[str, object]


class Statement(Outline):
    """Without `timestamp` it happened when it was `stored`."""

    id: MaybeIdent = ""
    actor: Actor
    result: Annotated[Result, BeforeValidator(_object)] = Result()
    context: Annotated[Context, BeforeValidator(_object)] = Context()
    timestamp: ZonedOrUtc | None = None
    stored: ZonedOrUtc | None = None
