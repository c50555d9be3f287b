"""Requests at once: a reader's take at most three quarters of all places, so that a writer always finds one."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.local.clickhouse.errors import too_many
from deploy.local.clickhouse.users import Role


class Slots:
    def __init__(self, most: int) -> None:
        """`most` as a server's max_concurrent_queries."""
        self._most = {Role.WRITER: most, Role.READER: max(1, most * 3 // 4)}
        self._taken: Counter[Role] = Counter()

    @contextmanager
    def one_of(self, role: Role) -> Iterator[None]:
        """Raises `EngineError` TOO_MANY_SIMULTANEOUS_QUERIES."""
        taken = self._taken[Role.READER] if role is Role.READER else self._taken.total()
        if taken >= self._most[role] or self._taken.total() >= self._most[Role.WRITER]:
            raise too_many("simultaneous queries", self._most[role])
        self._taken[role] += 1
        try:
            yield
        finally:
            self._taken[role] -= 1
