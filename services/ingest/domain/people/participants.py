"""A person of the directory as a sender hands them in, and as all statements together describe them."""

import json
from dataclasses import replace
from datetime import datetime
from itertools import takewhile
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from schemas.directory import MOST_CHANGES, DirectoryStatement, EmploymentChange, Participant, PersonDescription
from schemas.primitives import Id, to_rfc3339
from services.ingest.domain.activity import Employed
from services.ingest.domain.ids import origin
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Rejected, explain, rejected

# A fault of each of them takes time.
MOST_MEMBERS = 2_000

PARTICIPANT_ID: TypeAdapter[str] = TypeAdapter(Id)
_DESCRIBED = tuple(name for name in PersonDescription.model_fields if name not in {"unsaid", "change"})


def read_participant(raw: object, tenant: str, now: datetime) -> Participant | Rejected:
    """`tenant` may be left out and must be the sender's; `recordedtime` and `employment` are ours whatever it says."""
    if not isinstance(raw, dict):
        return rejected("malformed", "", "a participant is a JSON object")
    given = {name: value for name, value in raw.items() if value is not None and name != "employment"}
    if given.get("tenant", tenant) != tenant:
        return rejected("forbidden", "tenant", f"this sender speaks for {tenant!r} only")
    try:
        text = json.dumps({**given, "tenant": tenant, "recordedtime": to_rfc3339(now)})
        if text.count(",") > MOST_MEMBERS:
            return rejected("invalid", "", f"holds more than {MOST_MEMBERS:,} values: nobody has so many")
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


def completed(said: Employed, known: Participant | None) -> Employed:
    """With what is known of that of which the feed does not speak."""
    if known is None or not said.unsaid:
        return said
    return replace(said, **{name: getattr(known, name) for name in said.unsaid & {"time_zone", "consent"}})


def replacing(participant: Participant, feed: str) -> DirectoryStatement:
    """That this is all that is known of them. Thin, for there may be thousands in a request: what is a participant was
    validated as one, and is not again."""
    described = {name: getattr(participant, name) for name in _DESCRIBED}
    return DirectoryStatement.model_construct(
        id=participant.id,
        tenant=participant.tenant,
        feed=feed,
        kind="replaces",
        person=PersonDescription.model_construct(**described),
        recordedtime=participant.recordedtime,
    )


def merging(activity: Employed, scope: ConnectionScope) -> DirectoryStatement | Rejected:
    """What a feed says of somebody of whom others may know more."""
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


def merged(statement: DirectoryStatement, known: Participant | None) -> Participant | Rejected | None:
    """Who is in the directory after the statement, None where nobody is. Addresses are replaced, unless none are named;
    identities are replaced tool by tool: a feed that knows nothing of Slack leaves alone what another one named there.
    That somebody was away stays true whoever describes them anew.
    Rejected where a person would have more of either than the directory holds."""
    described = statement.person
    if described is None:
        return None
    before = known if statement.kind == "merges" else None
    named = {one.tool for one in described.identities}
    others = [one for one in before.identities if one.tool not in named] if before else []
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
            employment=_employment(None if on_leave else change, known.employment if known else ()),
            recordedtime=statement.recordedtime,
        )
    except ValidationError as invalid:
        return Rejected("invalid", explain(invalid))


def stays_on_leave(said: Employed | PersonDescription, known: Participant | None, at: datetime, feed: str) -> bool:
    """Whether somebody is active for a feed that knows nothing of leaves, and on one that is not over for another."""
    if known is None or known.status != "leave" or said.status != "active" or "leave" not in said.unsaid:
        return False
    latest = known.employment[-1] if known.employment else None
    if latest is None or latest.status != "leave":
        return True
    # Who told of the leave knows of leaves, though what it tells now has no word for them.
    told_by = ConnectionScope(known.tenant, latest.program, latest.tool, latest.connection)
    is_over = latest.back_on is not None and at.astimezone(ZoneInfo(known.time_zone)).date() >= latest.back_on
    return told_by.source != feed and not is_over


def is_same(one: Participant, other: Participant | None) -> bool:
    """Whether both say the same, whenever it was recorded and in whatever order identities are told."""
    return other is not None and _content(one) == _content(other)


def _content(one: Participant) -> dict[str, object]:
    in_order = sorted((identity.tool, identity.id) for identity in one.identities)
    return one.model_dump(exclude={"recordedtime"}) | {"identities": in_order}


def _employment(change: EmploymentChange | None, known: tuple[EmploymentChange, ...]) -> tuple[EmploymentChange, ...]:
    """A feed tells every night what it told before, and another one may know the day: what was told already since the
    status is this one is no change, nor is the work of somebody who never was away. A repeat changes nothing."""
    if change is None or change in known or (not known and change.status == "active"):
        return known
    since = [*takewhile(lambda one: one.status == change.status, reversed(known))]
    if change.status == "active" and since:
        return known
    # What a feed says of an absence counts until it says something else of it. Without a day it is of any.
    same = [one for one in since if one.left_on == change.left_on or None in (one.left_on, change.left_on)]
    feed = change.tool, change.connection
    latest = next((one for one in same if (one.tool, one.connection) == feed), same[0] if same else None)
    if latest is not None and (latest.left_on, latest.back_on) == (change.left_on, change.back_on):
        return known
    return (*known, change)[-MOST_CHANGES:]
