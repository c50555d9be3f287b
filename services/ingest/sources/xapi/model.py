"""xAPI statements: their models, the people they name, and the default meanings of ADL's and the registry's verbs."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import quote, unquote

from pydantic import Field

from services.ingest.domain.activity import Person
from services.ingest.domain.people.roster import normal_page
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
from services.ingest.sources.learning_records import HELD, MESSAGE_SENT, PREPARED, SHARED, Meaning, first_matching
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
    """With `activity`, the meaning applies to the verb only there."""

    target: Iri | None = Field(None, alias="activity")


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
    """`verbs` replaces the default of each verb that it names; an empty list disables the verb. Accounts on
    `directory_home` carry participant ids of our directory. `relationship` is the context extension with the
    relationship id. `scale` applies to raw scores without min and max; `scaled_from` is where scaled scores begin: -1
    as in the standard, or 0 as many senders have it. `timestamp` of a session with a duration is its end or, for some
    systems, its start."""

    verbs: Mapping[Iri, tuple[XapiMeaning, ...]] = Field(default_factory=dict)
    directory_home: str = ""
    relationship: Iri | None = None
    scale: Scale | None = None
    scaled_from: Literal[-1, 0] = -1
    timestamp: Literal["end", "start"] = "end"

    def meaning(self, verb: str, activities: frozenset[str]) -> XapiMeaning | None:
        """Return the first meaning that fits the verb's activities."""
        return first_matching(self.verbs.get(verb, DEFAULTS.get(verb, ())), activities)


# cmi5's result extension for progress, from 0 to 100.
PROGRESS = "https://w3id.org/xapi/cmi5/result/extensions/progress"


def address_of(mbox: str) -> str:
    """Return the address of a mailto IRI or a plain address, percent-decoded; "" if there is none."""
    return address_in(unquote(mbox.removeprefix(MAILTO).partition("?")[0]))


MAILTO = "mailto:"
UNQUOTED = "@!#$&'*+/=^`{|}~"
MAILBOX = Leaf("a mailbox", lambda text, _: MAILTO + quote(one, UNQUOTED) if (one := address_of(text)) else CUT)
AGENT, GROUP, STATEMENT_REF, SUB_STATEMENT = "Agent", "Group", "StatementRef", "SubStatement"
Kind = Annotated[MaybeText, one_of(AGENT, GROUP, STATEMENT_REF, SUB_STATEMENT, "Activity")]
# A placeholder that keeps nothing: `redact` replaces it by an allow-list made from the settings.
BY_SETTINGS = AllowList()
CONTEXT_ACTIVITIES, PARENT_KINDS, MAX_PARENTS = "contextActivities", ("parent", "grouping"), 100
SHA1 = re.compile(r"[0-9A-Fa-f]{40}", re.ASCII)
UUID_SHAPE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
Extensions = Annotated[dict[str, object], NULL_IS_EMPTY, BY_SETTINGS]


class XapiAccount(VendorModel):
    homePage: Ident  # noqa: N815 (the standard's name)
    name: Annotated[Ident, PERSON_ID]


class Agent(VendorModel):
    """A person with one of four identifiers."""

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
    """The object; an activity unless `objectType` says otherwise."""

    objectType: Kind = ""  # noqa: N815 (the standard's name)
    id: Annotated[MaybeText, BY_SETTINGS] = ""
    definition: Annotated[XapiDefinition, NULL_IS_EMPTY] = XapiDefinition()


class XapiScore(VendorModel):
    scaled: Annotated[Number, Field(ge=-1, le=1)] | None = None
    raw: Number | None = None
    min: Number | None = None
    max: Number | None = None


class XapiResult(VendorModel):
    """`response` is free text and is not read."""

    score: Annotated[XapiScore, NULL_IS_EMPTY] = XapiScore()
    completion: bool | None = None
    duration: Annotated[Duration | None, NONE_IF_EMPTY] = None
    extensions: Annotated[Extensions, AllowList(members={PROGRESS: AllowList(leaf=NUMBER)})] = Field(
        default_factory=dict
    )


class ContextPeople(VendorModel):
    """An agent or group related to the statement (xAPI 2.0)."""

    agent: Actor | None = None
    group: Actor | None = None


RELATED = Annotated[tuple[ContextPeople, ...] | None, WITHOUT_NULLS]


class Context(VendorModel):
    instructor: Actor | None = None
    team: Actor | None = None
    contextAgents: RELATED = None  # noqa: N815 (the standard's name)
    contextGroups: RELATED = None  # noqa: N815 (the standard's name)
    extensions: Extensions = Field(default_factory=dict)


def is_directory_page(page: str, directory_home: str) -> bool:
    """Whether account names on this page are participant ids of our directory."""
    return bool(directory_home) and normal_page(page).rstrip("/") == normal_page(directory_home).rstrip("/")


def identifiers_of(activities: Iterable[XapiTarget]) -> frozenset[str]:
    """Return the activities' ids and types, which settings may refer to."""
    return frozenset(name for one in activities for name in (one.id, one.definition.type)) - {""}


def context_activities(statement: Mapping[str, object]) -> tuple[XapiTarget, ...]:
    """Return the context activities that are the statement's parents or grouping."""
    context = statement.get("context")
    found = context.get(CONTEXT_ACTIVITIES) if isinstance(context, dict) else None
    lists = [found.get(name) for name in PARENT_KINDS] if isinstance(found, dict) else []
    # Clients of version 0.95 send a single object instead of a list.
    activities = [one for each in lists for one in (each if isinstance(each, list) else [each])]
    read_ones = (read(XapiTarget, activity) for activity in activities[:MAX_PARENTS] if isinstance(activity, dict))
    return tuple(one for one in read_ones if isinstance(one, XapiTarget))


class XapiOutline(VendorModel):
    """Enough of a statement to decide whether it has a meaning here."""

    verb: Verb
    object: Annotated[dict[str, object], BY_SETTINGS]


class XapiStatement(XapiOutline):
    """Without `timestamp` the time is `stored`, which is read only then. Of `result` only the members that the meaning
    needs are read, see RESULT_MEMBERS."""

    id: MaybeIdent = ""
    actor: Actor
    result: Annotated[object, NULL_IS_EMPTY, allow_list(XapiResult)] = None
    context: Annotated[Context, NULL_IS_EMPTY] = Context()
    timestamp: MaybeTime = None
    stored: Annotated[object, TIME] = None


class XapiStored(VendorModel):
    stored: MaybeTime = None


@dataclass(frozen=True)
class XapiParties:
    """`actors` performed the action (several for a group). `others` are the people in the object and in the context
    (instructor and team). `is_to_people`: the object is people."""

    actors: tuple[Person, ...]
    others: tuple[Person, ...]
    relationship: str
    is_to_people: bool

    @property
    def all(self) -> tuple[Person, ...]:
        return tuple(dict.fromkeys((*self.actors, *self.others)))

    @property
    def is_of_one(self) -> bool:
        """Whether nobody but the actor is named."""
        return len(self.all) <= 1

    @property
    def is_addressed(self) -> bool:
        """Whether the statement itself shows with or to whom the action was done: a relationship, people as its object,
        or several actors."""
        return bool(self.relationship or len(self.actors) > 1 or (self.is_to_people and not self.is_of_one))


def parties_of(statement: XapiStatement, target: XapiTarget, settings: XapiSettings) -> XapiParties | Rejected:
    """Collect the people of a statement and the relationship id, if the settings name an extension for it."""
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
    return XapiParties(actors, tuple(dict.fromkeys(others)), relationship, is_to_people)


# Limit of an address, and of an identity in the directory (schemas.directory).
LONGEST = 320
# A session has few people; a longer list is a mailing list.
MAX_MEMBERS = 100


def people_in(actor: Actor, directory_home: str) -> tuple[Person, ...] | Rejected:
    """Return the person of an agent or the members of a group; a group without members is empty. An account on
    `directory_home` is a participant of our directory."""
    if not actor.is_group:
        found = _person(actor, directory_home)
        return found if isinstance(found, Rejected) else (found,)
    members = actor.member or ()
    if len(members) > MAX_MEMBERS:
        return rejected("invalid", "member", f"a group has at most {MAX_MEMBERS} members")
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
    is_ours = is_directory_page(home, directory_home)
    return Person(participant=name) if is_ours else Person(id=normal_page(f"{home}#{name}"), address=address_in(name))
