"""What a score looks at: the selected facts of one instant, boiled down to what scores and rows read."""

from dataclasses import dataclass

from services.scoring.domain.bounds import DAY
from services.scoring.domain.pauses import Pause, active_time, is_paused


@dataclass(frozen=True)
class Pace:
    """The disengagement model's view of past contacts: `median` days and `shape` of the log-logistic gap."""

    median: float
    shape: float
    contact_days: int


@dataclass(frozen=True)
class Selection:
    """The selected facts of a relationship, boiled down to what scores, rows and explanations read.
    Times in microseconds; everything stays the same until the next fact."""

    exists: bool
    ended: int | None
    started: int
    cadence: float
    last_contact: int | None
    last_held: int | None
    held: int
    outcomes: tuple[int, ...]
    reliability: float
    messages: tuple[int, int]
    pauses: tuple[Pause, ...]
    bookings: tuple[int, ...]
    pace: Pace
    sources: tuple[str, ...]

    def is_open(self, at: int) -> bool:
        """Whether rows may exist after this instant."""
        return self.exists and (self.ended is None or self.ended > at)

    def is_paused(self, at: int) -> bool:
        return is_paused(self.pauses, at)

    def active_days(self, begin: int, end: int) -> float:
        return active_time(self.pauses, begin, end) / DAY
