"""Unexpected errors: the fields that may be logged of one (never its message, which often quotes the input), and the
number in a row that indicates a bad deploy rather than poison records. A bad deploy must stop the service; poison
records go to the dead letters."""

import threading
from pathlib import Path
from traceback import extract_tb

_ROOT = Path(__file__).parents[2]


def error_fields(failure: BaseException) -> dict[str, str]:
    """Return fields for a log line."""
    frames, raised_at = list(extract_tb(failure.__traceback__)), ""
    # The innermost frame of our own code: a library's frame says less about the operation.
    for frame in [one for one in frames if _ROOT in Path(one.filename).parents][-1:] or frames[-1:]:
        file = Path(frame.filename)
        raised_at = f"{file.relative_to(_ROOT) if _ROOT in file.parents else file.name}:{frame.lineno}"
    return {"error": type(failure).__name__, "raised_at": raised_at}


class BadDeployError(Exception):
    """So many records in a row failed that the fault is more likely in the service than in the records."""


class Breaker:
    """Counts consecutive refusals; `passed` resets the count. Safe for any thread."""

    def __init__(self, limit: int = 100, whole: "Breaker | None" = None) -> None:
        self._limit, self._whole = limit, whole
        self._lock = threading.Lock()
        self.in_a_row = 0

    def of_batch(self) -> "Breaker":
        """Return the count of one batch, which counts here as well. What passes of a batch that is handled at the same
        time resets the count here, but not that of the batch."""
        return Breaker(self._limit, self)

    def passed(self) -> None:
        self.in_a_row = 0
        if self._whole is not None:
            self._whole.passed()

    def refused(self, reason: str) -> None:
        """Raises BadDeployError at the limit. The current batch is not committed then, so no record is lost."""
        with self._lock:
            self.in_a_row += 1
            found = self.in_a_row
        if found >= self._limit:
            raise BadDeployError(f"{found} records in a row were refused, the last because of: {reason}")
        if self._whole is not None:
            self._whole.refused(reason)
