"""A person of the directory as a sender hands them in, and as all statements together describe them."""

import json
from dataclasses import replace
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from schemas.directory import DirectoryStatement, Participant, PersonDescription, ToolIdentity
from schemas.primitives import Id, to_rfc3339
from services.ingest.domain.activity import Employed
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Rejected, explain, rejected

# A fault of each of them takes time.
MOST_MEMBERS = 2_000

PARTICIPANT_ID: TypeAdapter[str] = TypeAdapter(Id)
_DESCRIBED = tuple(name for name in PersonDescription.model_fields if name != "unsaid")


def read_participant(raw: object, tenant: str, now: datetime) -> Participant | Rejected:
    """`tenant` may be left out and must be the sender's; `recordedtime` is ours whatever it says."""
    if not isinstance(raw, dict):
        return rejected("malformed", "", "a participant is a JSON object")
    given = {name: value for name, value in raw.items() if value is not None}
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


def merging(activity: Employed, connection_scope: ConnectionScope) -> DirectoryStatement | Rejected:
    """What a feed says of somebody of whom others may know more."""
    described = {
        "name": activity.name,
        "addresses": activity.addresses,
        "identities": [{"tool": tool, "id": value} for tool, value in dict.fromkeys(activity.identities)],
        "time_zone": activity.time_zone,
        "status": activity.status,
        "consent": activity.consent,
        "unsaid": sorted(activity.unsaid),
    }
    try:
        return DirectoryStatement(
            person=PersonDescription.model_validate_json(json.dumps(described)),
            id=activity.participant,
            tenant=connection_scope.tenant,
            feed=connection_scope.source,
            kind="merges",
            recordedtime=activity.time,
        )
    except ValidationError as invalid:
        return Rejected("invalid", explain(invalid))


def merged(statement: DirectoryStatement, known: Participant | None) -> Participant | Rejected | None:
    """Who is in the directory after the statement, None where nobody is. Addresses are replaced, unless none are named;
    identities are replaced tool by tool: a feed that knows nothing of Slack leaves alone what another one named there.
    Rejected where a person would have more of either than the directory holds."""
    described = statement.person
    if described is None:
        return None
    before = known if statement.kind == "merges" else None
    try:
        return Participant(
            id=statement.id,
            tenant=statement.tenant,
            name=described.name,
            addresses=described.addresses or (before.addresses if before else ()),
            identities=(*described.identities, *_of_other_tools(described, before)),
            time_zone=before.time_zone if before and "time_zone" in described.unsaid else described.time_zone,
            status=described.status,
            consent=before.consent if before and "consent" in described.unsaid else described.consent,
            recordedtime=statement.recordedtime,
        )
    except ValidationError as invalid:
        return Rejected("invalid", explain(invalid))


def is_same(one: Participant, other: Participant | None) -> bool:
    """Whether both say the same, whenever it was recorded and in whatever order identities are told."""
    return other is not None and _content(one) == _content(other)


def _content(one: Participant) -> dict[str, object]:
    in_order = sorted((identity.tool, identity.id) for identity in one.identities)
    return one.model_dump(exclude={"recordedtime"}) | {"identities": in_order}


def _of_other_tools(described: PersonDescription, before: Participant | None) -> tuple[ToolIdentity, ...]:
    named = {one.tool for one in described.identities}
    return tuple(one for one in before.identities if one.tool not in named) if before else ()
