"""Translate an xAPI statement into activities of people and their relationship."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid5

from services.ingest.domain import activity as said
from services.ingest.domain.activity import GenericActivity, Native, Person, Translation, Voided
from services.ingest.domain.ids import digest
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.learning_records import (
    ALONE,
    CONTACTS,
    HELD,
    MENTORING,
    NOBODY_ADDRESSED,
    OF_A_COURSE,
    PREPARED,
    TOGETHER,
    course_word,
    kind_word,
)
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vendor_model import read, within
from services.ingest.sources.vocabulary import (
    FEEDBACK,
    LONGEST_SESSION,
    MAY_BE_SHARE,
    MEASURED,
    PROGRESSED,
    Scale,
    as_id,
    as_one,
    is_one_sided,
    may_be_share,
    off_scale,
    on_our_scale,
    session_data,
)
from services.ingest.sources.xapi.model import (
    MENTORED,
    PROGRESS,
    STATEMENT_REF,
    SUB_STATEMENT,
    UUID_SHAPE,
    VOIDED,
    XapiCircle,
    XapiMeaning,
    XapiOutline,
    XapiResult,
    XapiSettings,
    XapiStatement,
    XapiStored,
    XapiTarget,
    circle_of,
    names_of,
    surroundings,
)


def translate(value: object, settings: ToolSettings) -> Translation:
    """Translate one statement or an array of statements."""
    assert isinstance(settings, XapiSettings)
    if isinstance(value, list):
        statements = ((str(index), statement) for index, statement in enumerate(value) if statement is not None)
        return as_one((index, _translated(statement, settings)) for index, statement in statements)
    return _translated(value, settings)


@dataclass(frozen=True)
class Deed:
    """An action and its target; `heading` holds id and time. `kind` is the target's kind as `kind_word` returns it.
    `is_in_course`: the target is, or belongs to, a course or forum. `is_mapped`: the settings name the verb."""

    heading: said.Statement
    target: XapiTarget
    kind: str
    is_in_course: bool
    is_mapped: bool


def _translated(value: object, settings: XapiSettings) -> Translation:
    outline = read(XapiOutline, value)
    if isinstance(outline, Rejected):
        return outline
    target = read(XapiTarget, outline.object)
    if isinstance(target, Rejected):
        return within("object", target)
    around = surroundings(value) if isinstance(value, dict) else ()
    meaning = settings.meaning(outline.verb.id, names_of((target, *around)))
    is_voiding = outline.verb.id == VOIDED
    if not is_voiding and target.objectType == SUB_STATEMENT:
        # A sub-statement describes something planned or imagined, not something that happened.
        return Ignored("sub_statement")
    if not is_voiding and meaning is None:
        return Ignored("verb_of_no_interest")
    statement = read(XapiStatement, value)
    if isinstance(statement, Rejected):
        return statement
    heading = _heading(statement, value)
    if isinstance(heading, Rejected):
        return heading
    if is_voiding or meaning is None:
        return _voided(heading, target)
    kind = MENTORING if outline.verb.id == MENTORED else kind_word(target.definition.type)
    is_in_course = any(course_word(one.definition.type) for one in (target, *around))
    deed = Deed(heading, target, kind, is_in_course, outline.verb.id in settings.verbs)
    return _told(statement, deed, meaning, settings)


def _voided(heading: said.Statement, target: XapiTarget) -> Translation:
    if target.objectType != STATEMENT_REF:
        return rejected("invalid", "object.objectType", "a voiding statement refers to a statement: StatementRef")
    if not UUID_SHAPE.fullmatch(target.id):
        return rejected("invalid", "object.id", "must be the UUID of the statement that shall stand no more")
    return (Voided(heading.key, heading.time, heading.native, target.id.lower()),)


# Namespace of generated statement ids.
NAMESPACE = UUID("6f1d6a3e-5f0b-5c55-9d0f-7d2b7f3a9c41")
LONGEST_NATIVE_TYPE = 128


def made_id(statement: Mapping[str, object]) -> str:
    """Derive an id from the statement's content, so that a repeat has the same id. Raises RecursionError."""
    content = {name: value for name, value in statement.items() if name != "id"}
    return str(uuid5(NAMESPACE, json.dumps(content, sort_keys=True)))


def _heading(statement: XapiStatement, value: object) -> said.Statement | Rejected:
    at = statement.timestamp
    if at is None:
        stored = read(XapiStored, {"stored": statement.stored})
        if isinstance(stored, Rejected):
            return stored
        at = stored.stored
    if at is None:
        return rejected("invalid", "timestamp", "is required where there is no time of storage")
    if statement.id and not UUID_SHAPE.fullmatch(statement.id):
        return rejected("invalid", "id", "must be a UUID")
    try:
        name = statement.id.lower() or made_id(value if isinstance(value, dict) else {})
    except RecursionError:
        return rejected("malformed", "", "is nested too deeply")
    return said.Statement(name, at, Native(statement.verb.id[:LONGEST_NATIVE_TYPE], name))


# Events of a pair, as opposed to those of one person.
OF_A_PAIR = CONTACTS | {HELD, FEEDBACK, PROGRESSED}


def _told(statement: XapiStatement, deed: Deed, meaning: XapiMeaning, settings: XapiSettings) -> Translation:
    circle = circle_of(statement, deed.target, settings)
    if isinstance(circle, Rejected):
        return circle
    if not (circle.all or circle.relationship):
        return Ignored("group_without_members")
    if ignored := _concerns_nobody(deed, meaning, circle):
        return ignored
    # Read only the members that this type needs: a score of a remark, or the duration of a rating, is ignored and
    # cannot be at fault.
    given, wanted = statement.result, NEEDED.get(meaning.type, ())
    if isinstance(given, dict) or not wanted:
        given = {member: given[member] for member in wanted if member in given} if isinstance(given, dict) else None
    result = XapiResult() if given is None else read(XapiResult, given)
    if isinstance(result, Rejected):
        return within("result", result)
    if meaning.type == PREPARED and result.completion is False:
        return Ignored("not_completed")
    data = _data_of(deed, result, meaning, settings)
    if isinstance(data, Rejected):
        return data

    def by(person: Person | None, part: str = "") -> GenericActivity:
        return GenericActivity(
            key=deed.heading.key,
            time=deed.heading.time,
            native=deed.heading.native,
            type=meaning.type,
            data=data,
            by=person,
            people=tuple(one for one in circle.all if one != person),
            relationship=circle.relationship,
            part=part,
        )

    if statement.actor.is_group and is_one_sided(meaning.type):
        # Each member of the group performed the action.
        told = tuple(by(member, str(index)) for index, member in enumerate(circle.actors))
        return told or Ignored("group_without_members")
    return (by(None if statement.actor.is_group else circle.actors[0]),)


def _concerns_nobody(deed: Deed, meaning: XapiMeaning, circle: XapiCircle) -> Ignored | None:
    """Return None if the statement concerns the pair. What somebody says, shares, rates, attends or achieves with
    nobody else named is no contact and no goal progress of their only pair, unless the action or the settings show that
    it is mentoring. Instructors and teams may be those of a course: posts there address no pair, and a quiz score does
    not rate the teacher."""
    if meaning.type not in OF_A_PAIR or meaning.place is not None or circle.is_addressed:
        return None
    if circle.is_of_one:
        if deed.is_in_course or (deed.kind == ALONE and not deed.is_mapped):
            return OF_A_COURSE
        return None if deed.is_mapped or deed.kind == MENTORING else NOBODY_ADDRESSED
    if deed.is_in_course and (meaning.type in CONTACTS or course_word(deed.kind)):
        return OF_A_COURSE
    if meaning.type in CONTACTS | {HELD} or deed.is_mapped or deed.kind in TOGETHER | {MENTORING}:
        return None
    return OF_A_COURSE if deed.kind else NOBODY_ADDRESSED


# The members of a result that each type of event uses.
NEEDED: Mapping[str, tuple[str, ...]] = {
    HELD: ("duration",),
    PREPARED: ("completion",),
    **dict.fromkeys(MEASURED, ("score", "extensions")),
}


def _data_of(
    deed: Deed, result: XapiResult, meaning: XapiMeaning, settings: XapiSettings
) -> Mapping[str, object] | Rejected:
    key, target, time = deed.heading.key, deed.target, deed.heading.time
    measured: Mapping[str, object] | Rejected = {}
    if meaning.type == HELD:
        # The session's start and, if the statement has it, its duration.
        lasted = result.duration or timedelta(0)
        started = time if settings.timestamp == "start" or lasted > LONGEST_SESSION else time - lasted
        measured = session_data(started, lasted, "result.duration")
    elif meaning.type in MEASURED:
        measured = _score_data(meaning.type, result, settings)
    if isinstance(measured, Rejected):
        return measured
    # Statements of several people about one activity on one day are one session. An action on people is a session of
    # its own.
    is_activity = target.objectType in {"", "Activity"} and target.id
    session = ("activity", target.id, time.date().isoformat()) if is_activity else ("statement", key)
    ids = {"session_id": digest(*session), "goal_id": as_id(target.id or key), "request_id": as_id(key)}
    if target.objectType == STATEMENT_REF and target.id:
        # A message about a statement is an answer to it, referenced by its key.
        ids["reply_to"] = target.id.lower()
    return meaning.data_with(ids, measured)


# Tolerates scaled scores that are rounded to two decimals.
LEAST_DIFFERENCE = 0.006
PERCENT = Scale(min=0, max=100)


def _score_data(name: str, result: XapiResult, settings: XapiSettings) -> Mapping[str, object] | Rejected:
    """For a type of MEASURED; only a check-in may lack a score."""
    if name == PROGRESSED and PROGRESS in result.extensions:
        progress = result.extensions[PROGRESS]
        path = f"result.extensions.{PROGRESS}"
        if may_be_share(progress):
            return rejected("invalid", path, MAY_BE_SHARE)
        if isinstance(progress, int | float) and not isinstance(progress, bool) and PERCENT.holds(progress):
            return on_our_scale(PROGRESSED, progress, PERCENT)
        return rejected("invalid", path, "must be a number from 0 to 100")
    score, scale = result.score, _raw_scale(result, settings)
    if isinstance(scale, Rejected):
        return within("result.score", scale)
    number = score.raw
    if number is None or scale is None:
        # Progress cannot be negative.
        number, scale = score.scaled, Scale(min=0 if name == PROGRESSED else settings.scaled_from, max=1)
    if number is not None:
        return off_scale(number, scale, "result.score") or on_our_scale(name, number, scale)
    if name == "mentoring.checkin.answered.v1":
        return {}
    wanted = "min and max are" if score.raw is not None else "raw or scaled is"
    return rejected("invalid", "result.score", f"{wanted} required: without them nobody knows what was rated")


def _raw_scale(result: XapiResult, settings: XapiSettings) -> Scale | Rejected | None:
    score = result.score
    if score.raw is None:
        return None
    if score.min is None and score.max and score.scaled is not None:
        # Scaled as a share of the maximum: the scale begins at 0.
        begins_at_zero = abs(score.raw / score.max - score.scaled) < LEAST_DIFFERENCE
        return Scale(min=0, max=score.max) if begins_at_zero and score.max > 0 else settings.scale
    if score.min is None or score.max is None:
        return settings.scale
    return read(Scale, {"min": score.min, "max": score.max})
