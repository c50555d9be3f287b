"""What statements say."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.ingest.domain.tools import said
from services.ingest.domain.tools.said import Native, Person, Told, Translation, Voided
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.reading import read, within
from services.ingest.sources.several import as_one
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vocabulary import is_one_sided
from services.ingest.sources.xapi.circle import Circle, circle_of
from services.ingest.sources.xapi.identity import is_uuid, made_id
from services.ingest.sources.xapi.meaning import Deed, data_of
from services.ingest.sources.xapi.settings import VOIDED, Meaning, XapiSettings
from services.ingest.sources.xapi.statement import (
    STATEMENT_REF,
    SUB_STATEMENT,
    Outline,
    Statement,
    Target,
    course_word,
    names_of,
    surroundings,
)

PREPARED = "mentoring.preparation.completed.v1"
LONGEST_NATIVE_TYPE = 128
# What somebody says, shares or attends in a course or a forum, with nobody in particular, is no contact of a pair
# unless the settings say so of that activity.
CONTACTS = frozenset({"mentoring.message.sent.v1", "mentoring.resource.shared.v1", "mentoring.session.held.v1"})


def translate(value: object, settings: ToolSettings) -> Translation:
    """One statement, or an array of them."""
    assert isinstance(settings, XapiSettings)
    if isinstance(value, list):
        return as_one((str(index), _translated(statement, settings)) for index, statement in enumerate(value))
    return _translated(value, settings)


def _translated(value: object, settings: XapiSettings) -> Translation:
    outline = read(Outline, value)
    if isinstance(outline, Rejected):
        return outline
    target = read(Target, outline.object)
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
    statement = read(Statement, value)
    if isinstance(statement, Rejected):
        return statement
    heading = _heading(statement, value)
    if isinstance(heading, Rejected):
        return heading
    is_public = meaning.activity is None and any(course_word(one.definition.type) for one in (target, *around))
    return _told(statement, Deed(heading, target, statement.result, is_public), meaning, settings)


def _voided(value: object, target: Target) -> Translation:
    statement = read(Statement, value)
    heading = statement if isinstance(statement, Rejected) else _heading(statement, value)
    if isinstance(heading, Rejected):
        return heading
    if target.objectType != STATEMENT_REF:
        return rejected("invalid", "object.objectType", "a voiding statement refers to a statement: StatementRef")
    if not is_uuid(target.id):
        return rejected("invalid", "object.id", "must be the UUID of the statement that shall stand no more")
    return (Voided(heading.key, heading.time, heading.native, target.id.lower()),)


def _heading(statement: Statement, value: object) -> said.Statement | Rejected:
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


def _told(statement: Statement, deed: Deed, meaning: Meaning, settings: XapiSettings) -> Translation:
    if meaning.type == PREPARED and statement.result.completion is False:
        return Ignored("not_completed")
    circle = circle_of(statement, deed.target, settings)
    if isinstance(circle, Rejected):
        return circle
    if circle.is_empty:
        return Ignored("group_without_members")
    if deed.is_public and meaning.type in CONTACTS and circle.is_of_one:
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
    circle: Circle

    def together(self) -> Told:
        return self._told(None if self.circle.is_group else self.circle.actors[0])

    def one_by_one(self) -> tuple[Told, ...]:
        """Each member of the group did it."""
        return tuple(self._told(member, str(index)) for index, member in enumerate(self.circle.actors))

    def _told(self, by: Person | None, part: str = "") -> Told:
        heading = self.heading
        return Told(
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
