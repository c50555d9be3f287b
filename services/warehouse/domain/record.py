"""What becomes of one record of the log: a row of a table, nothing, or a refusal with its reason."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from schemas.known_names import known_path
from schemas.primitives import EPOCH, to_micros

# How DateTime64(6) columns say "none".
NEVER = to_micros(EPOCH)
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where in its topic a record stands, in this epoch of the log."""

    partition: int
    offset: int
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """Values in the order of its table's columns; `month` (yyyymm of event time) is its partition."""

    offset: int
    month: int
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Ignored:
    """Valid, and not for a table."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """`reason` and `path` come from the schema, never from the record, which may carry personal data."""

    reason: str
    path: str = ""


Outcome = Row | Ignored | Refused


def event_id(tenant: str, source: str, id_: str) -> int:
    """128 bits that stand for the idempotency key, as the number of a UUID."""
    return int.from_bytes(hashlib.blake2b(f"{tenant}\0{source}\0{id_}".encode(), digest_size=16).digest(), "big")


def refusal(invalid: ValidationError) -> Refused:
    """The first of the errors, without what the record said."""
    first = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
    return Refused(first["type"], known_path(first["loc"]))


def month(moment: datetime) -> int:
    return moment.year * 100 + moment.month


def micros(moment: datetime | None) -> int:
    return NEVER if moment is None else to_micros(moment)


def millionths(value: float) -> int:
    return round(value * MILLION)
