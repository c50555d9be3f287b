"""Participants of the directory: parsed from a sender's request, stated by feeds, and merged from all statements."""

import json
from dataclasses import replace
from datetime import datetime
from itertools import takewhile
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from schemas.directory import MAX_CHANGES, DirectoryStatement, EmploymentChange, Participant, PersonDescription
from schemas.primitives import Id, to_rfc3339
from services.ingest.domain.activity import Employed
from services.ingest.domain.ids import origin
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Rejected, explain, rejected

# Explaining a fault of each member takes time.
MAX_MEMBERS = 2_000

PARTICIPANT_ID: TypeAdapter[str] = TypeAdapter(Id)
_DESCRIBED = tuple(name for name in PersonDescription.model_fields if name not in {"unsaid", "change"})


def read_participant(raw: object, tenant: str, now: datetime) -> Participant | Rejected:
    """`tenant` may be left out and must be the sender's; `recordedtime` and `employment` are never the sender's."""
    if not isinstance(raw, dict):
        return rejected("malformed", "", "a participant is a JSON object")
    members = {name: value for name, value in raw.items() if value is not None and name != "employment"}
    if members.get("tenant", tenant) != tenant:
        return rejected("forbidden", "tenant", f"this sender speaks for {tenant!r} only")
    try:
        text = json.dumps({**members, "tenant": tenant, "recordedtime": to_rfc3339(now)})
        if text.count(",") > MAX_MEMBERS:
            return rejected("invalid", "", f"holds more than {MAX_MEMBERS:,} values: nobody has so many")
        return Participant.model_validate_json(text)
    except RecursionError:
        return rejected("malformed", "", "is nested too deeply")
    except ValidationError as invalid:
        return Rejected("invalid", explain(invalid))


def is_participant_id(text: str) -> bool:
    try:
        PARTICIPANT_ID.validate_python(text)
    except ValidationError:
        return False
    return True


def with_registered_fields(activity: Employed, registered: Participant | None) -> Employed:
    """The fields that the feed leaves unsaid are taken from the directory."""
    if registered is None or not activity.unsaid:
        return activity
    fields = activity.unsaid & {"time_zone", "consent"}
    return replace(activity, **{name: getattr(registered, name) for name in fields})


def replace_statement(participant: Participant, feed: str) -> DirectoryStatement:
    """States that this is the complete participant. A request may have thousands: a validated participant is not
    validated again."""
    described = {name: getattr(participant, name) for name in _DESCRIBED}
    return DirectoryStatement.model_construct(
        id=participant.id,
        tenant=participant.tenant,
        feed=feed,
        kind="replaces",
        person=PersonDescription.model_construct(**described),
        recordedtime=participant.recordedtime,
    )


def merge_statement(activity: Employed, scope: ConnectionScope) -> DirectoryStatement | Rejected:
    """States what a feed reports of a participant whom other feeds may describe as well."""
    change = {
        "status": activity.status,
        "told": to_rfc3339(activity.time),
        "statement": activity.key,
        "left_on": activity.left_on and activity.left_on.isoformat(),
        "back_on": activity.back_on and activity.back_on.isoformat(),
        "time_zone": activity.time_zone,
        "program": scope.program,
        "tool": scope.tool,
        "connection": scope.connection,
        **{name: value for name, value in origin(scope, activity.native).items() if name != "tool"},
    }
    described = {
        "name": activity.name,
        "addresses": activity.addresses,
        "identities": [{"tool": tool, "id": value} for tool, value in dict.fromkeys(activity.identities)],
        "time_zone": activity.time_zone,
        "status": activity.status,
        "consent": activity.consent,
        "unsaid": sorted(activity.unsaid),
        "change": change,
    }
    try:
        return DirectoryStatement(
            person=PersonDescription.model_validate_json(json.dumps(described)),
            id=activity.participant,
            tenant=scope.tenant,
            feed=scope.source,
            kind="merges",
            recordedtime=activity.time,
        )
    except ValidationError as invalid:
        return Rejected("invalid", explain(invalid))


def apply_statement(statement: DirectoryStatement, registered: Participant | None) -> Participant | Rejected | None:
    """The participant after the statement; None after an erasure. Addresses are replaced unless the statement has none.
    Identities are replaced tool by tool: a feed without Slack leaves the Slack identities of another feed alone. The
    history of employment stays, whoever describes the person. Rejected if the person would have more addresses or
    identities than the directory holds."""
    described = statement.person
    if described is None:
        return None
    before = registered if statement.kind == "merges" else None
    tools = {one.tool for one in described.identities}
    others = [one for one in before.identities if one.tool not in tools] if before else []
    zone = before.time_zone if before and "time_zone" in described.unsaid else described.time_zone
    change = described.change and described.change.model_copy(update={"time_zone": zone})
    on_leave = stays_on_leave(described, before, statement.recordedtime, statement.feed)
    try:
        return Participant(
            id=statement.id,
            tenant=statement.tenant,
            name=described.name,
            addresses=described.addresses or (before.addresses if before else ()),
            identities=(*described.identities, *others),
            time_zone=zone,
            status="leave" if on_leave else described.status,
            consent=before.consent if before and "consent" in described.unsaid else described.consent,
            employment=_employment(None if on_leave else change, registered.employment if registered else ()),
            recordedtime=statement.recordedtime,
        )
    except ValidationError as invalid:
        return Rejected("invalid", explain(invalid))


def stays_on_leave(
    stated: Employed | PersonDescription, registered: Participant | None, at: datetime, feed: str
) -> bool:
    """Whether a feed that does not report leaves states active, while another feed's leave is not over."""
    if registered is None or registered.status != "leave":
        return False
    if stated.status != "active" or "leave" not in stated.unsaid:
        return False
    latest = registered.employment[-1] if registered.employment else None
    if latest is None or latest.status != "leave":
        return True
    # The feed that reported the leave does report leaves, even if this statement has no field for them.
    reporter = ConnectionScope(registered.tenant, latest.program, latest.tool, latest.connection)
    is_over = latest.back_on is not None and at.astimezone(ZoneInfo(registered.time_zone)).date() >= latest.back_on
    return reporter.source != feed and not is_over


def is_same(one: Participant, other: Participant | None) -> bool:
    """Whether both are equal but for their time of recording and the order of identities."""
    return other is not None and _content(one) == _content(other)


def _content(one: Participant) -> dict[str, object]:
    in_order = sorted((identity.tool, identity.id) for identity in one.identities)
    return one.model_dump(exclude={"recordedtime"}) | {"identities": in_order}


def repeated_change(change: EmploymentChange, before: tuple[EmploymentChange, ...]) -> EmploymentChange | None:
    """The recorded change of the current status that the statement repeats. A feed repeats its statements every night,
    and another feed may state the same."""
    since = [*takewhile(lambda one: one.status == change.status, reversed(before))]
    if change.status == "active":
        return since[0] if since else None
    # A change that one programme's feed has reported is not known of the person's pairs in another programme.
    since = [one for one in since if one.program in {None, change.program}]
    # A feed's statement on an absence counts until its next one. A statement without a day is about any absence.
    same = [one for one in since if one.left_on == change.left_on or None in (one.left_on, change.left_on)]
    feed = change.tool, change.connection
    latest = next((one for one in same if (one.tool, one.connection) == feed), same[0] if same else None)
    return latest if latest and (latest.left_on, latest.back_on) == (change.left_on, change.back_on) else None


def _employment(change: EmploymentChange | None, before: tuple[EmploymentChange, ...]) -> tuple[EmploymentChange, ...]:
    """Appends a change, unless it repeats one. Neither is "active" a change of somebody who was never away."""
    if change is None or (not before and change.status == "active"):
        return before
    if any(one.model_copy(update={"repeated_at": None}) == change for one in before):
        return before
    repeated = repeated_change(change, before)
    if repeated is None:
        return (*before, change)[-MAX_CHANGES:]
    if not _says_more(change, repeated):
        return before
    again = repeated.model_copy(update={"repeated_at": change.told})
    return tuple(again if one is repeated else one for one in before)


def _says_more(change: EmploymentChange, repeated: EmploymentChange) -> bool:
    """Whether the repetition of an exit says more than the exit: that the person is still gone, or that the announced
    day has come."""
    last, day = repeated.last_stated, repeated.left_on
    is_to_come = day is not None and last.astimezone(ZoneInfo(repeated.time_zone)).date() < day
    return change.status == "exited" and change.told > last and (day is None or is_to_come)
