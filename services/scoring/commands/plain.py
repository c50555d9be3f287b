"""Results as JSON documents."""

import math
from dataclasses import fields, is_dataclass
from datetime import datetime

from pydantic import BaseModel

from schemas.primitives import from_micros, to_rfc3339
from services.scoring.domain.backtesting.pairs import Span

Plain = dict[str, "Plain"] | list["Plain"] | str | float | int | bool | None


def plain(value: object) -> Plain:
    """Dataclasses by their fields, what could not be computed as null."""
    match value:
        case Span(begin, end):
            return {"begin": plain(from_micros(begin)), "end": plain(from_micros(end))}
        case datetime():
            return to_rfc3339(value)
        case BaseModel():
            return plain(value.model_dump(mode="json"))
        case dict():
            return {str(name): plain(item) for name, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case float() if math.isnan(value):
            return None
        case str() | int() | float() | None:
            return value
        case _ if is_dataclass(value):
            return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        case _:
            raise TypeError(f"there is no JSON for {type(value).__name__}")
