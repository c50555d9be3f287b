"""The xAPI endpoint: authentication, version negotiation, splitting requests into statements, and redaction."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

from schemas.primitives import to_rfc3339
from services.ingest.domain.cloudevents import JSON, Parsed, read_json
from services.ingest.domain.ids import Pseudonym, is_plain
from services.ingest.domain.people.roster import normal_page
from services.ingest.domain.tools.allow_list import ID, AllowList, Leaf, address_in, allow_list, one_of
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.learning_records import activity_kind, named_targets
from services.ingest.sources.tool import (
    Answer,
    Handshake,
    RawPayloads,
    Received,
    Tool,
    ToolSettings,
    Verification,
    Verified,
    verify_basic,
)
from services.ingest.sources.vendor_model import read
from services.ingest.sources.xapi.model import (
    AGENT,
    CONTEXT_ACTIVITIES,
    DEFAULTS,
    GROUP,
    PARENT_KINDS,
    SUB_STATEMENT,
    UUID_SHAPE,
    VOIDED,
    Actor,
    XapiOutline,
    XapiSettings,
    XapiStatement,
    XapiTarget,
    context_activities,
    identifiers_of,
    is_directory_page,
)
from services.ingest.sources.xapi.translation import derived_id, translate

POST, PUT, GET = "POST", "PUT", "GET"
VERSION_HEADER = "X-Experience-API-Version"
# By the first digit of the client's version; statements are read alike in both versions.
VERSIONS = {"1": "1.0.3", "2": "2.0.0"}
ABOUT = "/about"
SUPPORTED_VERSION = re.compile(r"[12]\.0(\.\d+)?", re.ASCII)


def verify(received: Received, secret: str, now: datetime) -> Verification:
    """`GET /about` needs no authentication (xAPI Communication 2.8)."""
    if received.path == ABOUT:
        return Handshake(json.dumps({"version": [*VERSIONS.values()]}).encode())
    verification = verify_basic(received, secret, now)
    version = received.headers.get(VERSION_HEADER.lower(), "").strip()
    if not isinstance(verification, Verified) or SUPPORTED_VERSION.fullmatch(version):
        return verification
    # The standard requires 400 instead of recording the statement (Communication 3.3).
    recognised = " or ".join(VERSIONS.values())
    words = f"the header {VERSION_HEADER} must be {recognised}" + (f", not {version[:20]}" if version else "")
    return Handshake(json.dumps({"status": 400, "reason": "version", "detail": words}).encode(), status=400)


MIXED = "multipart/mixed"
# A content type's boundary has at most 70 characters.
LONGEST_TYPE = 500


def parse(body: bytes, media_type: str) -> Parsed | Rejected:
    if not media_type.lower().lstrip().startswith(MIXED):
        return read_json(body)
    if len(media_type) > LONGEST_TYPE or not media_type.isascii() or not media_type.isprintable():
        return rejected("malformed", "", "the content type is none")
    # The standard library's parser raises arbitrary exceptions for unforeseen headers: encoded parameters in an unknown
    # charset, unterminated quotes.
    try:
        message = message_from_bytes(f"Content-Type: {media_type}\r\n\r\n".encode() + body, policy=policy.HTTP)
        parts = list(message.iter_parts()) if isinstance(message, EmailMessage) and message.is_multipart() else []
        if not parts or parts[0].get_content_type() != JSON:
            return rejected("malformed", "", f"the first part of {MIXED} must be {JSON}")
        content = parts[0].get_payload(decode=True)
    except Exception as failure:  # noqa: BLE001 (told to the sender; nothing but the message is parsed here)
        return rejected("malformed", "", f"is no {MIXED} that can be read: {type(failure).__name__}")
    return read_json(content) if isinstance(content, bytes) else rejected("malformed", "", "the first part is empty")


RawStatement = Mapping[str, object]


def split(received: Received, _settings: ToolSettings, now: datetime) -> RawPayloads | Rejected:
    parsed = parse(received.body, received.headers.get("content-type", ""))
    if isinstance(parsed, Rejected):
        return parsed
    statements = _from_put(received, parsed) if received.method == PUT else _from_post(parsed)
    if isinstance(statements, Rejected):
        return statements
    try:
        completed = [_with_id_and_time(statement, now) for statement in statements]
        payloads = tuple(json.dumps(statement, ensure_ascii=False).encode() for statement in completed)
    except RecursionError:
        return rejected("malformed", "", "is nested too deeply")
    ids = json.dumps([str(statement["id"]) for statement in completed]).encode()
    version = received.headers.get(VERSION_HEADER.lower(), "").strip()
    headers = ((VERSION_HEADER, VERSIONS.get(version[:1], VERSIONS["1"])),)
    answer = Answer(204, headers=headers) if received.method == PUT else Answer(200, ids, headers=headers)
    # An empty array is valid and becomes one empty record.
    return RawPayloads(payloads or (b"[]",), answer=answer)


def _from_post(parsed: Parsed) -> list[RawStatement] | Rejected:
    match parsed.value:
        case list(listed):
            values = [one for one in listed if one is not None]
        # The form in which a record store returns and exports statements.
        case {"statements": list(listed), **others} if not others.keys() & {"id", "verb"}:
            values = [one for one in listed if one is not None]
        case one:
            values = [one]
    statements = [value for value in values if isinstance(value, dict)]
    if len(statements) < len(values):
        return rejected("malformed", "", "a statement is a JSON object; several are an array of them")
    ids: set[str] = set()
    for index, statement in enumerate(statements):
        given = statement.get("id")
        if given is None:
            continue
        if not isinstance(given, str) or not UUID_SHAPE.fullmatch(given):
            return rejected("invalid", f"{index}.id", "must be a UUID")
        if given.lower() in ids:
            return rejected("invalid", f"{index}.id", "is that of another statement of this request")
        ids.add(given.lower())
    return list(statements)


def _from_put(received: Received, parsed: Parsed) -> list[RawStatement] | Rejected:
    name = received.query.get("statementId", "")
    if not UUID_SHAPE.fullmatch(name):
        return rejected("invalid", "statementId", "PUT needs ?statementId= and the UUID of the statement")
    if not isinstance(parsed.value, dict):
        return rejected("malformed", "", "PUT carries one statement")
    statements = _from_post(Parsed({"id": name, **parsed.value}))
    if isinstance(statements, Rejected):
        return statements
    if str(statements[0]["id"]).lower() != name.lower():
        return rejected("invalid", "id", "is another than that of ?statementId=")
    return statements


def _with_id_and_time(statement: RawStatement, now: datetime) -> RawStatement:
    """Add the missing timestamp and id. The id is derived from the content, so a repeat has the same id."""
    timed = {**statement}
    if timed.get("timestamp") is None and timed.get("stored") is None:
        timed["timestamp"] = to_rfc3339(now)
    if timed.get("id") is None:
        timed["id"] = derived_id(timed)
    return timed


# Members of a statement and its context that contain people; the deepest is the member of a group of the context.
PEOPLE = frozenset(
    {
        *("actor", "object", "member", "context", "instructor", "team"),
        *("contextAgents", "contextGroups", "agent", "group"),
    }
)
MAX_LEVELS = 7


def redact(payload: object, settings: ToolSettings, pseudonym: Pseudonym) -> object:
    assert isinstance(settings, XapiSettings)
    if isinstance(payload, list):
        return [_redact_statement(statement, settings, pseudonym) for statement in payload]
    return _redact_statement(payload, settings, pseudonym)


def _redact_statement(statement: object, settings: XapiSettings, pseudonym: Pseudonym) -> object:
    outline = read(XapiOutline, statement)
    target = outline if isinstance(outline, Rejected) else read(XapiTarget, outline.object)
    verb = AllowList(members={"id": AllowList(leaf=one_of(VOIDED, *DEFAULTS, *settings.verbs))})
    activity, is_used = _object(settings), False
    if not isinstance(outline, Rejected) and not isinstance(target, Rejected):
        parents = context_activities(statement) if isinstance(statement, dict) else ()
        is_meant = settings.meaning(outline.verb.id, identifiers_of((target, *parents))) is not None
        is_used = outline.verb.id == VOIDED or (is_meant and target.objectType != SUB_STATEMENT)
    if not is_used or isinstance(target, Rejected):
        return AllowList(members={"verb": verb, "object": allow_list(XapiTarget)}).redact(statement, pseudonym)
    full = allow_list(XapiStatement)
    named = {settings.relationship: AllowList(leaf=ID)} if settings.relationship else {}
    parent_lists = AllowList(members=dict.fromkeys(PARENT_KINDS, replace(activity, items=activity)))
    context = full.members["context"].with_members(
        extensions=AllowList(members=named), **{CONTEXT_ACTIVITIES: parent_lists}
    )
    people = allow_list(Actor) if target.objectType in {AGENT, GROUP} else AllowList()
    found = full.with_members(verb=verb, object=activity.union(people), context=context)
    return found.redact(_accounts_as_openids(statement, settings), pseudonym)


def _object(settings: XapiSettings) -> AllowList:
    # Ids and types that the settings name stay readable; all others are reduced.
    recognised = named_targets(settings.verbs)
    identified = Leaf("an id", lambda text, pseudonym: text if text in recognised else pseudonym(text))
    kind = Leaf(
        "a type of the settings, or that it is of a course, or another",
        lambda text, _: text if text in recognised else activity_kind(text),
    )
    definition = AllowList(members={"type": AllowList(leaf=kind)})
    return allow_list(XapiTarget).with_members(id=AllowList(leaf=identified), definition=definition)


def _accounts_as_openids(value: object, settings: XapiSettings, levels: int = MAX_LEVELS) -> object:
    """Turn accounts whose id, `<homePage>#<name>`, may be text into an openid of one part, whose digest is the one in
    the directory."""
    if levels and isinstance(value, list):
        return [_accounts_as_openids(one, settings, levels - 1) for one in value]
    if not levels or not isinstance(value, dict):
        return value
    inner = {
        name: _accounts_as_openids(one, settings, levels - 1) if name in PEOPLE else one for name, one in value.items()
    }
    found = read(Actor, value) if value.get("account") else None
    if not isinstance(found, Actor) or found.account is None or found.openid:
        return inner
    identity = normal_page(f"{found.account.homePage}#{found.account.name}")
    is_ours = is_directory_page(found.account.homePage, settings.directory_home)
    if is_plain(identity) or address_in(found.account.name) or is_ours:
        return inner
    return {**{member: one for member, one in inner.items() if member != "account"}, "openid": identity}


TOOL = Tool(
    name="xapi",
    verify=verify,
    translate=translate,
    settings=XapiSettings,
    parse=parse,
    redact=redact,
    split=split,
    routes={"": frozenset({POST}), "/statements": frozenset({POST, PUT}), ABOUT: frozenset({GET})},
    media_types=frozenset({JSON, MIXED}),
)
