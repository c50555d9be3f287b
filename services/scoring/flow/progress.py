"""Which partitions get nothing although there are records ahead: their position was lost, or nothing moves at all."""

from dataclasses import dataclass, replace

STALLED_SECONDS = 60
"""There are records ahead and nothing at all is applied for this long: a restart is better than a silent stop."""
IDLE_SECONDS = 10
"""There are records ahead and nothing at all is applied for this long: Faust's own position may have run ahead."""
OVERTAKEN_RUNS = 20
"""Per partition: in so many runs every one has had its turn, a fetch of 5,000 records of one of them included."""
MOST_SEARCHES = 6
"""So often a position is sought again before the process is."""


class NotAliveError(Exception):
    """The process must end before it writes anything more; the supervisor starts it again."""


@dataclass(frozen=True)
class _Stand:
    """Since when a partition stands at an offset; when and at which run its position was sought last."""

    offset: int
    since: float
    sought: float
    runs: int
    searches: int = 0


class Progress:
    """Of the partitions that are ours. Times are seconds on one clock."""

    def __init__(self) -> None:
        self._stands: dict[int, _Stand] = {}
        self._worked = 0.0
        self._runs = 0

    def forget_all(self) -> None:
        self._stands.clear()

    def worked(self, now: float) -> None:
        """A step of a run was done."""
        self._worked = now

    def ran(self) -> None:
        self._runs += 1

    def has_lost_its_position(self, number: int, offset: int, end: int, now: float) -> bool:
        """Asked about once a second, with the last offset applied and the end of the log. True: seek again behind
        `offset`. While others are worked on, a partition waits for its turn. Raises NotAliveError."""
        stand = self._stands.get(number)
        if stand is None or stand.offset != offset or offset + 1 >= end:
            self._stands[number] = _Stand(offset, since=now, sought=now, runs=self._runs)
            return False
        idle = now - max(stand.since, self._worked)
        if idle > STALLED_SECONDS or stand.searches > MOST_SEARCHES:
            raise NotAliveError(
                f"partition {number} stands at {offset} for {now - stand.since:.0f} s, its end is {end}"
            )
        overtaken = self._runs - stand.runs > OVERTAKEN_RUNS * len(self._stands)
        if now - max(stand.sought, self._worked) <= IDLE_SECONDS and not overtaken:
            return False
        self._stands[number] = replace(stand, sought=now, runs=self._runs, searches=stand.searches + 1)
        return True
