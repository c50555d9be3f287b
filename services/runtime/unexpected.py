"""Errors that nobody expected: what may be said of one, never its message, which often quotes what was sent; and how
many in a row are rather a bad deploy, which must stop the service, than poison records, which quarantine takes."""

from pathlib import Path
from traceback import extract_tb

_ROOT = Path(__file__).parents[2]


def described(failure: BaseException) -> dict[str, str]:
    """Fields for a line of the log."""
    frames, place = list(extract_tb(failure.__traceback__)), ""
    # The innermost line of our own: a library's says less of what was going on.
    for frame in [one for one in frames if _ROOT in Path(one.filename).parents][-1:] or frames[-1:]:
        file = Path(frame.filename)
        place = f"{file.relative_to(_ROOT) if _ROOT in file.parents else file.name}:{frame.lineno}"
    return {"error": type(failure).__name__, "raised_at": place}


class BadDeployError(Exception):
    """So many records in a row were refused that the fault is more likely ours than theirs."""


class Breaker:
    """Counts refusals in a row; a record that gets through resets the count, as `passed` does."""

    def __init__(self, limit: int = 100) -> None:
        self._limit = limit
        self.in_a_row = 0

    def passed(self) -> None:
        self.in_a_row = 0

    def refused(self, reason: str) -> None:
        """Raises BadDeployError at the limit: nothing of the batch in hand is committed, so nothing is lost."""
        self.in_a_row += 1
        if self.in_a_row >= self._limit:
            raise BadDeployError(f"{self.in_a_row} records in a row were refused, the last because of: {reason}")
