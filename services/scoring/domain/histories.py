"""The histories that were worked with last: indexed facts take many times the room of packed ones."""

from collections import OrderedDict
from collections.abc import Callable

from services.scoring.domain.history import ScoreHistory


class Histories:
    """At most `most` facts, beside what may not be dropped yet."""

    def __init__(self, most: int) -> None:
        self.facts = 0
        self._most = most
        self._latest: OrderedDict[str, ScoreHistory] = OrderedDict()
        self._sizes: dict[str, int] = {}

    def get(self, name: str) -> ScoreHistory | None:
        found = self._latest.get(name)
        if found is not None:
            self._latest.move_to_end(name)
        return found

    def peek(self, name: str) -> ScoreHistory | None:
        """The same by somebody who does not work with it."""
        return self._latest.get(name)

    def put(self, name: str, history: ScoreHistory) -> None:
        """Also one that is there and has grown."""
        self._latest[name] = history
        self._latest.move_to_end(name)
        size = len(history.facts)
        self.facts += size - self._sizes.get(name, 0)
        self._sizes[name] = size

    def drop(self, name: str) -> None:
        if self._latest.pop(name, None) is not None:
            self.facts -= self._sizes.pop(name)

    def shrink(self, is_stored: Callable[[str], bool]) -> None:
        """Drops those that nobody has worked with for longest, as far as their facts lie elsewhere too."""
        for _ in range(len(self._latest)):
            if self.facts <= self._most:
                return
            name = next(iter(self._latest))
            if is_stored(name):
                self.drop(name)
            else:
                self._latest.move_to_end(name)
