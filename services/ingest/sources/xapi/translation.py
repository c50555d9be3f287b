"""From a statement of xAPI to what it says about people and their relationship."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from schemas.primitives import to_rfc3339
from services.ingest.domain import activity as said
from services.ingest.domain.activity import GenericActivity, Native, Person, Translation, Voided
from services.ingest.domain.activity import Statement as Heading
from services.ingest.domain.ids import digest
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vendor_model import read, within
from services.ingest.sources.vocabulary import (
    FEEDBACK,
    MEASURED,
    PROGRESSED,
    Scale,
    as_id,
    as_one,
    is_one_sided,
    members,
    minutes_of,
    off_scale,
    on_our_scale,
)
from services.ingest.sources.xapi.model import (
    ALONE,
    HELD,
    MENTORED,
    MENTORING,
    PREPARED,
    PROGRESS,
    STATEMENT_REF,
    SUB_STATEMENT,
    TOGETHER,
    VOIDED,
    XapiMeaning,
    XapiOutline,
    XapiResult,
    XapiScore,
    XapiSettings,
    XapiStatement,
    XapiStored,
    XapiTarget,
    course_word,
    kind_word,
    names_of,
    surroundings,
)
from services.ingest.sources.xapi.people import XapiCircle, circle_of, is_uuid, made_id

# Two decimals of a scaled score are told at least.
LEAST_DIFFERENCE = 0.006
PERCENT = Scale(min=0, max=100)
HELD_TYPE, PREPARED_TYPE = HELD[0].type, PREPARED[0].type
NEEDED: Mapping[str, tuple[str, ...]] = {
    HELD_TYPE: ("duration",),
    PREPARED_TYPE: ("completion",),
    **dict.fromkeys(MEASURED, ("score", "extensions")),
}
"""The members of a result that an event of this type is made of."""


@dataclass(frozen=True)
class Deed:
    """What was done to what; `heading` is its id and its time. `kind` of what it was done to, as `kind_word` tells it.
    `is_in_course`: to a course or a forum, or within one. `is_mapped`: the settings name the verb."""

    heading: Heading
    target: XapiTarget
    kind: str
    is_in_course: bool
    is_mapped: bool


def data_of(
    deed: Deed, result: XapiResult, meaning: XapiMeaning, settings: XapiSettings
) -> Mapping[str, object] | Rejected:
    """What is fixed in the settings stays as it is."""
    measured: Mapping[str, object] | Rejected = {}
    if meaning.type == HELD_TYPE:
        measured = session_data(result, deed.heading.time, settings)
    elif meaning.type in MEASURED:
        measured = score_data(meaning.type, result, settings)
    if isinstance(measured, Rejected):
        return measured
    wanted = members(meaning.type)
    ids = {"session_id": _session(deed), "goal_id": as_id(deed.target.id or deed.heading.key)}
    ids |= {"request_id": as_id(deed.heading.key), **_answered(deed.target)}
    return {**{name: value for name, value in ids.items() if name in wanted}, **measured, **meaning.data}


def _session(deed: Deed) -> str:
    """What several say of one activity on one day is one session. What was done to people is one of its own."""
    if deed.target.objectType in {"", "Activity"} and deed.target.id:
        return digest("activity", deed.target.id, deed.heading.time.date().isoformat())
    return digest("statement", deed.heading.key)


def _answered(target: XapiTarget) -> Mapping[str, str]:
    """A message about a statement answers it, named by its key."""
    return {"reply_to": target.id.lower()} if target.objectType == STATEMENT_REF and target.id else {}


LONGEST_NATIVE_TYPE = 128
WRITTEN = frozenset({"mentoring.message.sent.v1", "mentoring.resource.shared.v1"})
OF_A_PAIR = WRITTEN | {HELD_TYPE, FEEDBACK, PROGRESSED}
OF_A_COURSE, NOBODY_ADDRESSED = Ignored("of_a_course_or_forum"), Ignored("nobody_addressed")


def _concerns_nobody(deed: Deed, meaning: XapiMeaning, circle: XapiCircle) -> Ignored | None:
    """None where it is of the pair. What somebody says, shares, rates or attends is no contact of the only pair that
    they are of, and their progress that of no goal, because nobody else is named: mentoring has to be told, by what
    was done or by the settings. Instructors and teams are those of a course, too: who writes there writes to no pair,
    and what somebody scores in a quiz judges nobody who teaches."""
    if meaning.type not in OF_A_PAIR or meaning.activity is not None or circle.is_addressed:
        return None
    if circle.is_of_one:
        if deed.is_in_course or (deed.kind == ALONE and not deed.is_mapped):
            return OF_A_COURSE
        return None if deed.is_mapped or deed.kind == MENTORING else NOBODY_ADDRESSED
    if deed.is_in_course and (meaning.type in WRITTEN or course_word(deed.kind)):
        return OF_A_COURSE
    if meaning.type in WRITTEN | {HELD_TYPE} or deed.is_mapped or deed.kind in TOGETHER | {MENTORING}:
        return None
    return OF_A_COURSE if deed.kind else NOBODY_ADDRESSED


def translate(value: object, settings: ToolSettings) -> Translation:
    """One statement, or an array of them."""
    assert isinstance(settings, XapiSettings)
    if isinstance(value, list):
        statements = ((str(index), statement) for index, statement in enumerate(value) if statement is not None)
        return as_one((index, _translated(statement, settings)) for index, statement in statements)
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
    statement = read(XapiStatement, value)
    if isinstance(statement, Rejected):
        return statement
    heading = _heading(statement, value)
    if isinstance(heading, Rejected):
        return heading
    kind = MENTORING if outline.verb.id == MENTORED else kind_word(target.definition.type)
    is_in_course = any(course_word(one.definition.type) for one in (target, *around))
    deed = Deed(heading, target, kind, is_in_course, outline.verb.id in settings.verbs)
    return _told(statement, deed, meaning, settings)


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
    at = statement.timestamp
    if at is None:
        stored = read(XapiStored, {"stored": statement.stored})
        if isinstance(stored, Rejected):
            return stored
        at = stored.stored
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
    circle = circle_of(statement, deed.target, settings)
    if isinstance(circle, Rejected):
        return circle
    if circle.is_empty:
        return Ignored("group_without_members")
    if ignored := _concerns_nobody(deed, meaning, circle):
        return ignored
    result = result_for(meaning.type, statement.result)
    if isinstance(result, Rejected):
        return within("result", result)
    if meaning.type == PREPARED_TYPE and result.completion is False:
        return Ignored("not_completed")
    data = data_of(deed, result, meaning, settings)
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


def result_for(name: str, result: object) -> XapiResult | Rejected:
    """A score of a remark, or the duration of a rating, says nothing here, and cannot be at fault."""
    if not isinstance(result, dict):
        return XapiResult() if result is None or name not in NEEDED else read(XapiResult, result)
    return read(XapiResult, {member: result[member] for member in NEEDED.get(name, ()) if member in result})


def session_data(result: XapiResult, at: datetime, settings: XapiSettings) -> Mapping[str, object] | Rejected:
    """When it began and, if the statement says so, how long it lasted."""
    duration = result.duration
    if not duration:
        return {"started_at": to_rfc3339(at)}
    minutes = minutes_of(duration, "result.duration")
    if isinstance(minutes, Rejected):
        return minutes
    started = at if settings.timestamp == "start" else at - duration
    return {"started_at": to_rfc3339(started), **minutes}


def score_data(name: str, result: XapiResult, settings: XapiSettings) -> Mapping[str, object] | Rejected:
    """Of a type that is MEASURED; only a check-in may come without a score."""
    assert name in MEASURED
    if name == PROGRESSED and PROGRESS in result.extensions:
        return _progress(result.extensions[PROGRESS])
    score = result.score
    if score.raw is not None and (scale := _raw_scale(score, settings)):
        return within("result.score", scale) if isinstance(scale, Rejected) else _on_scale(name, score.raw, scale)
    if score.scaled is not None:
        return _on_scale(name, score.scaled, Scale(min=settings.scaled_from, max=1))
    if name == "mentoring.checkin.answered.v1":
        return {}
    wanted = "min and max are" if score.raw is not None else "raw or scaled is"
    return rejected("invalid", "result.score", f"{wanted} required: without them nobody knows what was rated")


def _progress(value: object) -> Mapping[str, object] | Rejected:
    if isinstance(value, int | float) and not isinstance(value, bool) and PERCENT.holds(value):
        return on_our_scale(PROGRESSED, value, PERCENT)
    return rejected("invalid", f"result.extensions.{PROGRESS}", "must be a number from 0 to 100")


def _raw_scale(score: XapiScore, settings: XapiSettings) -> Scale | Rejected | None:
    if score.min is None and score.raw is not None and score.max and score.scaled is not None:
        # Scaled as a share of the greatest: it begins at 0.
        begins_at_zero = abs(score.raw / score.max - score.scaled) < LEAST_DIFFERENCE
        return Scale(min=0, max=score.max) if begins_at_zero and score.max > 0 else settings.scale
    if score.min is None or score.max is None:
        return settings.scale
    return read(Scale, {"min": score.min, "max": score.max})


def _on_scale(name: str, number: float, scale: Scale) -> Mapping[str, object] | Rejected:
    return off_scale(number, scale, "result.score") or on_our_scale(name, number, scale)
