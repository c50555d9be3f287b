"""Wrong passwords cost time: each further failure of a name or an address waits longer, in bounded memory.

A login that was proven before is not asked here at all (authentication.py), so nobody's guesses delay a user at work.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

FIRST_SECONDS, LONGEST_SECONDS = 0.1, 8.0
FREE_FAILURES_OF_AN_ADDRESS = 10  # many users may share one address, on loopback all of them
FORGOTTEN_AFTER_SECONDS = 900.0
MOST_REMEMBERED = 4096  # names and addresses; the longest unseen go first


@dataclass
class _Failures:
    count: int = 0
    last: float = 0.0
    free_at: float = 0.0


class LoginDelays:
    """Times are a monotonic clock's seconds, given by the caller."""

    def __init__(self) -> None:
        self._failures: OrderedDict[bytes, _Failures] = OrderedDict()

    def wait_before(self, address: str, name: str, now: float) -> float:
        """Seconds until a password of this name from this address may be tried: the answer to the last failure
        has to be out. Unknown names wait like known ones."""
        seen = self._failures.get(_key(address, name))
        return 0.0 if seen is None else max(0.0, seen.free_at - now)

    def failed(self, address: str, name: str, now: float) -> float:
        """Notes a failure; returns the seconds for which its answer is held back."""
        of_name = self._note(_key(address, name), now)
        of_address = self._note(_key(address, None), now)
        delay = max(_seconds(of_name.count), _seconds(of_address.count - FREE_FAILURES_OF_AN_ADDRESS))
        of_name.free_at = now + delay  # never further away: guesses must not lock the rightful user out
        return delay

    def succeeded(self, address: str, name: str) -> None:
        self._failures.pop(_key(address, name), None)

    def __len__(self) -> int:
        return len(self._failures)

    def _note(self, key: bytes, now: float) -> _Failures:
        seen = self._failures.pop(key, None)
        if seen is None or now - seen.last > FORGOTTEN_AFTER_SECONDS:
            seen = _Failures()
        self._failures[key] = seen
        if len(self._failures) > MOST_REMEMBERED:
            self._failures.popitem(last=False)
        seen.count, seen.last = seen.count + 1, now
        return seen


def _seconds(failures: int) -> float:
    if failures <= 0:
        return 0.0
    return min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 16))


def _key(address: str, name: str | None) -> bytes:
    """Of one length, however long the name is."""
    text = address if name is None else f"{address}\0{name}"
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
