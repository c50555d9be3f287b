"""Translate an xAPI statement into activities of people and their relationship."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid5

from services.ingest.domain import activity
from services.ingest.domain.activity import GenericActivity, Native, Person, Translation, Voided
from services.ingest.domain.ids import digest
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.learning_records import (
    CONTACTS,
    HELD,
    IN_COURSE,
    INTERPERSONAL,
    MENTORING,
    NOBODY_ADDRESSED,
    OTHER_KIND,
    PREPARED,
    activity_kind,
    course_kind,
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
    check_scale,
    combine,
    is_one_sided,
    may_be_share,
    session_data,
    to_catalogue_scale,
)
from services.ingest.sources.xapi.model import (
    MENTORED,
    PROGRESS,
    STATEMENT_REF,
    SUB_STATEMENT,
    UUID_SHAPE,
    VOIDED,
    XapiMeaning,
    XapiOutline,
    XapiParties,
    XapiResult,
    XapiSettings,
    XapiStatement,
    XapiStored,
    XapiTarget,
    context_activities,
    identifiers_of,
    parties_of,
)


def translate(value: object, settings: ToolSettings) -> Translation:
    """Translate one statement or an array of statements."""
    assert isinstance(settings, XapiSettings)
    if isinstance(value, list):
        statements = ((str(index), statement) for index, statement in enumerate(value) if statement is not None)
        return combine((index, _translate_statement(statement, settings)) for index, statement in statements)
    return _translate_statement(value, settings)


@dataclass(frozen=True)
class XapiAction:
    """An action and its target; `heading` holds id and time. `kind` is the target's kind as `activity_kind` returns it.
    `is_in_course`: the target is, or belongs to, a course or forum. `is_mapped`: the settings name the verb."""

    heading: activity.Statement
    target: XapiTarget
    kind: str
    is_in_course: bool
    is_mapped: bool


def _translate_statement(value: object, settings: XapiSettings) -> Translation:
    outline = read(XapiOutline, value)
    if isinstance(outline, Rejected):
        return outline
    target = read(XapiTarget, outline.object)
    if isinstance(target, Rejected):
        return within("object", target)
    parents = context_activities(value) if isinstance(value, dict) else ()
    meaning = settings.meaning(outline.verb.id, identifiers_of((target, *parents)))
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
        return _translate_voiding(heading, target)
    kind = MENTORING if outline.verb.id == MENTORED else activity_kind(target.definition.type)
    is_in_course = any(course_kind(one.definition.type) for one in (target, *parents))
    action = XapiAction(heading, target, kind, is_in_course, outline.verb.id in settings.verbs)
    return _translate_meaning(statement, action, meaning, settings)


def _translate_voiding(heading: activity.Statement, target: XapiTarget) -> Translation:
    if target.objectType != STATEMENT_REF:
        return rejected("invalid", "object.objectType", "a voiding statement refers to a statement: StatementRef")
    if not UUID_SHAPE.fullmatch(target.id):
        return rejected("invalid", "object.id", "must be the UUID of the statement that shall stand no more")
    return (Voided(heading.key, heading.time, heading.native, target.id.lower()),)


# Namespace of generated statement ids.
NAMESPACE = UUID("6f1d6a3e-5f0b-5c55-9d0f-7d2b7f3a9c41")
LONGEST_NATIVE_TYPE = 128


def derived_id(statement: Mapping[str, object]) -> str:
    """Derive an id from the statement's content, so that a repeat has the same id. Raises RecursionError."""
    content = {name: value for name, value in statement.items() if name != "id"}
    return str(uuid5(NAMESPACE, json.dumps(content, sort_keys=True)))


def _heading(statement: XapiStatement, value: object) -> activity.Statement | Rejected:
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
        name = statement.id.lower() or derived_id(value if isinstance(value, dict) else {})
    except RecursionError:
        return rejected("malformed", "", "is nested too deeply")
    return activity.Statement(name, at, Native(statement.verb.id[:LONGEST_NATIVE_TYPE], name))


# Events of a pair, as opposed to those of one person.
PAIR_EVENTS = CONTACTS | {HELD, FEEDBACK, PROGRESSED}


def _translate_meaning(
    statement: XapiStatement, action: XapiAction, meaning: XapiMeaning, settings: XapiSettings
) -> Translation:
    parties = parties_of(statement, action.target, settings)
    if isinstance(parties, Rejected):
        return parties
    if not (parties.all or parties.relationship):
        return Ignored("group_without_members")
    if ignored := _reason_ignored(action, meaning, parties):
        return ignored
    # Read only the members that this type needs: a score of a remark, or the duration of a rating, is ignored and
    # cannot be at fault.
    given, wanted = statement.result, RESULT_MEMBERS.get(meaning.type, ())
    if isinstance(given, dict) or not wanted:
        given = {member: given[member] for member in wanted if member in given} if isinstance(given, dict) else None
    result = XapiResult() if given is None else read(XapiResult, given)
    if isinstance(result, Rejected):
        return within("result", result)
    if meaning.type == PREPARED and result.completion is False:
        return Ignored("not_completed")
    data = _data_of(action, result, meaning, settings)
    if isinstance(data, Rejected):
        return data

    def by(person: Person | None, part: str = "") -> GenericActivity:
        return GenericActivity(
            key=action.heading.key,
            time=action.heading.time,
            native=action.heading.native,
            type=meaning.type,
            data=data,
            by=person,
            people=tuple(one for one in parties.all if one != person),
            relationship=parties.relationship,
            part=part,
        )

    if statement.actor.is_group and is_one_sided(meaning.type):
        # Each member of the group performed the action.
        activities = tuple(by(member, str(index)) for index, member in enumerate(parties.actors))
        return activities or Ignored("group_without_members")
    return (by(None if statement.actor.is_group else parties.actors[0]),)


def _reason_ignored(action: XapiAction, meaning: XapiMeaning, parties: XapiParties) -> Ignored | None:
    """Return None if the statement concerns the pair. What somebody says, shares, rates, attends or achieves with
    nobody else named is no contact and no goal progress of their only pair, unless the action or the settings show that
    it is mentoring. Instructors and teams may be those of a course: posts there address no pair, and a quiz score does
    not rate the teacher."""
    if meaning.type not in PAIR_EVENTS or meaning.target is not None or parties.is_addressed:
        return None
    if parties.is_of_one:
        if action.is_in_course or (action.kind == OTHER_KIND and not action.is_mapped):
            return IN_COURSE
        return None if action.is_mapped or action.kind == MENTORING else NOBODY_ADDRESSED
    if action.is_in_course and (meaning.type in CONTACTS or course_kind(action.kind)):
        return IN_COURSE
    if meaning.type in CONTACTS | {HELD} or action.is_mapped or action.kind in INTERPERSONAL | {MENTORING}:
        return None
    return IN_COURSE if action.kind else NOBODY_ADDRESSED


# The members of a result that each type of event uses.
RESULT_MEMBERS: Mapping[str, tuple[str, ...]] = {
    HELD: ("duration",),
    PREPARED: ("completion",),
    **dict.fromkeys(MEASURED, ("score", "extensions")),
}


def _data_of(
    action: XapiAction, result: XapiResult, meaning: XapiMeaning, settings: XapiSettings
) -> Mapping[str, object] | Rejected:
    key, target, time = action.heading.key, action.target, action.heading.time
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
MIN_DIFFERENCE = 0.006
PERCENT = Scale(min=0, max=100)


def _score_data(name: str, result: XapiResult, settings: XapiSettings) -> Mapping[str, object] | Rejected:
    """For a type of MEASURED; only a check-in may lack a score."""
    if name == PROGRESSED and PROGRESS in result.extensions:
        progress = result.extensions[PROGRESS]
        path = f"result.extensions.{PROGRESS}"
        if may_be_share(progress):
            return rejected("invalid", path, MAY_BE_SHARE)
        if isinstance(progress, int | float) and not isinstance(progress, bool) and PERCENT.contains(progress):
            return to_catalogue_scale(PROGRESSED, progress, PERCENT)
        return rejected("invalid", path, "must be a number from 0 to 100")
    score, scale = result.score, _raw_scale(result, settings)
    if isinstance(scale, Rejected):
        return within("result.score", scale)
    number = score.raw
    if number is None or scale is None:
        # Progress cannot be negative.
        number, scale = score.scaled, Scale(min=0 if name == PROGRESSED else settings.scaled_from, max=1)
    if number is not None:
        return check_scale(number, scale, "result.score") or to_catalogue_scale(name, number, scale)
    if name == "mentoring.checkin.answered.v1":
        return {}
    wanted = "min and max are" if score.raw is not None else "raw or scaled is"
    return rejected("invalid", "result.score", f"{wanted} required: the range of the rating is unknown without them")


def _raw_scale(result: XapiResult, settings: XapiSettings) -> Scale | Rejected | None:
    score = result.score
    if score.raw is None:
        return None
    if score.min is None and score.max and score.scaled is not None:
        # Scaled as a share of the maximum: the scale begins at 0.
        begins_at_zero = abs(score.raw / score.max - score.scaled) < MIN_DIFFERENCE
        return Scale(min=0, max=score.max) if begins_at_zero and score.max > 0 else settings.scale
    if score.min is None or score.max is None:
        return settings.scale
    return read(Scale, {"min": score.min, "max": score.max})
