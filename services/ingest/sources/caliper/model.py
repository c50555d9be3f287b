"""Caliper events: their models and the default meanings of actions, limited to those that mean the same everywhere."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field

from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import (
    ADDRESS,
    CUT,
    ID,
    NUMBER,
    AllowList,
    Leaf,
    address_in,
    allow_list,
    one_of,
)
from services.ingest.sources.learning_records import (
    MESSAGE_SENT,
    PREPARED,
    SHARED,
    Meaning,
    first_matching,
    named_targets,
    term,
)
from services.ingest.sources.mapping.settings import Expression
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vendor_model import Duration, Ident, MaybeText, Number, VendorModel, ZonedOrUtc
from services.ingest.sources.vocabulary import FEEDBACK, Scale

ActionName = Annotated[str, Field(pattern=r"^[A-Za-z]+\.[A-Za-z]+$")]


class CaliperMeaning(Meaning):
    """With `object`, the meaning applies to the action only there, or in a thread, forum, course or group that the
    object belongs to."""

    target: str | None = Field(None, alias="object")


COMPLETED = (CaliperMeaning(type=PREPARED, data={"kind": "training"}),)
RATED = (CaliperMeaning(type=FEEDBACK, data={"about": "relationship"}),)
DEFAULTS: Mapping[str, tuple[CaliperMeaning, ...]] = {
    "MessageEvent.Posted": (CaliperMeaning(type=MESSAGE_SENT, data={"channel": "caliper"}),),
    "AssignableEvent.Completed": COMPLETED,
    "AssessmentEvent.Submitted": COMPLETED,
    "GradeEvent.Graded": RATED,
    "FeedbackEvent.Ranked": RATED,
    "AnnotationEvent.Shared": (CaliperMeaning(type=SHARED),),
}


class CaliperSettings(ToolSettings):
    """`events` (`MessageEvent.Posted`: [...]) replaces the default of each action that it names; an empty list disables
    the action. `participant` and `address` are expressions over a person (participant id of our directory, address);
    `people` (an IRI, an entity, or a list of them) and `relationship` are expressions over the event. `scale` applies
    to scores without `maxScore`."""

    events: Mapping[ActionName, tuple[CaliperMeaning, ...]] = Field(default_factory=dict)
    participant: Expression | None = None
    address: Expression | None = None
    people: Expression | None = None
    relationship: Expression | None = None
    scale: Scale | None = None

    @property
    def actions(self) -> frozenset[str]:
        """All actions that may have a meaning."""
        return frozenset((*DEFAULTS, *self.events))

    @property
    def objects(self) -> frozenset[str]:
        """Ids and types of entities that some meaning is limited to."""
        return named_targets(self.events)

    def meaning(self, action: str, objects: frozenset[str]) -> CaliperMeaning | None:
        """Return the first meaning that fits the objects."""
        return first_matching(self.events.get(action, DEFAULTS.get(action, ())), objects)


# 1.2 only adds to 1.1; events and entities are read alike.
VERSIONS = frozenset({"http://purl.imsglobal.org/ctx/caliper/v1p1", "http://purl.imsglobal.org/ctx/caliper/v1p2"})


def entity(value: object) -> object:
    """Normalise an entity, which may be given by its IRI alone."""
    if isinstance(value, str):
        return {"id": value}
    # PHP writes an entity without members as an empty list.
    return {} if value in (None, []) else value


def containers_of(event: Mapping[str, object]) -> frozenset[str]:
    """Return the ids and types of the thread, forum, course or group that the event belongs to, and of their
    parents."""
    about = event.get("object")
    found: set[str] = set()
    for container in (about.get(PART) if isinstance(about, dict) else None, event.get(GROUP)):
        node = entity(container)
        for _ in range(MAX_LEVELS):
            if not isinstance(node, dict):
                break
            names = (node.get("id"), node.get("type"))
            found.update(term_or_id for name in names if isinstance(name, str) for term_or_id in (name, term(name)))
            node = entity(node.get(PART) or node.get(ORGANIZATION))
    return frozenset(found - {""})


def has_public_context(event: Mapping[str, object]) -> bool:
    """Whether the event belongs to a thread or forum, or to a group with a description; a bare group IRI shows nothing
    about its kind."""
    about = event.get("object")
    return isinstance(event.get(GROUP), dict) or (isinstance(about, dict) and bool(about.get(PART)))


def terms(recognised: AbstractSet[str], otherwise: str) -> Leaf:
    """Keep recognised terms in their short form; replace any other by `otherwise`."""
    return Leaf("a term", lambda text, _: term(text) if term(text) in recognised else otherwise)


def _iri(text: str, pseudonym: Pseudonym) -> str:
    if text.lower().startswith(MAILTO):
        address = address_in(text)
        return MAILTO + address if address else CUT
    return pseudonym(text)


PART, GROUP, ORGANIZATION = "isPartOf", "group", "subOrganizationOf"
# A thread of a forum of a section of an offering of a course.
MAX_LEVELS = 6
MAILTO = "mailto:"
PERSON, MESSAGE = "Person", "Message"
# Bots are not people, and neither are groups of them: an event has one actor.
PERSONS = frozenset({"", "Agent", PERSON})
EXPRESSION_RESULTS = "rapport_expressed"
"""A member that no sender uses: the results of the settings' expressions in an entity or event. It is stored instead of
all that the expressions may have read."""
# A placeholder that keeps nothing: `redact` replaces it by an allow-list made from the settings.
BY_SETTINGS = AllowList()
IRI = Leaf("an IRI, or its digest where it may be text", _iri)
PERSON_RESULTS = AllowList(members={"participant": AllowList(leaf=ID), "address": AllowList(leaf=ADDRESS)})
ENTITY = AllowList(
    leaf=IRI,
    members={
        "id": AllowList(leaf=IRI),
        "type": AllowList(leaf=terms(PERSONS, CUT)),
        EXPRESSION_RESULTS: PERSON_RESULTS,
    },
)
ENTITIES = AllowList(leaf=IRI, members=ENTITY.members, items=ENTITY)

SHORT = BeforeValidator(lambda value: term(value) if isinstance(value, str) else value)
ONE_OR_MORE = BeforeValidator(
    lambda value: [entity(one) for one in (value if isinstance(value, list) else [value]) if one is not None]
)
# Null becomes an empty text.
TEXTS = BeforeValidator(
    lambda value: ["" if one is None else str(one) for one in value or ()] if isinstance(value, list | None) else value
)
Term = Annotated[str, Field(min_length=1, max_length=100), SHORT, BY_SETTINGS]
Raw = Annotated[dict[str, object], BeforeValidator(entity), ENTITY]
Raws = Annotated[tuple[dict[str, object], ...], ONE_OR_MORE, ENTITIES]
Selected = Annotated[tuple[str, ...], TEXTS, AllowList(items=AllowList(leaf=NUMBER))]


class Envelope(VendorModel):
    dataVersion: Annotated[Ident, one_of(*VERSIONS)]  # noqa: N815 (the standard's name)
    data: Annotated[list[object], BY_SETTINGS]


class Item(VendorModel):
    """Anything in `data`: an event or a described entity."""

    type: Term


class Action(Item):
    """Enough of an event to decide whether it has a meaning here."""

    action: Term
    object: Annotated[Raw, BY_SETTINGS]


class CaliperEvent(Action):
    id: Ident
    actor: Raw
    eventTime: ZonedOrUtc  # noqa: N815 (the standard's name)
    generated: Annotated[Raw, BY_SETTINGS] = Field(default_factory=dict)


class Replied(VendorModel):
    id: Annotated[MaybeText, IRI] = ""
    creators: Raws = ()


REPLIED = AllowList(leaf=IRI, members=allow_list(Replied).members)


class Attempted(VendorModel):
    assignee: Raw = Field(default_factory=dict)


class Named(VendorModel):
    id: Annotated[MaybeText, IRI] = ""
    type: Annotated[MaybeText, SHORT, BY_SETTINGS] = ""


class Thing(Named):
    """What an event is about, of any type."""

    assignee: Raw = Field(default_factory=dict)
    creators: Raws = ()
    replyTo: Annotated[Replied, BeforeValidator(entity), REPLIED] = Replied()  # noqa: N815 (the standard's name)
    startedAtTime: ZonedOrUtc | None = None  # noqa: N815 (the standard's name)
    endedAtTime: ZonedOrUtc | None = None  # noqa: N815 (the standard's name)
    duration: Duration | None = None


class Points(VendorModel):
    """A numeric scale, or a Likert scale whose items have values."""

    minValue: Number | None = None  # noqa: N815 (the standard's name)
    maxValue: Number | None = None  # noqa: N815 (the standard's name)
    itemValues: Selected = ()  # noqa: N815 (the standard's name)


class CaliperQuestion(VendorModel):
    scale: Annotated[Points, BeforeValidator(entity)] = Points()


class Scored(VendorModel):
    """What a grade or, in the feedback profile, a ranking generates: a score, or a rating."""

    scoreGiven: Number | None = None  # noqa: N815 (the standard's name)
    maxScore: Number | None = None  # noqa: N815 (the standard's name)
    selections: Selected = ()
    question: Annotated[CaliperQuestion, BeforeValidator(entity)] = CaliperQuestion()
    attempt: Annotated[Attempted, BeforeValidator(entity)] = Attempted()
    withAgents: Raws = ()  # noqa: N815 (the standard's name)


@dataclass(frozen=True)
class ParsedCaliperEvent:
    """An event as parsed, and its raw form, which expressions are evaluated on."""

    event: CaliperEvent
    thing: Thing
    scored: Scored
    raw: object
