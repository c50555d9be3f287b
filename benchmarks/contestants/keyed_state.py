"""The keyed state update of every contestant with state: the number of events, and the newest one's time and type."""

from collections.abc import Mapping
from typing import Any


def updated_state(previous: Mapping[str, Any] | None, event: Mapping[str, Any]) -> dict[str, Any]:
    return {"count": (previous["count"] if previous else 0) + 1, "time": event["time"], "type": event["type"]}
