"""What a payload says by the rules."""

from dataclasses import dataclass
from datetime import datetime

from services.ingest.domain.tools.said import Native, Person, Statement, Told, Translation, Voided
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.expression import Compiled, Found
from services.ingest.sources.mapping.applied import NOT_MEANT, is_applied, translated
from services.ingest.sources.mapping.results import data_of, is_true, people_of, text_of, time_of
from services.ingest.sources.mapping.settings import MappingSettings, Rule
from services.ingest.sources.reading import within
from services.ingest.sources.several import as_one
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vocabulary import native_id

NOTHING = Found(None)


def translate(value: object, settings: ToolSettings) -> Translation:
    """A payload as a tool sends it, or what was recorded of one. Faults are named by the rule, the number of the item,
    and the member of the rule."""
    assert isinstance(settings, MappingSettings)
    if isinstance(value, dict) and is_applied(value):
        return translated(value, settings)
    return as_one((rule.name, _by_rule(rule, value, settings)) for rule in settings.rules)


def _by_rule(rule: Rule, payload: object, settings: MappingSettings) -> Translation:
    if rule.items is None:
        return _Applied(rule, payload, settings).said()
    found = rule.items.of(payload)
    if isinstance(found, Rejected):
        return within("items", found)
    if found.value is None:
        return NOT_MEANT
    if not isinstance(found.value, list):
        return rejected("invalid", "items", "must give a list")
    scopes = ({"item": item, "payload": payload} for item in found.value)
    parts = ((str(index), _Applied(rule, scope, settings).said()) for index, scope in enumerate(scopes))
    said = as_one(parts)
    return NOT_MEANT if isinstance(said, Ignored) else said


@dataclass(frozen=True)
class _About:
    by: Person | None
    people: tuple[Person, ...]
    relationship: str


@dataclass(frozen=True)
class _Applied:
    """A rule and what its expressions look at."""

    rule: Rule
    scope: object
    settings: MappingSettings

    def said(self) -> Translation:
        meant = self._found("when", self.rule.when)
        if isinstance(meant, Rejected):
            return meant
        if self.rule.when and not is_true(meant.value):
            return NOT_MEANT
        heading = self._heading()
        if isinstance(heading, Rejected):
            return heading
        if self.rule.voids:
            target = heading.key.replace(self.rule.name, self.rule.voids, 1)
            return (Voided(heading.key, heading.time, heading.native, target),)
        return self._told(heading, str(self.rule.type))

    def _heading(self) -> Statement | Rejected:
        native = self._text("id", self.rule.id)
        if isinstance(native, Rejected):
            return native
        if not native:
            return rejected("invalid", "id", "is required: it tells a repeat from another statement")
        found = self._found("time", self.rule.time)
        at = found if isinstance(found, Rejected) else time_of(found.value, self.settings)
        if isinstance(at, Rejected):
            return at if isinstance(found, Rejected) else within("time", at)
        return _statement(self.rule.name, native, at)

    def _told(self, heading: Statement, name: str) -> Translation:
        about = self._about()
        if isinstance(about, Rejected):
            return about
        data = data_of(name, self.rule.data, self.scope)
        if isinstance(data, Rejected):
            return within("data", data)
        if isinstance(answered := data.get("reply_to"), str):
            # The message that is answered is known by what it was called here.
            data = {**data, "reply_to": f"{self.rule.name}:{answered}"}
        return (
            Told(
                key=heading.key,
                time=heading.time,
                native=heading.native,
                type=name,
                data=data,
                by=about.by,
                people=about.people,
                relationship=about.relationship,
                evidence=self.rule.evidence,
            ),
        )

    def _about(self) -> _About | Rejected:
        by, people = self._people("by", self.rule.by), self._people("people", self.rule.people)
        if isinstance(by, Rejected):
            return by
        if isinstance(people, Rejected):
            return people
        relationship = self._text("relationship", self.rule.relationship)
        if isinstance(relationship, Rejected):
            return relationship
        if len(by) > 1 or (self.rule.by and not by):
            return rejected("invalid", "by", f"must give one person, not {len(by)}")
        if not (by or people or relationship):
            return rejected("invalid", "relationship" if self.rule.relationship else "people", "gives nobody")
        return _About(by[0] if by else None, people, relationship)

    def _people(self, member: str, expression: Compiled | None) -> tuple[Person, ...] | Rejected:
        found = self._found(member, expression)
        if isinstance(found, Rejected):
            return found
        people = people_of(found.value, self.settings)
        return within(member, people) if isinstance(people, Rejected) else people

    def _text(self, member: str, expression: Compiled | None) -> str | Rejected:
        found = self._found(member, expression)
        if isinstance(found, Rejected):
            return found
        text = text_of(found.value)
        return within(member, text) if isinstance(text, Rejected) else text

    def _found(self, member: str, expression: Compiled | None) -> Found | Rejected:
        found = expression.of(self.scope) if expression else NOTHING
        return within(member, found) if isinstance(found, Rejected) else found


def _statement(rule: str, native: str, at: datetime) -> Statement:
    return Statement(f"{rule}:{native}", at, Native(rule, native_id(native)))
