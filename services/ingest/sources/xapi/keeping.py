"""What is stored of a statement: who did what to what and when, its score, and the relationship; no name, no answer, no
description and no other extension. Of a statement that means nothing here only that it is one."""

from collections.abc import Mapping
from dataclasses import replace

from services.ingest.domain.pseudonym import Pseudonym, is_plain
from services.ingest.domain.tools.allow_list import AllowList, allow_list
from services.ingest.domain.tools.leaves import ID, Leaf, address_in, one_of
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.reading import read
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.xapi.people import is_home
from services.ingest.sources.xapi.settings import DEFAULTS, VOIDED, XapiSettings
from services.ingest.sources.xapi.statement import (
    AGENT,
    AROUND,
    BELONGING,
    GROUP,
    SUB_STATEMENT,
    Actor,
    Outline,
    Statement,
    Target,
    course_word,
    names_of,
    surroundings,
)

# Where a statement and its context name people.
STATEMENT_PEOPLE, CONTEXT_PEOPLE = ("actor", "object"), ("instructor", "team")


def keep(payload: object, settings: ToolSettings, pseudonym: Pseudonym) -> object:
    assert isinstance(settings, XapiSettings)
    if isinstance(payload, list):
        return [_kept(statement, settings, pseudonym) for statement in payload]
    return _kept(payload, settings, pseudonym)


def _kept(statement: object, settings: XapiSettings, pseudonym: Pseudonym) -> object:
    outline = read(Outline, statement)
    target = outline if isinstance(outline, Rejected) else read(Target, outline.object)
    if (
        isinstance(outline, Rejected)
        or isinstance(target, Rejected)
        or not _means_something(statement, outline, target, settings)
    ):
        return _unused(settings).kept(statement, pseudonym)
    found = _list(settings)
    if target.objectType in {AGENT, GROUP}:
        found = found.with_members(object=_object(settings).and_also(allow_list(Actor)))
    return found.kept(_identified(statement, settings), pseudonym)


def _means_something(statement: object, outline: Outline, target: Target, settings: XapiSettings) -> bool:
    if outline.verb.id == VOIDED:
        return True
    around = surroundings(statement) if isinstance(statement, dict) else ()
    is_meant = settings.meaning(outline.verb.id, names_of((target, *around))) is not None
    return target.objectType != SUB_STATEMENT and is_meant


def _unused(settings: XapiSettings) -> AllowList:
    return AllowList(members={"verb": _verb(settings), "object": allow_list(Target)})


def _list(settings: XapiSettings) -> AllowList:
    whole = allow_list(Statement)
    named = {settings.relationship: AllowList(leaf=ID)} if settings.relationship else {}
    activity = _object(settings)
    around = AllowList(members=dict.fromkeys(BELONGING, replace(activity, items=activity)))
    context = whole.members["context"].with_members(extensions=AllowList(members=named), **{AROUND: around})
    return whole.with_members(verb=_verb(settings), object=_object(settings), context=context)


def _verb(settings: XapiSettings) -> AllowList:
    return AllowList(members={"id": AllowList(leaf=one_of(VOIDED, *DEFAULTS, *settings.verbs))})


def _object(settings: XapiSettings) -> AllowList:
    known = settings.activities
    identified = Leaf("an id", lambda text, pseudonym: text if text in known else pseudonym(text))
    kind = Leaf("a type of the settings, or of a course", lambda text, _: text if text in known else course_word(text))
    definition = AllowList(members={"type": AllowList(leaf=kind)})
    return allow_list(Target).with_members(id=AllowList(leaf=identified), definition=definition)


def _identified(statement: object, settings: XapiSettings) -> object:
    """The statement with every account whose id, `<homePage>#<name>`, may be text as an id of one part: the digest of
    that is the one that the directory has of it."""
    if not isinstance(statement, dict):
        return statement
    context = statement.get("context")
    inner = {"context": _with_groups(context, CONTEXT_PEOPLE, settings)} if isinstance(context, dict) else {}
    return {**_with_groups(statement, STATEMENT_PEOPLE, settings), **inner}


def _with_groups(holder: Mapping[str, object], names: tuple[str, ...], settings: XapiSettings) -> Mapping[str, object]:
    return {**holder, **{name: _group(holder[name], settings) for name in names if name in holder}}


def _group(actor: object, settings: XapiSettings) -> object:
    if not isinstance(actor, dict):
        return actor
    members = actor.get("member")
    if isinstance(members, list):
        actor = {**actor, "member": [_agent(member, settings) for member in members]}
    return _agent(actor, settings)


def _agent(actor: object, settings: XapiSettings) -> object:
    found = read(Actor, actor)
    if isinstance(found, Rejected) or found.account is None or found.openid or not isinstance(actor, dict):
        return actor
    home, name = found.account.homePage, found.account.name
    identity = f"{home}#{name}"
    if is_plain(identity) or address_in(name) or is_home(home, settings.directory_home):
        return actor
    return {**{member: value for member, value in actor.items() if member != "account"}, "openid": identity}
