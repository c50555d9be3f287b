"""How much one sender may hand in: a token bucket."""

from collections import OrderedDict
from dataclasses import dataclass
from math import ceil, inf

# How long a sender may have saved up: enough for a batch after some quiet.
BURST_SECONDS = 10
# An event has some 300 bytes; what is larger counts as several, so that nobody pays less by sending fewer large ones.
BYTES_PER_ITEM = 1024
# Senders that are remembered, the last used of them: whoever was quiet for BURST_SECONDS has a full bucket anyway.
MOST_BUCKETS = 10_000


@dataclass
class Bucket:
    """`left` may fall below zero: whoever has anything left may hand in a batch of any size and waits longer after it,
    so that no batch is too large for ever. Times are in seconds of any clock that only goes forward."""

    per_second: int
    left: float
    at: float

    @classmethod
    def full(cls, per_second: int, now: float) -> "Bucket":
        return cls(per_second, float(per_second * BURST_SECONDS), now)

    def take(self, amount: int, now: float) -> int:
        """0 if it was taken; else nothing was, and these whole seconds have to pass."""
        most = float(self.per_second * BURST_SECONDS)
        self.left = min(most, self.left + (now - self.at) * self.per_second)
        self.at = now
        if self.left <= 0:
            return ceil((1 - self.left) / self.per_second)
        self.left -= amount
        return 0


class RateLimiter:
    """One bucket for each who sends; `per_second` holds for each of them alike."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, sender: str, amount: int, now: float) -> int:
        """As `Bucket.take`. `sender` has proven who it is: strangers get no bucket."""
        return self._bucket(sender, now).take(amount, now)

    def charge(self, sender: str, amount: int, now: float, most_owed: float = inf) -> None:
        """For what was let in before it was known how much it is."""
        bucket = self._bucket(sender, now)
        bucket.left = max(bucket.left - amount, -most_owed)

    def _bucket(self, sender: str, now: float) -> Bucket:
        bucket = self._buckets.setdefault(sender, Bucket.full(self._per_second, now))
        self._buckets.move_to_end(sender)
        while len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return bucket


def items_of(size: int) -> int:
    """What so many bytes count as, at the least."""
    return max(1, ceil(size / BYTES_PER_ITEM))
