"""A person of the directory as a sender hands them in, completed and judged."""

import json
from dataclasses import replace
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from schemas.directory import Participant
from schemas.primitives import Id, to_rfc3339
from services.ingest.domain.activity import Employed
from services.ingest.domain.verdict import Rejected, explain, rejected

# A fault of each of them takes time.
MOST_MEMBERS = 2_000

PARTICIPANT_ID: TypeAdapter[str] = TypeAdapter(Id)


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


def after(said: Employed, tenant: str, known: Participant | None) -> Participant | Rejected:
    """Name, status, time zone and consent are as told. Addresses are replaced, unless none are told; identities are
    replaced tool by tool: a feed that knows nothing of Slack leaves alone what another one told of it."""
    record = {
        "id": said.participant,
        "tenant": tenant,
        "name": said.name,
        "addresses": said.addresses or (known.addresses if known else ()),
        "identities": [*_told(said), *_kept(said, known)],
        "time_zone": said.time_zone,
        "status": said.status,
        "consent": said.consent,
        "recordedtime": to_rfc3339(said.time),
    }
    try:
        return Participant.model_validate_json(json.dumps(record))
    except ValidationError as invalid:
        return Rejected("invalid", explain(invalid))


def is_same(one: Participant, other: Participant | None) -> bool:
    """Whether both say the same, whenever it was recorded and in whatever order identities are told."""
    return other is not None and _content(one) == _content(other)


def _content(one: Participant) -> dict[str, object]:
    in_order = sorted((identity.tool, identity.id) for identity in one.identities)
    return one.model_dump(exclude={"recordedtime"}) | {"identities": in_order}


def _kept(said: Employed, known: Participant | None) -> list[dict[str, str]]:
    told = {tool for tool, _ in said.identities}
    return [one.model_dump() for one in (known.identities if known else ()) if one.tool not in told]


def _told(said: Employed) -> list[dict[str, str]]:
    return [{"tool": tool, "id": value} for tool, value in dict.fromkeys(said.identities)]
