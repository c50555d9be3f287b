"""When an event counts as recorded, and which times lie in the future."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

# Clocks of tools run ahead by seconds to minutes; an effective date is data, not time.
TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True)
class Clock:
    """`now` is the wall's time, UTC. In mode log the system lives in the log's own time."""

    now: datetime
    mode: Literal["wall", "log"] = "wall"

    def recorded(self, time: datetime) -> datetime:
        return time if self.mode == "log" else self.now

    def is_ahead(self, time: datetime) -> bool:
        return time > self.now + TOLERANCE
