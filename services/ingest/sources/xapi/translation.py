"""From a statement of xAPI to what it says about people and their relationship."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.ingest.domain import activity as said
from services.ingest.domain.activity import GenericActivity, Native, Person, Translation, Voided
from services.ingest.domain.activity import Statement as Heading
from services.ingest.domain.derived_events import digest
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vendor_model import read, within
from services.ingest.sources.vocabulary import FEEDBACK, MEASURED, PROGRESSED, as_id, as_one, is_one_sided, members
from services.ingest.sources.xapi.measures import PREPARED_TYPE, result_for, score_data, session_data
from services.ingest.sources.xapi.model import (
    STATEMENT_REF,
    SUB_STATEMENT,
    VOIDED,
    XapiMeaning,
    XapiOutline,
    XapiResult,
    XapiSettings,
    XapiStatement,
    XapiTarget,
    course_word,
    lone_word,
    names_of,
    surroundings,
)
from services.ingest.sources.xapi.people import XapiCircle, circle_of, is_uuid, made_id


@dataclass(frozen=True)
class Deed:
    """What was done, to what, with which result; `heading` is its id and its time. `is_public`: in a course or a forum
    of which the settings say nothing."""

    heading: Heading
    target: XapiTarget
    result: XapiResult
    is_public: bool = False


def data_of(deed: Deed, meaning: XapiMeaning, settings: XapiSettings) -> Mapping[str, object] | Rejected:
    """What is fixed in the settings stays as it is."""
    measured = _measured(deed, meaning.type, settings)
    if isinstance(measured, Rejected):
        return measured
    wanted = members(meaning.type)
    ids = {"session_id": _session(deed), "goal_id": as_id(deed.target.id or deed.heading.key)}
    ids |= {"request_id": as_id(deed.heading.key), **_answered(deed.target)}
    return {**{name: value for name, value in ids.items() if name in wanted}, **measured, **meaning.data}


def _measured(deed: Deed, name: str, settings: XapiSettings) -> Mapping[str, object] | Rejected:
    if name == "mentoring.session.held.v1":
        return session_data(deed.result, deed.heading.time, settings)
    if name in MEASURED:
        return score_data(name, deed.result, settings)
    return {}


def _session(deed: Deed) -> str:
    """What several say of one activity on one day is one session. What was done to people is one of its own."""
    if deed.target.objectType in {"", "Activity"} and deed.target.id:
        return digest("activity", deed.target.id, deed.heading.time.date().isoformat())
    return digest("statement", deed.heading.key)


def _answered(target: XapiTarget) -> Mapping[str, str]:
    """A message about a statement answers it, named by its key."""
    return {"reply_to": target.id.lower()} if target.objectType == STATEMENT_REF and target.id else {}


LONGEST_NATIVE_TYPE = 128
# What somebody says, shares, rates or attends in a course or a forum, or of a video, a quiz or a webinar, with nobody
# in particular, is no contact of a pair, and progress there is that of no goal, unless the settings say so: of a course
# or a forum by naming the activity, of anything else by naming the verb.
CONTACTS = frozenset({"mentoring.message.sent.v1", "mentoring.resource.shared.v1", "mentoring.session.held.v1"})
OF_A_PAIR = CONTACTS | {FEEDBACK, PROGRESSED}


def translate(value: object, settings: ToolSettings) -> Translation:
    """One statement, or an array of them."""
    assert isinstance(settings, XapiSettings)
    if isinstance(value, list):
        return as_one((str(index), _translated(statement, settings)) for index, statement in enumerate(value))
    return _translated(value, settings)


def _translated(value: object, settings: XapiSettings) -> Translation:
    outline = read(XapiOutline, value)
    if isinstance(outline, Rejected):
        return outline
    target = read(XapiTarget, outline.object)
    if isinstance(target, Rejected):
        return within("object", target)
    if outline.verb.id == VOIDED:
        return _voided(value, target)
    if target.objectType == SUB_STATEMENT:
        # It tells what somebody plans or imagines, not what has happened.
        return Ignored("sub_statement")
    around = surroundings(value) if isinstance(value, dict) else ()
    meaning = settings.meaning(outline.verb.id, names_of((target, *around)))
    if meaning is None:
        return Ignored("verb_of_no_interest")
    whole = _whole(value, meaning.type)
    if isinstance(whole, Rejected):
        return whole
    statement, result = whole
    heading = _heading(statement, value)
    if isinstance(heading, Rejected):
        return heading
    word_of = course_word if outline.verb.id in settings.verbs else lone_word
    is_public = meaning.activity is None and (
        bool(word_of(target.definition.type)) or any(course_word(one.definition.type) for one in around)
    )
    return _told(statement, Deed(heading, target, result, is_public), meaning, settings)


def _whole(value: object, name: str) -> tuple[XapiStatement, XapiResult] | Rejected:
    """`name` is the type of the event that it becomes."""
    statement = read(XapiStatement, value)
    if isinstance(statement, Rejected):
        return statement
    result = result_for(name, statement.result)
    return within("result", result) if isinstance(result, Rejected) else (statement, result)


def _voided(value: object, target: XapiTarget) -> Translation:
    statement = read(XapiStatement, value)
    heading = statement if isinstance(statement, Rejected) else _heading(statement, value)
    if isinstance(heading, Rejected):
        return heading
    if target.objectType != STATEMENT_REF:
        return rejected("invalid", "object.objectType", "a voiding statement refers to a statement: StatementRef")
    if not is_uuid(target.id):
        return rejected("invalid", "object.id", "must be the UUID of the statement that shall stand no more")
    return (Voided(heading.key, heading.time, heading.native, target.id.lower()),)


def _heading(statement: XapiStatement, value: object) -> said.Statement | Rejected:
    at = statement.timestamp or statement.stored
    if at is None:
        return rejected("invalid", "timestamp", "is required where there is no time of storage")
    if statement.id and not is_uuid(statement.id):
        return rejected("invalid", "id", "must be a UUID")
    try:
        name = statement.id.lower() or made_id(value if isinstance(value, dict) else {})
    except RecursionError:
        return rejected("malformed", "", "is nested too deeply")
    return said.Statement(name, at, Native(statement.verb.id[:LONGEST_NATIVE_TYPE], name))


def _told(statement: XapiStatement, deed: Deed, meaning: XapiMeaning, settings: XapiSettings) -> Translation:
    if meaning.type == PREPARED_TYPE and deed.result.completion is False:
        return Ignored("not_completed")
    circle = circle_of(statement, deed.target, settings)
    if isinstance(circle, Rejected):
        return circle
    if circle.is_empty:
        return Ignored("group_without_members")
    if deed.is_public and meaning.type in OF_A_PAIR and circle.is_of_one:
        return Ignored("of_a_course_or_forum")
    data = data_of(deed, meaning, settings)
    if isinstance(data, Rejected):
        return data
    telling = _Telling(deed.heading, meaning.type, data, circle)
    return telling.one_by_one() if circle.is_group and is_one_sided(meaning.type) else (telling.together(),)


@dataclass(frozen=True)
class _Telling:
    heading: said.Statement
    type: str
    data: Mapping[str, object]
    circle: XapiCircle

    def together(self) -> GenericActivity:
        return self._told(None if self.circle.is_group else self.circle.actors[0])

    def one_by_one(self) -> tuple[GenericActivity, ...]:
        """Each member of the group did it."""
        return tuple(self._told(member, str(index)) for index, member in enumerate(self.circle.actors))

    def _told(self, by: Person | None, part: str = "") -> GenericActivity:
        heading = self.heading
        return GenericActivity(
            key=heading.key,
            time=heading.time,
            native=heading.native,
            type=self.type,
            data=self.data,
            by=by,
            people=tuple(person for person in self.circle.all if person != by),
            relationship=self.circle.relationship,
            part=part,
        )
