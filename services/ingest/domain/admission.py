"""Admission of events from outside to the log: attributes, schema, scope and times are checked."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import cached_property
from typing import Literal, Protocol

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
from services.ingest.domain.ids import NoDigestKeyError, Pseudonym, is_plain, pseudonym_of
from services.ingest.domain.scope import RESERVED, ProgramOf, Scope
from services.ingest.domain.verdict import LONGEST_COMPARED, Admitted, Rejected, Verdict, explain, rejected

ATTRIBUTES = frozenset({*CloudEvent.model_fields, *RelationshipEvent.model_fields, ENCODED})
IDS = ("id", "correlationid", "causationid")
IDS_IN_DATA = ("reply_to",)
IDS_IN_RETRACTION = ("id", "slot")
IDS_IN_ORIGIN = ("native_type", "native_id")
RETRACTED = "mentoring.event.retracted.v1"
# W3C Trace Context. There, values of tracestate are any ASCII; here they are tokens, as tracers write them. The schemas
# are those that we publish: any other describes nothing that is in our events.
_MEMBER = r"[a-z0-9][a-z0-9_*/-]{0,40}=[A-Za-z0-9+/=._:;~-]{1,80}"
STRICT_FORMATS = {
    "traceparent": re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"),
    "tracestate": re.compile(f"{_MEMBER}(,{_MEMBER}){{0,7}}"),
    "dataschema": re.compile(
        r"urn:rapport:mentoring\.[a-z_]{1,40}\.[a-z_]{1,40}\.v[0-9]{1,3}(#/\$defs/[A-Za-z]{1,60})?"
    ),
}
# Kept whatever their value is. Nearly all events have no other attributes.
PLAIN_ATTRIBUTES = ATTRIBUTES - STRICT_FORMATS.keys()
ATTRIBUTE_LETTERS = frozenset(name.replace("_", "") for name in PLAIN_ATTRIBUTES)
# A longer id is left to the schema, which refuses it and explains why.
LONGEST_EVENT_ID = 256
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def sanitize(event: Mapping[str, object], pseudonym: Pseudonym) -> Mapping[str, object] | Rejected:
    """Drops unknown extensions, which gateways add, whether or not their names are valid, and trace and schema
    attributes that are not in their strict form. Replaces ids that may be text by their pseudonyms. These are the same
    each time: a repeat stays a repeat, and a reference to another event's id still matches. Rejects an id that may be
    text if no key is set. `event` is in normal form."""
    # Nearly all events need no change and are not copied.
    kept = event if event.keys() <= PLAIN_ATTRIBUTES else {name: v for name, v in event.items() if _is_kept(name, v)}
    try:
        replaced = _pseudonyms(kept, IDS, pseudonym) | _pseudonyms_in_data(kept, pseudonym)
    except NoDigestKeyError as no_key:
        return rejected("invalid", no_key.path, str(no_key))
    return {**kept, **replaced} if replaced else kept


def _is_kept(name: str, value: object) -> bool:
    if name in STRICT_FORMATS:
        return not isinstance(value, str) or STRICT_FORMATS[name].fullmatch(value) is not None
    # `correlationId`, or `data-base64`, is meant as one of ours and must not be dropped: validation refuses it.
    return name in ATTRIBUTES or "".join(filter(str.isalnum, name.casefold())) in ATTRIBUTE_LETTERS


def _pseudonyms_in_data(event: Mapping[str, object], pseudonym: Pseudonym) -> dict[str, object]:
    data = event.get("data")
    if not isinstance(data, dict):
        return {}
    names = (*IDS_IN_DATA, *IDS_IN_RETRACTION) if event.get("type") == RETRACTED else IDS_IN_DATA
    replaced = _pseudonyms(data, names, pseudonym, "data.")
    origin = data.get("origin")
    if isinstance(origin, dict) and (in_origin := _pseudonyms(origin, IDS_IN_ORIGIN, pseudonym, "data.origin.")):
        replaced["origin"] = {**origin, **in_origin}
    return {"data": {**data, **replaced}} if replaced else {}


def _pseudonyms(
    members: Mapping[str, object], names: Iterable[str], pseudonym: Pseudonym, prefix: str = ""
) -> dict[str, object]:
    """The pseudonyms of those members that may be text, by name. `prefix` of their path, for errors."""
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
            no_key.path = f"{prefix}{name}"
            raise
    return found


# Clocks of tools run ahead by seconds to minutes. An effective date belongs into data, not into time.
TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True)
class Clock:
    """`now` is wall-clock time, UTC. In mode log the system runs on the log's own time."""

    now: datetime
    mode: Literal["wall", "log"] = "wall"

    @cached_property
    def now_text(self) -> str:
        """Formatted once for all events of a request."""
        return self.now.isoformat()

    @cached_property
    def latest(self) -> datetime:
        """Any later time lies in the future."""
        return self.now + TOLERANCE


INTERNAL_TYPES = (
    "mentoring.score.",
    "mentoring.alert.",
    "mentoring.delivery.",
    "mentoring.clock.advanced.",
    "mentoring.program.",
)
CLOCK_REACHED = "mentoring.clock.reached.v1"
_TYPES = frozenset(EVENT_TYPES)
# Low enough that `session.held` suggests `mentoring.session.held.v1`.
SIMILARITY_CUTOFF = 0.5
# Anything else is no name of a type, and may be what a person wrote.
CODE_LIKE = re.compile(r"[A-Za-z0-9_.\-]{1,100}")
PAST_INSTANTS: Mapping[type[object], tuple[str, ...]] = {
    SessionHeld: ("started_at",),
    # A retraction of an event that has not happened, or a clock ahead of the world, would take effect later.
    EventRetracted: ("time",),
    KnownUntil: ("time",),
}
"""Fields of data that must lie in the past, as `time` must. All others may lie ahead: bookings, deadlines."""


def type_refusal(name: object, scope: Scope, clock: Clock) -> Rejected | None:
    if name is None:
        return rejected("invalid", "type", "is required")
    if not isinstance(name, str):
        return rejected("invalid", "type", "Input should be a valid string")
    if name not in _TYPES:
        if name.startswith(INTERNAL_TYPES):
            return rejected("forbidden", "type", "only Rapport itself writes this type")
        close = get_close_matches(name[:LONGEST_COMPARED], EVENT_TYPES, cutoff=SIMILARITY_CUTOFF)
        words = f"did you mean {' or '.join(close)}?" if close else "the types are mentoring.<thing>.<verb>.v1"
        shown = f"there is no type {name!r}" if CODE_LIKE.fullmatch(name) else "there is no such type"
        return rejected("unknown_type", "type", f"{shown}; {words}", f"there is no such type; {words}")
    if name in ADMIN_TYPES and not scope.admin:
        return rejected("forbidden", "type", "this type needs a token with admin scope")
    if name == CLOCK_REACHED and clock.mode != "log":
        return rejected("invalid", "type", "this system lives on the wall clock (RAPPORT_CLOCK=wall)")
    return None


class RelationshipPrograms(Protocol):
    """The programme of each relationship. `claim` reserves that of an admitted start, or rejects the start."""

    def program_of(self, tenant: str, relationship: str, /) -> str | None: ...

    def claim(self, started: Admitted, scope: Scope, /) -> Verdict: ...


@dataclass(frozen=True)
class EventAdmission:
    """Admits the events of a request. `now`: in UTC. `pseudonym`: by tenant."""

    now: Callable[[], datetime]
    clock_mode: Literal["wall", "log"]
    programs: RelationshipPrograms
    pseudonym: Callable[[str], Pseudonym]

    def for_scope(self, scope: Scope) -> Callable[[object], Verdict]:
        """For the events of one request, which all have the same time of recording. The result raises UnavailableError
        while the projection of relationships is behind the log."""
        clock, programs, pseudonym = Clock(self.now(), self.clock_mode), self.programs, self.pseudonym(scope.tenant)

        def admit_one(raw: object) -> Verdict:
            verdict = admit(raw, scope, clock, programs.program_of, pseudonym)
            if isinstance(verdict, Admitted) and verdict.event.type == "mentoring.relationship.started.v1":
                return programs.claim(verdict, scope)
            return verdict

        return admit_one


# As `MENTORING_EVENT.validate_json`, which reads its options again for each event.
_validate_json: Callable[[bytes], MentoringEvent] = MENTORING_EVENT.validator.validate_json
# Of a partition key: a longer subject is refused as subject, not once more as partitionkey.
LONGEST_KEY = 257
# Explaining each unknown member takes time: with a mebibyte of them, half a second in one piece.
MAX_MEMBERS = 2_000


def admit(
    raw: object, scope: Scope, clock: Clock, program_of: ProgramOf | None = None, pseudonym: Pseudonym | None = None
) -> Verdict:
    """`raw` is one parsed CloudEvent in the JSON format. `recordedtime` is always set here; `tenant` and
    `partitionkey` may be left out. `program_of`, if any, is called if the scope is limited to programmes. `pseudonym`
    of the scope's tenant replaces ids that may be text; without it they are refused."""
    if not isinstance(raw, dict):
        kind = "an array" if isinstance(raw, list) else "a single value"
        return rejected("malformed", "", f"an event is a JSON object, not {kind}")
    normal = normal_form(raw)
    if isinstance(normal, Rejected):
        return normal
    # Internal events were built with pseudonyms already.
    given = normal if scope.internal else sanitize(normal, pseudonym or pseudonym_of("", scope.tenant))
    if isinstance(given, Rejected):
        return given
    if refusal := type_refusal(given.get("type"), scope, clock):
        return refusal
    # Our model has a default for it, the specification has not: without it this is no CloudEvent.
    if "specversion" not in given:
        return rejected("invalid", "specversion", "is required")
    # As `partition_key`, which checks the sender's own below.
    key = {"partitionkey": f"{scope.tenant}/{given.get('subject')}"[:LONGEST_KEY]}
    if given["type"] == CLOCK_REACHED:
        key = {}
    event = _validate({"tenant": scope.tenant, **key, **given, "recordedtime": clock.now_text})
    if isinstance(event, Rejected):
        return event
    refused = _scope_refusal(event, scope, program_of) or _content_refusal(event, given, clock)
    return refused or Admitted(_with_recorded_time(event, clock), len(normal) - len(given))


def _validate(attributes: Mapping[str, object]) -> MentoringEvent | Rejected:
    try:
        # Back to text: a strict model reads times and tuples only from JSON.
        try:
            text = to_json(attributes)
        except ValueError:
            # Half a surrogate pair, or nested deeper than pydantic writes: Python's own encoder writes it or explains.
            text = json.dumps(attributes).encode()
        if len(text) > MAX_MEMBERS and text.count(b",") > MAX_MEMBERS:
            return rejected("invalid", "", f"holds more than {MAX_MEMBERS:,} values: no event of the catalogue does")
        return _validate_json(text)
    except RecursionError:
        return rejected("malformed", "", "is nested too deeply")
    except ValidationError as invalid:
        problems = explain(invalid)
        # The message would name a position in our own text, which the sender has never seen.
        if "recursion limit" in problems[0].reason:
            return rejected("invalid", "", "is nested too deeply")
        return Rejected("invalid", problems)


def _content_refusal(event: MentoringEvent, given: Mapping[str, object], clock: Clock) -> Rejected | None:
    key = given.get("partitionkey")  # None: it was set here
    if key is not None and not isinstance(event, OfPartition) and key != partition_key(event.tenant, event.subject):
        return rejected("invalid", "partitionkey", "must be tenant/subject, or left out")
    if event.time > clock.latest:
        return rejected("future", "time", "lies in the future; an effective date belongs into data")
    for name in PAST_INSTANTS.get(type(event.data), ()):
        if getattr(event.data, name) > clock.latest:
            return rejected("future", f"data.{name}", "lies in the future")
    return None


def _with_recorded_time(event: MentoringEvent, clock: Clock) -> MentoringEvent:
    # A literal, which narrows the type of data for the type checker.
    if event.type == "mentoring.clock.reached.v1":
        # Everything but the source follows from the instant, so that a repeated import is a duplicate.
        time = event.data.time
        derived = {"id": f"clock-reached-{to_rfc3339(time)}", "time": time, "recordedtime": time}
        return event.model_copy(update=derived)
    recorded = event.time if clock.mode == "log" else clock.now
    return event if recorded == event.recordedtime else event.model_copy(update={"recordedtime": recorded})


def _scope_refusal(event: MentoringEvent, scope: Scope, program_of: ProgramOf | None) -> Rejected | None:
    if event.tenant != scope.tenant:
        return rejected("forbidden", "tenant", f"this sender speaks for {scope.tenant!r} only")
    if event.source not in scope.sources or _is_reserved(event.source, scope):
        return rejected("forbidden", "source", "this sender may not speak for this source")
    if event.type == "mentoring.event.retracted.v1" and (
        event.data.source not in scope.sources or _is_reserved(event.data.source, scope)
    ):
        return rejected("forbidden", "data.source", "a retraction reaches the sender's own sources only")
    if not scope.programs or isinstance(event, OfPartition):
        return None
    if event.program not in scope.programs:
        return rejected("forbidden", "program", "this sender may not speak for this programme")
    # A relationship belongs to the programme that started it, whichever programme the event names.
    started_in = program_of(event.tenant, event.subject) if program_of else None
    if (started_in or event.program) not in scope.programs:
        if event.type == "mentoring.relationship.started.v1":
            return reject_started_elsewhere()
        return rejected("forbidden", "subject", "this sender may not speak for the programme of this relationship")
    return None


def reject_started_elsewhere() -> Rejected:
    """Does not name the other programme, which this sender may not learn."""
    return rejected(
        "conflict",
        "subject",
        "this relationship was started in another programme: use another id, or ask an administrator of the tenant to "
        "retract that start (mentoring.event.retracted.v1) or to start it anew in this programme",
    )


def _is_reserved(source: str, scope: Scope) -> bool:
    return source.startswith(RESERVED) and not scope.internal
