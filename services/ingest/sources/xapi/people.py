"""Who a statement is about, and the ids of statements, which a client may leave to us."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID, uuid5

from services.ingest.domain.activity import Person
from services.ingest.domain.tools.allow_list import address_in
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.vendor_model import read, within
from services.ingest.sources.xapi.model import (
    AGENT,
    GROUP,
    SHA1,
    Actor,
    Agent,
    XapiSettings,
    XapiStatement,
    XapiTarget,
    address_of,
)

# The namespace of ids that were made here.
NAMESPACE = UUID("6f1d6a3e-5f0b-5c55-9d0f-7d2b7f3a9c41")
SHAPE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def is_uuid(text: str) -> bool:
    return SHAPE.fullmatch(text.lower()) is not None


def made_id(statement: Mapping[str, object]) -> str:
    """The same statement gets the same id, so that a repeat is one. Raises RecursionError."""
    content = {name: value for name, value in statement.items() if name != "id"}
    return str(uuid5(NAMESPACE, json.dumps(content, sort_keys=True)))


@dataclass(frozen=True)
class XapiCircle:
    """`actors`: who did it, several if it was a group. `others`: the object, if that is people, and those of the
    context: instructor and team. `is_to_people`: the object is."""

    actors: tuple[Person, ...]
    others: tuple[Person, ...]
    relationship: str
    is_group: bool
    is_to_people: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.actors or self.others or self.relationship)

    @property
    def is_addressed(self) -> bool:
        """It says itself with whom, or to whom, it was done: a relationship, people as its object, or several who did
        it together."""
        return bool(self.relationship or len(self.actors) > 1 or (self.is_to_people and not self.is_of_one))

    @property
    def is_of_one(self) -> bool:
        """Nobody but who did it is named."""
        return len(self.all) <= 1

    @property
    def all(self) -> tuple[Person, ...]:
        return tuple(dict.fromkeys((*self.actors, *self.others)))


def circle_of(statement: XapiStatement, target: XapiTarget, settings: XapiSettings) -> XapiCircle | Rejected:
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
    is_to_people = target.objectType in {AGENT, GROUP}
    return XapiCircle(actors, tuple(dict.fromkeys(others)), relationship, statement.actor.is_group, is_to_people)


def _within(path: str, found: tuple[Person, ...] | Rejected) -> tuple[Person, ...] | Rejected:
    return within(path, found) if isinstance(found, Rejected) else found


def _others(statement: XapiStatement, target: XapiTarget) -> Iterator[tuple[str, object]]:
    if target.objectType in {AGENT, GROUP}:
        yield "object", statement.object
    if statement.context.instructor:
        yield "context.instructor", statement.context.instructor
    if statement.context.team:
        yield "context.team", statement.context.team


def _relationship(statement: XapiStatement, settings: XapiSettings) -> str | Rejected:
    """Empty where nothing says it: then the people tell."""
    if settings.relationship is None:
        return ""
    found = statement.context.extensions.get(settings.relationship, "")
    if isinstance(found, str):
        return found
    return rejected("invalid", f"context.extensions.{settings.relationship}", "must be the id of a relationship")


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


def is_home(page: str, directory_home: str) -> bool:
    """Whether names on that page are those of our directory."""
    return bool(directory_home) and page.rstrip("/") == directory_home.rstrip("/")


def _person(actor: Agent, directory_home: str) -> Person | Rejected:
    if actor.mbox:
        return _by_address(actor.mbox)
    if actor.mbox_sha1sum:
        digest = actor.mbox_sha1sum.lower()
        return Person(id=digest) if SHA1.fullmatch(digest) else rejected("invalid", "mbox_sha1sum", "must be a SHA-1")
    if actor.openid:
        return Person(id=actor.openid[:LONGEST])
    if actor.account and is_home(actor.account.homePage, directory_home):
        return Person(participant=actor.account.name)
    if actor.account:
        return _by_account(actor.account.homePage, actor.account.name)
    return rejected("invalid", "", "names nobody: mbox, mbox_sha1sum, openid or account is required")


def _by_address(mbox: str) -> Person | Rejected:
    address = address_of(mbox)
    if address and len(address) <= LONGEST:
        return Person(address=address)
    return rejected("invalid", "mbox", "must be an address as in mailto:somebody@example.com")


def _by_account(home: str, name: str) -> Person:
    """Many systems use the address as the account's name."""
    return Person(id=f"{home}#{name}", address=address_in(name))
