"""Events as Rapport itself writes them (`schemas.events.to_json`), read in half of the time that the schema of all that
may be written takes: one expression for the envelope, the schema of its type for the data. Whatever does not look like
that, and whatever is wrong, is left to the schema, which says why."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import get_args

from schemas import payloads as p
from schemas.events import OfRelationship, type_of

# Bound once: on this path looking them up takes longer than anything but the reading itself.
_READ_DATA: dict[str, Callable[[str], p.Payload]] = {
    type_of(model): model.model_fields["data"].annotation.__pydantic_validator__.validate_json
    for model in get_args(OfRelationship)
}
_READ_TIME = datetime.fromisoformat
# Every text is of visible ASCII without `"` and `\`: what stands between two quotes is then what it says. Each admits
# less than its type in `schemas.primitives` (tests/warehouse/test_written.py). Newer versions of Python read 24:00
# as the next day, which the schema refuses.
ID = r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,127}"
EVENT_ID = r"[ !#-\[\]-~]{1,256}"
SOURCE = r"[!#-\[\]-~]{1,512}"
TIME = r"(?:19(?:7[1-9]|[89]\d)|2[01]\d\d)-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d\.\d{6}Z"
NOTE = r"[ !#-\[\]-~]{0,128}"
_ENVELOPE = re.compile(
    rf'{{"specversion":"1\.0","source":"({SOURCE})","id":"({EVENT_ID})","type":"(mentoring\.[a-z_]+\.[a-z_]+\.v1)",'
    rf'"time":"({TIME})","recordedtime":"({TIME})","tenant":"(?P<tenant>{ID})",'
    rf'(?:"correlationid":"({EVENT_ID})",)?(?:"causationid":"{EVENT_ID}",)?"datacontenttype":"application/json",'
    rf'(?:"dataschema":"{NOTE}",)?(?:"traceparent":"{NOTE}",)?(?:"tracestate":"{NOTE}",)?"data":({{.*}}),'
    rf'"subject":"(?P<subject>{ID})","program":"({ID})","partitionkey":"(?P=tenant)/(?P=subject)"}}',
    re.ASCII,
)


Envelope = tuple[str, str, str, datetime, datetime, str, str | None, p.Payload, str, str]
"""What the table takes of an event: source, id, type, time, recordedtime, tenant, correlationid, data, subject and
program. Bare, because of every event that is stored there is one."""


def as_written(value: bytes) -> Envelope | None:
    try:
        found = _ENVELOPE.fullmatch(value.decode("ascii"))
        if found is None:
            return None
        source, id_, type_, time, recorded, tenant, correlation, data, subject, program = found.groups()
        # What is no JSON object by itself is refused here, so that nothing of the envelope can lie within it.
        payload = _READ_DATA[type_](data)
        return (
            source,
            id_,
            type_,
            _READ_TIME(time),
            _READ_TIME(recorded),
            tenant,
            correlation,
            payload,
            subject,
            program,
        )
    except (ValueError, KeyError):
        return None
