"""Everybody whom a statement puts together."""

from collections.abc import Iterator
from dataclasses import dataclass

from services.ingest.domain.tools.said import Person
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.reading import read, within
from services.ingest.sources.xapi.people import people_in
from services.ingest.sources.xapi.settings import XapiSettings
from services.ingest.sources.xapi.statement import AGENT, GROUP, Actor, Statement, Target


@dataclass(frozen=True)
class Circle:
    """`actors`: who did it, several if it was a group. `others`: the object, if that is people, and those of the
    context: instructor and team."""

    actors: tuple[Person, ...]
    others: tuple[Person, ...]
    relationship: str
    is_group: bool

    @property
    def is_empty(self) -> bool:
        return not (self.actors or self.others or self.relationship)

    @property
    def is_of_one(self) -> bool:
        """Nobody but who did it is named, and no relationship."""
        return not self.relationship and len(self.all) <= 1

    @property
    def all(self) -> tuple[Person, ...]:
        return tuple(dict.fromkeys((*self.actors, *self.others)))


def circle_of(statement: Statement, target: Target, settings: XapiSettings) -> Circle | Rejected:
    actors = _within("actor", people_in(statement.actor, settings.directory_home))
    if isinstance(actors, Rejected):
        return actors
    others: list[Person] = []
    for path, value in _others(statement, target):
        actor = read(Actor, value)
        found = actor if isinstance(actor, Rejected) else people_in(actor, settings.directory_home)
        if isinstance(found, Rejected):
            return within(path, found)
        others += found
    relationship = _relationship(statement, settings)
    if isinstance(relationship, Rejected):
        return relationship
    return Circle(actors, tuple(dict.fromkeys(others)), relationship, statement.actor.is_group)


def _within(path: str, found: tuple[Person, ...] | Rejected) -> tuple[Person, ...] | Rejected:
    return within(path, found) if isinstance(found, Rejected) else found


def _others(statement: Statement, target: Target) -> Iterator[tuple[str, object]]:
    if target.objectType in {AGENT, GROUP}:
        yield "object", statement.object
    if statement.context.instructor:
        yield "context.instructor", statement.context.instructor
    if statement.context.team:
        yield "context.team", statement.context.team


def _relationship(statement: Statement, settings: XapiSettings) -> str | Rejected:
    """Empty where nothing says it: then the people tell."""
    if settings.relationship is None:
        return ""
    found = statement.context.extensions.get(settings.relationship, "")
    if isinstance(found, str):
        return found
    return rejected("invalid", f"context.extensions.{settings.relationship}", "must be the id of a relationship")
