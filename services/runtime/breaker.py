"""Tells one poison record from a bad deploy: quarantine takes the first, the second must stop the service."""


class BadDeployError(Exception):
    """So many records in a row were refused that the fault is more likely ours than theirs."""


class Breaker:
    """Counts refusals in a row; a record that gets through resets the count."""

    def __init__(self, limit: int = 100) -> None:
        self._limit = limit
        self._refused = 0

    def passed(self) -> None:
        self._refused = 0

    def refused(self, reason: str) -> None:
        """Raises BadDeployError at the limit: nothing of the batch in hand is committed, so nothing is lost."""
        self._refused += 1
        if self._refused >= self._limit:
            raise BadDeployError(f"{self._refused} records in a row were refused, the last because of: {reason}")
