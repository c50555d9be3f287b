"""The outcome of a record: rows of tables, nothing, or a refusal with its reason."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from pydantic import ValidationError

from schemas.field_names import safe_path
from schemas.primitives import EPOCH, to_micros

# The value of "none" in DateTime64(6) columns.
NEVER = to_micros(EPOCH)
# Record timestamps are set by the writer and may be any number: implausible ones are clamped to the beginning.
LAST_MS = 7_258_118_400_000
MILLION = 1_000_000


# There is one per record, and a tuple is created in a third of the time of a frozen dataclass.
class RecordMetadata(NamedTuple):
    """Where a record is: its partition and offset in this epoch of the log, with its key, headers and timestamp.
    `appended_ms`: the record's timestamp, milliseconds since 1970."""

    partition: int
    offset: int
    epoch: int = 0
    appended_ms: int = 0
    key: bytes = b""
    headers: Sequence[tuple[str, bytes]] = ()


class StoredRow(NamedTuple):
    """Values in the order of the table's columns. `month` (yyyymm of event time) is the table's partition, 0 for tables
    without partitions."""

    table: str
    offset: int
    month: int
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class NotStored:
    """The record is valid and belongs to no table."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """`reason` and `path` come from the schema, never from the record, which may contain personal data."""

    reason: str
    path: str = ""


Outcome = tuple[StoredRow, ...] | NotStored | Refused


def event_id(tenant: str, source: str, id_: str) -> int:
    """Return a 128-bit hash of the idempotency key, as the integer of a UUID."""
    hashed = _hash_prefix(tenant, source).copy()
    hashed.update(id_.encode())
    return int.from_bytes(hashed.digest(), "big")


def refusal(invalid: ValidationError) -> Refused:
    """Return the first error without its input."""
    first = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
    return Refused(first["type"], safe_path(first["loc"]))


def month(moment: datetime) -> int:
    return moment.year * 100 + moment.month


def micros(moment: datetime | None) -> int:
    return NEVER if moment is None else to_micros(moment)


def millionths(value: float) -> int:
    return round(value * MILLION)


def appended_micros(metadata: RecordMetadata) -> int:
    """Return the record's timestamp in microseconds."""
    return metadata.appended_ms * 1000 if 0 <= metadata.appended_ms < LAST_MS else NEVER


@lru_cache(1000)
def _hash_prefix(tenant: str, source: str) -> hashlib.blake2b:
    """The shared hash prefix of a feed's ids: copying it is faster than hashing it again."""
    return hashlib.blake2b(f"{tenant}\0{source}\0".encode(), digest_size=16)
