"""The layout of `mentoring.alert-state`: the complete state of one relationship, or the clock of a partition."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from schemas.primitives import Instant
from services.notify.domain.evaluation import Watch

CLOCK_KEY = b"\x00clock"
"""No tenant/relationship begins with a zero byte."""


class _Layout(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WatchRecord(_Layout):
    kind: Literal["watch.1"] = "watch.1"
    watch: Watch


class ClockRecord(_Layout):
    kind: Literal["clock.1"] = "clock.1"
    clock: Instant


StateRecord = WatchRecord | ClockRecord

_STATE_RECORD: TypeAdapter[StateRecord] = TypeAdapter(Annotated[StateRecord, Field(discriminator="kind")])


def dump(record: StateRecord) -> bytes:
    return record.__pydantic_serializer__.to_json(record)


def load(value: bytes) -> StateRecord:
    """Raises pydantic.ValidationError for a layout that this version does not know."""
    return _STATE_RECORD.validate_json(value)
