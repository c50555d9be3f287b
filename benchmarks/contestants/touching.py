"""The keyed state update that every contestant with a state does: how many events, and the newest one's time and
type."""

from collections.abc import Mapping
from typing import Any


def touched(known: Mapping[str, Any] | None, event: Mapping[str, Any]) -> dict[str, Any]:
    return {"count": (known["count"] if known else 0) + 1, "time": event["time"], "type": event["type"]}
