"""Delays wrong passwords: each further failure of a name or an address waits longer, in bounded memory.

Logins that were verified before bypass this (authentication.py), so guesses by others do not delay an active user.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

FIRST_SECONDS, LONGEST_SECONDS = 0.1, 8.0
FREE_FAILURES_OF_AN_ADDRESS = 10  # many users may share one address, on loopback all of them
EXPIRES_AFTER_SECONDS = 900.0
MAX_REMEMBERED = 4096  # names and addresses; the least recent are dropped first


@dataclass
class _Failures:
    count: int = 0
    last: float = 0.0
    free_at: float = 0.0


class LoginDelays:
    """Times are seconds of a monotonic clock, passed in by the caller."""

    def __init__(self) -> None:
        self._failures: OrderedDict[bytes, _Failures] = OrderedDict()

    def wait_before(self, address: str, name: str, now: float) -> float:
        """Return the seconds until a password for this name from this address may be tried: not before the answer to
        the last failure is sent. Unknown names wait like known ones."""
        failures = self._failures.get(_key(address, name))
        return 0.0 if failures is None else max(0.0, failures.free_at - now)

    def failed(self, address: str, name: str, now: float) -> float:
        """Record a failure; return the seconds for which its answer is delayed."""
        of_name = self._record(_key(address, name), now)
        of_address = self._record(_key(address, None), now)
        delay = max(_seconds(of_name.count), _seconds(of_address.count - FREE_FAILURES_OF_AN_ADDRESS))
        of_name.free_at = now + delay  # bounded: guesses must not lock the rightful user out
        return delay

    def succeeded(self, address: str, name: str) -> None:
        self._failures.pop(_key(address, name), None)

    def __len__(self) -> int:
        return len(self._failures)

    def _record(self, key: bytes, now: float) -> _Failures:
        failures = self._failures.pop(key, None)
        if failures is None or now - failures.last > EXPIRES_AFTER_SECONDS:
            failures = _Failures()
        self._failures[key] = failures
        if len(self._failures) > MAX_REMEMBERED:
            self._failures.popitem(last=False)
        failures.count, failures.last = failures.count + 1, now
        return failures


def _seconds(failures: int) -> float:
    if failures <= 0:
        return 0.0
    return min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 16))


def _key(address: str, name: str | None) -> bytes:
    """A digest of fixed length, however long the name is."""
    text = address if name is None else f"{address}\0{name}"
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
