"""What a statement of xAPI holds, who is in it, and what verbs of ADL's vocabulary and of the registry mean."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import quote, unquote

from pydantic import Field

from services.ingest.domain.activity import Person
from services.ingest.domain.tools.allow_list import (
    CUT,
    ID,
    NUMBER,
    PERSON_ID,
    TIME,
    AllowList,
    Leaf,
    address_in,
    allow_list,
    matching,
    one_of,
)
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.learning_records import HELD, MESSAGE_SENT, PREPARED, SHARED, Meaning, first_that_fits
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vendor_model import (
    NONE_IF_EMPTY,
    NULL_IS_EMPTY,
    WITHOUT_NULLS,
    Duration,
    Ident,
    MaybeIdent,
    MaybeText,
    MaybeTime,
    Number,
    VendorModel,
    read,
    within,
)
from services.ingest.sources.vocabulary import FEEDBACK, PROGRESSED, Scale

ADL = "http://adlnet.gov/expapi/verbs/"
STREAMS = "http://activitystrea.ms/schema/1.0/"
REGISTRY = "http://id.tincanapi.com/verb/"
VOIDED, MENTORED = f"{ADL}voided", f"{REGISTRY}mentored"
Iri = Annotated[str, Field(min_length=1, max_length=2000)]


class XapiMeaning(Meaning):
    """The verb means this only at an `activity`."""

    place: Iri | None = Field(None, alias="activity")


COMPLETED = (XapiMeaning(type=PREPARED, data={"kind": "training"}),)
WRITTEN = (XapiMeaning(type=MESSAGE_SENT, data={"channel": "xapi"}),)
DEFAULTS: Mapping[str, tuple[XapiMeaning, ...]] = {
    **dict.fromkeys((f"{ADL}attended", f"{STREAMS}attend", MENTORED), (XapiMeaning(type=HELD),)),
    **dict.fromkeys((f"{ADL}completed", f"{STREAMS}complete"), COMPLETED),
    **dict.fromkeys((f"{ADL}scored", f"{REGISTRY}rated"), (XapiMeaning(type=FEEDBACK, data={"about": "session"}),)),
    **dict.fromkeys((f"{ADL}commented", f"{ADL}responded"), WRITTEN),
    **dict.fromkeys((f"{ADL}shared", f"{STREAMS}share"), (XapiMeaning(type=SHARED),)),
    f"{ADL}progressed": (XapiMeaning(type=PROGRESSED),),
}


class XapiSettings(ToolSettings):
    """`verbs` replaces the default of each verb that it names; an empty list switches it off. Accounts on
    `directory_home` are named by the ids of our directory. `relationship` is the context extension that holds the id
    of the relationship. `scale` is that of raw scores that come without min and max, `scaled_from` where the scaled
    ones begin: -1 as in the standard, or 0 as many send them. `timestamp` is when a session with a duration ended or,
    for systems that say so, when it began."""

    verbs: Mapping[Iri, tuple[XapiMeaning, ...]] = Field(default_factory=dict)
    directory_home: str = ""
    relationship: Iri | None = None
    scale: Scale | None = None
    scaled_from: Literal[-1, 0] = -1
    timestamp: Literal["end", "start"] = "end"

    def meaning(self, verb: str, activities: frozenset[str]) -> XapiMeaning | None:
        """The first that fits what the verb was done to."""
        return first_that_fits(self.verbs.get(verb, DEFAULTS.get(verb, ())), activities)


# cmi5 says here how far somebody has come, from 0 to 100.
PROGRESS = "https://w3id.org/xapi/cmi5/result/extensions/progress"


def address_of(mbox: str) -> str:
    """Of a mailto IRI or an address, in which anything may be percent-encoded; empty if there is none."""
    return address_in(unquote(mbox.removeprefix(MAILTO).partition("?")[0]))


MAILTO = "mailto:"
UNQUOTED = "@!#$&'*+/=^`{|}~"
MAILBOX = Leaf("a mailbox", lambda text, _: MAILTO + quote(one, UNQUOTED) if (one := address_of(text)) else CUT)
AGENT, GROUP, STATEMENT_REF, SUB_STATEMENT = "Agent", "Group", "StatementRef", "SubStatement"
Kind = Annotated[MaybeText, one_of(AGENT, GROUP, STATEMENT_REF, SUB_STATEMENT, "Activity")]
# What is kept where only the settings know what is read: nothing, until `keep` has asked them.
BY_SETTINGS = AllowList()
AROUND, BELONGING, MOST_AROUND = "contextActivities", ("parent", "grouping"), 100
SHA1 = re.compile(r"[0-9A-Fa-f]{40}", re.ASCII)
UUID_SHAPE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
Extensions = Annotated[dict[str, object], NULL_IS_EMPTY, BY_SETTINGS]


class XapiAccount(VendorModel):
    homePage: Ident  # noqa: N815 (the standard's name)
    name: Annotated[Ident, PERSON_ID]


class Agent(VendorModel):
    """Somebody, by one of four identifiers."""

    objectType: Kind = ""  # noqa: N815 (the standard's name)
    mbox: Annotated[MaybeText, MAILBOX] = ""
    mbox_sha1sum: Annotated[MaybeText, Leaf("a SHA-1", matching(SHA1))] = ""
    openid: Annotated[MaybeText, ID] = ""
    account: XapiAccount | None = None


class Actor(Agent):
    """An agent, or a group with or without an identity of its own."""

    member: Annotated[tuple[Agent, ...] | None, WITHOUT_NULLS] = None

    @property
    def is_group(self) -> bool:
        return self.objectType == GROUP or self.member is not None


class Verb(VendorModel):
    id: Annotated[Ident, BY_SETTINGS]


class XapiDefinition(VendorModel):
    type: Annotated[MaybeText, BY_SETTINGS] = ""


class XapiTarget(VendorModel):
    """The object: an activity, where it does not say otherwise."""

    objectType: Kind = ""  # noqa: N815 (the standard's name)
    id: Annotated[MaybeText, BY_SETTINGS] = ""
    definition: Annotated[XapiDefinition, NULL_IS_EMPTY] = XapiDefinition()


class XapiScore(VendorModel):
    scaled: Annotated[Number, Field(ge=-1, le=1)] | None = None
    raw: Number | None = None
    min: Number | None = None
    max: Number | None = None


class XapiResult(VendorModel):
    """`response` is what people wrote, and left out."""

    score: Annotated[XapiScore, NULL_IS_EMPTY] = XapiScore()
    completion: bool | None = None
    duration: Annotated[Duration | None, NONE_IF_EMPTY] = None
    extensions: Annotated[Extensions, AllowList(members={PROGRESS: AllowList(leaf=NUMBER)})] = Field(
        default_factory=dict
    )


class ContextPeople(VendorModel):
    """Of version 2.0: somebody, or a group, to whom the statement relates."""

    agent: Actor | None = None
    group: Actor | None = None


RELATED = Annotated[tuple[ContextPeople, ...] | None, WITHOUT_NULLS]


class Context(VendorModel):
    instructor: Actor | None = None
    team: Actor | None = None
    contextAgents: RELATED = None  # noqa: N815 (the standard's name)
    contextGroups: RELATED = None  # noqa: N815 (the standard's name)
    extensions: Extensions = Field(default_factory=dict)


def is_home(page: str, directory_home: str) -> bool:
    """Whether names on that page are those of our directory."""
    return bool(directory_home) and page.rstrip("/") == directory_home.rstrip("/")


def names_of(activities: Iterable[XapiTarget]) -> frozenset[str]:
    """Their ids and types, by which settings may know them."""
    return frozenset(name for one in activities for name in (one.id, one.definition.type)) - {""}


def surroundings(statement: Mapping[str, object]) -> tuple[XapiTarget, ...]:
    """The activities to which it belongs: those of the context that are its parents or group it."""
    context = statement.get("context")
    found = context.get(AROUND) if isinstance(context, dict) else None
    lists = [found.get(name) for name in BELONGING] if isinstance(found, dict) else []
    # Clients of version 0.95 send one where there is one.
    activities = [one for each in lists for one in (each if isinstance(each, list) else [each])]
    read_ones = (read(XapiTarget, activity) for activity in activities[:MOST_AROUND] if isinstance(activity, dict))
    return tuple(one for one in read_ones if isinstance(one, XapiTarget))


class XapiOutline(VendorModel):
    """As much of a statement as tells whether it is one of ours."""

    verb: Verb
    object: Annotated[dict[str, object], BY_SETTINGS]


class XapiStatement(XapiOutline):
    """Without `timestamp` it happened when it was `stored`, which is read only then. Of `result`
    only what the meaning asks for is read, see `result_for`."""

    id: MaybeIdent = ""
    actor: Actor
    result: Annotated[object, NULL_IS_EMPTY, allow_list(XapiResult)] = None
    context: Annotated[Context, NULL_IS_EMPTY] = Context()
    timestamp: MaybeTime = None
    stored: Annotated[object, TIME] = None


class XapiStored(VendorModel):
    stored: MaybeTime = None


@dataclass(frozen=True)
class XapiCircle:
    """`actors`: who did it, several if it was a group. `others`: the object, if that is people, and those of the
    context: instructor and team. `is_to_people`: the object is."""

    actors: tuple[Person, ...]
    others: tuple[Person, ...]
    relationship: str
    is_to_people: bool

    @property
    def all(self) -> tuple[Person, ...]:
        return tuple(dict.fromkeys((*self.actors, *self.others)))

    @property
    def is_of_one(self) -> bool:
        """Nobody but who did it is named."""
        return len(self.all) <= 1

    @property
    def is_addressed(self) -> bool:
        """It says itself with whom, or to whom, it was done: a relationship, people as its object, or several who did
        it together."""
        return bool(self.relationship or len(self.actors) > 1 or (self.is_to_people and not self.is_of_one))


def circle_of(statement: XapiStatement, target: XapiTarget, settings: XapiSettings) -> XapiCircle | Rejected:
    """Where nothing names the relationship, the people tell."""
    context, is_to_people = statement.context, target.objectType in {AGENT, GROUP}
    thing = read(Actor, statement.object) if is_to_people else None
    named = {"object": thing, "context.instructor": context.instructor, "context.team": context.team}
    named |= {f"context.contextAgents.{at}": one.agent for at, one in enumerate(context.contextAgents or ())}
    named |= {f"context.contextGroups.{at}": one.group for at, one in enumerate(context.contextGroups or ())}
    actors = people_in(statement.actor, settings.directory_home)
    if isinstance(actors, Rejected):
        return within("actor", actors)
    others: list[Person] = []
    for path, actor in named.items():
        found = people_in(actor, settings.directory_home) if isinstance(actor, Actor) else actor or ()
        if isinstance(found, Rejected):
            return within(path, found)
        others += found
    relationship = "" if settings.relationship is None else context.extensions.get(settings.relationship, "")
    if not isinstance(relationship, str):
        return rejected("invalid", f"context.extensions.{settings.relationship}", "must be the id of a relationship")
    return XapiCircle(actors, tuple(dict.fromkeys(others)), relationship, is_to_people)


# Of an address, and of an identity in the directory (schemas.directory).
LONGEST = 320
# A session has few people; a list longer than this is a mailing list.
MOST_MEMBERS = 100


def people_in(actor: Actor, directory_home: str) -> tuple[Person, ...] | Rejected:
    """An agent is one person. A group is its members: who belongs to one that names none, nobody here knows, so that
    it is empty. An account on `directory_home` has the name that our directory gives."""
    if not actor.is_group:
        found = _person(actor, directory_home)
        return found if isinstance(found, Rejected) else (found,)
    members = actor.member or ()
    if len(members) > MOST_MEMBERS:
        return rejected("invalid", "member", f"a group has at most {MOST_MEMBERS} members")
    people: list[Person] = []
    for index, member in enumerate(members):
        person = _person(member, directory_home)
        if isinstance(person, Rejected):
            return within(f"member.{index}", person)
        people.append(person)
    return tuple(dict.fromkeys(people))


def _person(actor: Agent, directory_home: str) -> Person | Rejected:
    if actor.mbox:
        address = address_of(actor.mbox)
        if address and len(address) <= LONGEST:
            return Person(address=address)
        return rejected("invalid", "mbox", "must be an address as in mailto:somebody@example.com")
    if actor.mbox_sha1sum:
        sha1 = actor.mbox_sha1sum.lower()
        return Person(id=sha1) if SHA1.fullmatch(sha1) else rejected("invalid", "mbox_sha1sum", "must be a SHA-1")
    if actor.openid:
        return Person(id=actor.openid[:LONGEST])
    if actor.account is None:
        return rejected("invalid", "", "names nobody: mbox, mbox_sha1sum, openid or account is required")
    home, name = actor.account.homePage, actor.account.name
    # Many systems use the address as the account's name.
    is_ours = is_home(home, directory_home)
    return Person(participant=name) if is_ours else Person(id=f"{home}#{name}", address=address_in(name))
