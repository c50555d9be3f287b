"""A person of the directory as a sender hands them in, completed and judged."""

import json
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from schemas.directory import Participant
from schemas.primitives import Id, to_rfc3339
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.domain.wording import explain

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
