"""What becomes of one record of the log: rows of tables, nothing, or a refusal with its reason."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from pydantic import ValidationError

from schemas.field_names import safe_path
from schemas.primitives import EPOCH, to_micros

# How DateTime64(6) columns say "none".
NEVER = to_micros(EPOCH)
# Whoever writes a record may put any number there: what is no time of ours counts as the beginning.
LAST_MS = 7_258_118_400_000
MILLION = 1_000_000


# Of every record there is one, and a tuple is made in a third of the time of a frozen dataclass.
class Place(NamedTuple):
    """Where in its topic a record stands, in this epoch of the log, and what its record says beside the value.
    `appended_ms`: the time of the record, milliseconds since 1970."""

    partition: int
    offset: int
    epoch: int = 0
    appended_ms: int = 0
    key: bytes = b""
    headers: Sequence[tuple[str, bytes]] = ()


class StoredRow(NamedTuple):
    """Values in the order of its table's columns; `month` (yyyymm of event time) is its partition, 0 in a table
    without partitions."""

    table: str
    offset: int
    month: int
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class NotStored:
    """Valid, and not for a table."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """`reason` and `path` come from the schema, never from the record, which may carry personal data."""

    reason: str
    path: str = ""


Outcome = tuple[StoredRow, ...] | NotStored | Refused


def event_id(tenant: str, source: str, id_: str) -> int:
    """128 bits that stand for the idempotency key, as the number of a UUID."""
    hashed = _hashed(tenant, source).copy()
    hashed.update(id_.encode())
    return int.from_bytes(hashed.digest(), "big")


def refusal(invalid: ValidationError) -> Refused:
    """The first of the errors, without what the record said."""
    first = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
    return Refused(first["type"], safe_path(first["loc"]))


def month(moment: datetime) -> int:
    return moment.year * 100 + moment.month


def micros(moment: datetime | None) -> int:
    return NEVER if moment is None else to_micros(moment)


def millionths(value: float) -> int:
    return round(value * MILLION)


def appended(place: Place) -> int:
    """When the record was put on the log, in microseconds."""
    return place.appended_ms * 1000 if 0 <= place.appended_ms < LAST_MS else NEVER


@lru_cache(1000)
def _hashed(tenant: str, source: str) -> hashlib.blake2b:
    """What the ids of one feed have in common; a copy takes less time than to begin anew."""
    return hashlib.blake2b(f"{tenant}\0{source}\0".encode(), digest_size=16)
