"""The parts of a statement that we read."""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Annotated
from urllib.parse import quote, unquote

from pydantic import BeforeValidator, Field

from services.ingest.domain.pseudonym import Pseudonym
from services.ingest.domain.tools.allow_list import AllowList
from services.ingest.domain.tools.leaves import CUT, ID, NUMBER, PERSON_ID, Leaf, address_in, matching, one_of
from services.ingest.sources.reading import Foreign, Ident, MaybeIdent, MaybeText, ZonedOrUtc, read

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


def address_of(mbox: str) -> str:
    """Of a mailto IRI or an address, in which anything may be percent-encoded; empty if there is none."""
    return address_in(unquote(mbox.removeprefix(MAILTO).partition("?")[0]))


def _mailbox(text: str, _: Pseudonym) -> str:
    address = address_of(text)
    return MAILTO + quote(address, safe="@!#$&'*+/=^`{|}~") if address else CUT


MAILTO = "mailto:"
AGENT, GROUP, STATEMENT_REF, SUB_STATEMENT = "Agent", "Group", "StatementRef", "SubStatement"
Kind = Annotated[MaybeText, one_of(AGENT, GROUP, STATEMENT_REF, SUB_STATEMENT, "Activity")]
# What is kept where only the settings know what is read: nothing, until keeping.py has asked them.
BY_SETTINGS = AllowList()
# Where many are taught or talk to each other.
COURSES = frozenset(
    {
        *("course", "courseoffering", "coursesection", "module", "lesson", "unit", "lecture"),
        *("discussion", "forum", "forum-topic", "forum-post", "forum-reply", "forum-thread", "thread"),
    }
)
AROUND, BELONGING, MOST_AROUND = "contextActivities", ("parent", "grouping"), 100
SEPARATOR = re.compile(r"[/#:]")
DURATION = re.compile(r"P[\dYMWDTHS.,]{1,63}", re.ASCII)
SHA1 = re.compile(r"[0-9A-Fa-f]{40}", re.ASCII)
Number = Annotated[float, BeforeValidator(_no_bool)]
# A year has 365 days and a month 30: the standard lets both be said, and nothing that lasts so long is a session.
Duration = Annotated[timedelta, BeforeValidator(_duration), Leaf("a duration", matching(DURATION))]
Extensions = Annotated[dict[str, object], BeforeValidator(_object), BY_SETTINGS]


class Account(Foreign):
    homePage: Ident  # noqa: N815 (the standard's name)
    name: Annotated[Ident, PERSON_ID]


class Agent(Foreign):
    """Somebody, by one of four identifiers."""

    objectType: Kind = ""  # noqa: N815 (the standard's name)
    mbox: Annotated[MaybeText, Leaf("a mailbox", _mailbox)] = ""
    mbox_sha1sum: Annotated[MaybeText, Leaf("a SHA-1", matching(SHA1))] = ""
    openid: Annotated[MaybeText, ID] = ""
    account: Account | None = None


class Actor(Agent):
    """An agent, or a group with or without an identity of its own."""

    member: tuple[Agent, ...] | None = None

    @property
    def is_group(self) -> bool:
        return self.objectType == GROUP or self.member is not None


class Verb(Foreign):
    id: Annotated[Ident, BY_SETTINGS]


class Definition(Foreign):
    type: Annotated[MaybeText, BY_SETTINGS] = ""


class Target(Foreign):
    """The object: an activity, where it does not say otherwise."""

    objectType: Kind = ""  # noqa: N815 (the standard's name)
    id: Annotated[MaybeText, BY_SETTINGS] = ""
    definition: Annotated[Definition, BeforeValidator(_object)] = Definition()


class Score(Foreign):
    scaled: Annotated[Number, Field(ge=-1, le=1)] | None = None
    raw: Number | None = None
    min: Number | None = None
    max: Number | None = None


class Result(Foreign):
    """`response` is what people wrote, and left out."""

    score: Annotated[Score, BeforeValidator(_object)] = Score()
    completion: bool | None = None
    duration: Duration | None = None
    extensions: Annotated[Extensions, AllowList(members={PROGRESS: AllowList(leaf=NUMBER)})] = Field(
        default_factory=dict
    )


class Context(Foreign):
    instructor: Actor | None = None
    team: Actor | None = None
    extensions: Extensions = Field(default_factory=dict)


def course_word(kind: str) -> str:
    """The last step of an activity's type where that is a part of a course or a forum; else empty."""
    step = SEPARATOR.split(kind.rstrip("/#"))[-1].lower()
    return step if step in COURSES else ""


def names_of(activities: Iterable[Target]) -> frozenset[str]:
    """Their ids and types, by which settings may know them."""
    return frozenset(name for one in activities for name in (one.id, one.definition.type)) - {""}


def surroundings(statement: Mapping[str, object]) -> tuple[Target, ...]:
    """The activities to which it belongs: those of the context that are its parents or group it."""
    context = statement.get("context")
    found = context.get(AROUND) if isinstance(context, dict) else None
    lists = [found.get(name) for name in BELONGING] if isinstance(found, dict) else []
    # Clients of version 0.95 send one where there is one.
    activities = [one for each in lists for one in (each if isinstance(each, list) else [each])]
    read_ones = (read(Target, activity) for activity in activities[:MOST_AROUND] if isinstance(activity, dict))
    return tuple(one for one in read_ones if isinstance(one, Target))


class Outline(Foreign):
    """As much of a statement as tells whether it is one of ours."""

    verb: Verb
    object: Annotated[dict[str, object], BY_SETTINGS]


class Statement(Outline):
    """Without `timestamp` it happened when it was `stored`."""

    id: MaybeIdent = ""
    actor: Actor
    result: Annotated[Result, BeforeValidator(_object)] = Result()
    context: Annotated[Context, BeforeValidator(_object)] = Context()
    timestamp: ZonedOrUtc | None = None
    stored: ZonedOrUtc | None = None
