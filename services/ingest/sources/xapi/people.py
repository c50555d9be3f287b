"""Who a statement is about: agents, and the members of groups."""

from services.ingest.domain.tools.leaves import address_in
from services.ingest.domain.tools.said import Person
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.reading import within
from services.ingest.sources.xapi.statement import SHA1, Actor, Agent, address_of

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
