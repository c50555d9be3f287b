"""Whether an event from outside may go onto the log: what of it goes further, its schema, its scope, its times."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import cached_property
from hashlib import blake2b
from typing import Literal, NamedTuple

from pydantic import ValidationError
from pydantic_core import to_json

from schemas.events import (
    ADMIN_TYPES,
    EVENT_TYPES,
    MENTORING_EVENT,
    CloudEvent,
    MentoringEvent,
    OfPartition,
    RelationshipEvent,
    partition_key,
)
from schemas.payloads import EventRetracted, KnownUntil, SessionHeld
from schemas.primitives import to_rfc3339
from services.ingest.domain.cloudevents import ENCODED, normal_form
from services.ingest.domain.ids import DIGEST_BYTES, NoDigestKeyError, Pseudonym, is_plain, pseudonym_of
from services.ingest.domain.scope import RESERVED, ProgramOf, Scope, unknown
from services.ingest.domain.verdict import LONGEST_COMPARED, Admitted, Rejected, Verdict, explain, rejected

KNOWN = frozenset({*CloudEvent.model_fields, *RelationshipEvent.model_fields, ENCODED})
IDS = ("id", "correlationid", "causationid")
IDS_OF_DATA = ("reply_to",)
IDS_OF_A_TARGET = ("id", "slot")
IDS_OF_ORIGIN = ("native_type", "native_id")
RETRACTED = "mentoring.event.retracted.v1"
# W3C Trace Context. Values of tracestate are any ASCII there; here they are tokens, as tracers write them. The schemas
# are those that we publish; nobody else's says anything of what is in our events.
_MEMBER = r"[a-z0-9][a-z0-9_*/-]{0,40}=[A-Za-z0-9+/=._:;~-]{1,80}"
STRICT = {
    "traceparent": re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"),
    "tracestate": re.compile(f"{_MEMBER}(,{_MEMBER}){{0,7}}"),
    "dataschema": re.compile(
        r"urn:rapport:mentoring\.[a-z_]{1,40}\.[a-z_]{1,40}\.v[0-9]{1,3}(#/\$defs/[A-Za-z]{1,60})?"
    ),
}
# Kept whatever they say: nearly all that is ever sent.
PLAIN = KNOWN - STRICT.keys()
MEANT = frozenset(name.replace("_", "") for name in PLAIN)
# What the schema of an id refuses is left to it: it says why.
LONGEST_EVENT_ID = 256
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def screened(given: Mapping[str, object], pseudonym: Pseudonym) -> Mapping[str, object] | Rejected:
    """`given` in normal form. Left out are extensions that we do not know, as gateways add them, whether or not an
    attribute may be called so, and what traces and schemas say in another than their strict form. Ids become the same
    each time: a repeat stays one, and what names another event by its id finds it. Rejected where an id may be text and
    no key is set."""
    # Of nearly all that is ever sent nothing is left out and nothing replaced: it is not copied.
    kept = given if given.keys() <= PLAIN else {name: v for name, v in given.items() if _is_kept(name, v)}
    try:
        replaced = _replaced(kept, IDS, pseudonym) | _replaced_in_data(kept, pseudonym)
    except NoDigestKeyError as no_key:
        return rejected("invalid", no_key.path, str(no_key))
    return {**kept, **replaced} if replaced else kept


def _is_kept(name: str, value: object) -> bool:
    if name in STRICT:
        return not isinstance(value, str) or STRICT[name].fullmatch(value) is not None
    # `correlationId`, or `data-base64`, is meant as one of ours, and would be lost: what validates events refuses it.
    return name in KNOWN or "".join(filter(str.isalnum, name.casefold())) in MEANT


def _replaced_in_data(event: Mapping[str, object], pseudonym: Pseudonym) -> dict[str, object]:
    data = event.get("data")
    if not isinstance(data, dict):
        return {}
    names = (*IDS_OF_DATA, *IDS_OF_A_TARGET) if event.get("type") == RETRACTED else IDS_OF_DATA
    replaced = _replaced(data, names, pseudonym, "data.")
    origin = data.get("origin")
    if isinstance(origin, dict) and (of_origin := _replaced(origin, IDS_OF_ORIGIN, pseudonym, "data.origin.")):
        replaced["origin"] = {**origin, **of_origin}
    return {"data": {**data, **replaced}} if replaced else {}


def _replaced(
    members: Mapping[str, object], names: Iterable[str], pseudonym: Pseudonym, below: str = ""
) -> dict[str, object]:
    """Those members that may be text, by what stands for them."""
    found: dict[str, object] = {}
    for name in names:
        value = members.get(name)
        # A plain id is its own pseudonym.
        if not isinstance(value, str) or is_plain(value) or not 0 < len(value) <= LONGEST_EVENT_ID:
            continue
        if CONTROL.search(value):
            continue
        try:
            found[name] = pseudonym(value)
        except NoDigestKeyError as no_key:
            no_key.path = f"{below}{name}"
            raise
    return found


# Clocks of tools run ahead by seconds to minutes; an effective date is data, not time.
TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True)
class Clock:
    """`now` is the wall's time, UTC. In mode log the system lives in the log's own time."""

    now: datetime
    mode: Literal["wall", "log"] = "wall"

    @cached_property
    def now_text(self) -> str:
        """Written once for all events of a request."""
        return to_rfc3339(self.now)

    @cached_property
    def latest(self) -> datetime:
        """What lies behind it lies in the future."""
        return self.now + TOLERANCE


OURS = (
    "mentoring.score.",
    "mentoring.alert.",
    "mentoring.delivery.",
    "mentoring.clock.advanced.",
    "mentoring.program.",
)
CLOCK_REACHED = "mentoring.clock.reached.v1"
_TYPES = frozenset(EVENT_TYPES)
# Low enough that `session.held` finds `mentoring.session.held.v1`.
LIKENESS = 0.5
# Anything else is no name of a type, and may be what somebody wrote.
CODE_LIKE = re.compile(r"[A-Za-z0-9_.\-]{1,100}")
PAST: Mapping[type[object], tuple[str, ...]] = {
    SessionHeld: ("started_at",),
    # A retraction of what has not happened, or a clock ahead of the world, would lie in wait on the log.
    EventRetracted: ("time",),
    KnownUntil: ("time",),
}
"""The instants in data that have been: they are judged as `time` is. All others may lie ahead: bookings, days until."""


def refused_type(name: object, scope: Scope, clock: Clock) -> Rejected | None:
    if name is None:
        return rejected("invalid", "type", "is required")
    if not isinstance(name, str):
        return rejected("invalid", "type", "Input should be a valid string")
    if name not in _TYPES:
        if name.startswith(OURS):
            return rejected("forbidden", "type", "only Rapport itself writes this type")
        close = get_close_matches(name[:LONGEST_COMPARED], EVENT_TYPES, cutoff=LIKENESS)
        words = f"did you mean {' or '.join(close)}?" if close else "the types are mentoring.<thing>.<verb>.v1"
        shown = f"there is no type {name!r}" if CODE_LIKE.fullmatch(name) else "there is no such type"
        return rejected("unknown_type", "type", f"{shown}; {words}", f"there is no such type; {words}")
    if name in ADMIN_TYPES and not scope.admin:
        return rejected("forbidden", "type", "this type needs a token with admin scope")
    if name == CLOCK_REACHED and clock.mode != "log":
        return rejected("invalid", "type", "this system lives on the wall clock (RAPPORT_CLOCK=wall)")
    return None


# As `MENTORING_EVENT.validate_json`, which looks at its own options first, for each event.
_read: Callable[[bytes], MentoringEvent] = MENTORING_EVENT.validator.validate_json
# Of a partition's key: a longer subject is refused as subject, not once more as partitionkey.
LONGEST_KEY = 257
# A fault of each member takes time: with a mebibyte of unknown ones, half a second in one piece.
MOST_MEMBERS = 2_000


def admit(
    raw: object, scope: Scope, clock: Clock, home: ProgramOf = unknown, pseudonym: Pseudonym | None = None
) -> Verdict:
    """`raw` is one parsed CloudEvent of the JSON format. `recordedtime` is ours whatever it says; `tenant` and
    `partitionkey` may be left out. `home` is asked where the scope is limited to programmes. `pseudonym` of the scope's
    tenant replaces ids that may be text; without it they are refused."""
    if not isinstance(raw, dict):
        kind = "an array" if isinstance(raw, list) else "a single value"
        return rejected("malformed", "", f"an event is a JSON object, not {kind}")
    normal = normal_form(raw)
    if isinstance(normal, Rejected):
        return normal
    # What we say ourselves was made of such ids before.
    given = normal if scope.internal else screened(normal, pseudonym or pseudonym_of("", scope.tenant))
    if isinstance(given, Rejected):
        return given
    if refusal := refused_type(given.get("type"), scope, clock):
        return refusal
    # Our model has it as a default, the specification has not: without it this is no CloudEvent.
    if "specversion" not in given:
        return rejected("invalid", "specversion", "is required")
    # As `partition_key`, which is called where somebody else has made it.
    key = (
        {}
        if given["type"] == CLOCK_REACHED
        else {"partitionkey": f"{scope.tenant}/{given.get('subject')}"[:LONGEST_KEY]}
    )
    event = _validated({"tenant": scope.tenant, **key, **given, "recordedtime": clock.now_text})
    if isinstance(event, Rejected):
        return event
    refused = _out_of_scope(event, scope, home) or _refusal(event, given, clock)
    return refused or Admitted(_recorded(event, clock), len(normal) - len(given))


def _validated(attributes: Mapping[str, object]) -> MentoringEvent | Rejected:
    try:
        # Back to text, because only from JSON does a strict model read times and tuples.
        try:
            text = to_json(attributes)
        except ValueError:
            # Half a character, or nested deeper than pydantic writes: Python's own writer says which, or can.
            text = json.dumps(attributes).encode()
        if len(text) > MOST_MEMBERS and text.count(b",") > MOST_MEMBERS:
            return rejected("invalid", "", f"holds more than {MOST_MEMBERS:,} values: no event of the catalogue does")
        return _read(text)
    except RecursionError:
        return rejected("malformed", "", "is nested too deeply")
    except ValidationError as invalid:
        problems = explain(invalid)
        # It would name a place in our text, which the sender has never seen.
        if "recursion limit" in problems[0].reason:
            return rejected("invalid", "", "is nested too deeply")
        return Rejected("invalid", problems)


def _refusal(event: MentoringEvent, given: Mapping[str, object], clock: Clock) -> Rejected | None:
    named = given.get("partitionkey")  # where it is left out it is ours
    if named is not None and not isinstance(event, OfPartition) and named != partition_key(event.tenant, event.subject):
        return rejected("invalid", "partitionkey", "must be tenant/subject, or left out")
    if event.time > clock.latest:
        return rejected("future", "time", "lies in the future; an effective date belongs into data")
    for name in PAST.get(type(event.data), ()):
        if getattr(event.data, name) > clock.latest:
            return rejected("future", f"data.{name}", "lies in the future")
    return None


def _recorded(event: MentoringEvent, clock: Clock) -> MentoringEvent:
    # As a literal, by which the type checker knows what its data are.
    if event.type == "mentoring.clock.reached.v1":
        # Everything but the source follows from the instant, so that a repeated import says the same again.
        time = event.data.time
        known = {"id": f"clock-reached-{to_rfc3339(time)}", "time": time, "recordedtime": time}
        return event.model_copy(update=known)
    recorded = event.time if clock.mode == "log" else clock.now
    return event if recorded == event.recordedtime else event.model_copy(update={"recordedtime": recorded})


def _out_of_scope(event: MentoringEvent, scope: Scope, home: ProgramOf) -> Rejected | None:
    if event.tenant != scope.tenant:
        return rejected("forbidden", "tenant", f"this sender speaks for {scope.tenant!r} only")
    if event.source not in scope.sources or _is_ours(event.source, scope):
        return rejected("forbidden", "source", "this sender may not speak for this source")
    if event.type == "mentoring.event.retracted.v1" and (
        event.data.source not in scope.sources or _is_ours(event.data.source, scope)
    ):
        return rejected("forbidden", "data.source", "a retraction reaches the sender's own sources only")
    if not scope.programs or isinstance(event, OfPartition):
        return None
    if event.program not in scope.programs:
        return rejected("forbidden", "program", "this sender may not speak for this programme")
    # Whatever the event calls its programme: a relationship belongs to the one that started it.
    if (home(event.tenant, event.subject) or event.program) not in scope.programs:
        if event.type == "mentoring.relationship.started.v1":
            return started_elsewhere()
        return rejected("forbidden", "subject", "this sender may not speak for the programme of this relationship")
    return None


def started_elsewhere() -> Rejected:
    """The programme is not named: this sender may not know it."""
    return rejected(
        "conflict",
        "subject",
        "this relationship was started in another programme: use another id, or ask an administrator of the tenant to "
        "retract that start (mentoring.event.retracted.v1) or to start it anew in this programme",
    )


def _is_ours(source: str, scope: Scope) -> bool:
    return source.startswith(RESERVED) and not scope.internal


# In JSON no text can hold this: its quotes would be escaped. The first is the event's own, data come later.
_RECORDED = b',"recordedtime":"'


class PreparedEvent(NamedTuple):
    """An event as it goes to the log; `key` None: to every partition. `identity` is a digest of tenant, source and id,
    by which it is known again; `content` one of everything but `recordedtime`, over normalised text: 12:00+02:00 and
    10:00Z are the same."""

    identity: bytes
    key: bytes | None
    value: bytes
    content: bytes
    event: MentoringEvent


def prepared(event: MentoringEvent) -> PreparedEvent:
    # Neither tenant nor source can hold the separator.
    name = f"{event.tenant}\0{event.source}\0{event.id}".encode()
    # As `schemas.events.to_json`, without one more call for each event.
    value = event.__pydantic_serializer__.to_json(event, by_alias=True, exclude_none=True)
    before, _, rest = value.partition(_RECORDED)
    content = before + rest[rest.index(b'"') :]
    key = None if isinstance(event, OfPartition) else event.partitionkey.encode()
    identity, content = (blake2b(text, digest_size=DIGEST_BYTES).digest() for text in (name, content))
    return PreparedEvent(identity, key, value, content, event)
