"""The programmes on the log, as of now."""

from typing import NamedTuple

from pydantic import ValidationError

from schemas.programs import Programme
from schemas.topics import PROGRAMS
from services.ingest.domain.wording import explain
from services.runtime.kafka import read_to_end
from services.runtime.settings import Settings


class Held(NamedTuple):
    """By key. Where the last record cannot be read, the last one that can is in force; `unreadable` says why."""

    programmes: dict[str, Programme]
    unreadable: dict[str, str]


def held(settings: Settings) -> Held:
    """Raises KafkaError."""
    found = Held({}, {})
    for record in read_to_end(settings, [PROGRAMS.name]):
        key = (record.key or b"").decode(errors="replace")
        found.unreadable.pop(key, None)
        if record.value is None:
            found.programmes.pop(key, None)
            continue
        try:
            found.programmes[key] = Programme.model_validate_json(record.value)
        except ValidationError as invalid:
            first = explain(invalid)[0]
            found.unreadable[key] = f"offset {record.offset}: {first.path}: {first.reason}"
    return found
