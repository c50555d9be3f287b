"""How often something was put off, and when it is due again: later each time, with jitter."""

import random
import time

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0


class Backoff:
    def __init__(self) -> None:
        self.tries = 0
        self._due = 0.0

    def ready(self) -> bool:
        return self._due <= time.monotonic()

    def put_off(self) -> None:
        longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**self.tries)
        self.tries += 1
        self._due = time.monotonic() + longest * (0.5 + random.random() / 2)  # noqa: S311 (jitter, no secret)
