"""A fast parser for events in the form that Rapport itself writes (`schemas.events.to_json`): one regular expression
for the envelope, the type's schema for the data. It takes half of the time of the general schema, which handles
everything that does not match, and explains errors."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import get_args

from schemas import payloads as p
from schemas.events import OfRelationship, type_of

# Bound once: on this path attribute lookups take longer than anything but the parsing itself.
_READ_DATA: dict[str, Callable[[str], p.Payload]] = {
    type_of(model): model.model_fields["data"].annotation.__pydantic_validator__.validate_json
    for model in get_args(OfRelationship)
}
_READ_TIME = datetime.fromisoformat
# Each text is visible ASCII without `"` and `\`, so that the text between two quotes is the value itself. Each pattern
# accepts less than its type in `schemas.primitives` (tests/warehouse/test_event_parser.py). Newer versions of Python
# parse 24:00 as the next day, which the schema refuses.
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
"""The columns of an event: source, id, type, time, recordedtime, tenant, correlationid, data, subject and program. A
bare tuple, because there is one for every stored event."""


def parse_written(value: bytes) -> Envelope | None:
    try:
        found = _ENVELOPE.fullmatch(value.decode("ascii"))
        if found is None:
            return None
        source, id_, type_, time, recorded, tenant, correlation, data, subject, program = found.groups()
        # The data must be a JSON object by itself, so that no envelope attribute can be hidden in it.
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
