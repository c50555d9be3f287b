"""One readiness out of several parts: the process is ready when every part is."""

from services.runtime.health import Condition, Health, State

# The first of these that any part is in is the state of the whole.
WORST_FIRST: tuple[State, ...] = ("stopping", "degraded", "starting", "ready")


class Readiness:
    """For any thread."""

    def __init__(self, whole: Health) -> None:
        self._whole = whole
        self._parts: dict[str, Condition] = {}

    def part(self, name: str) -> Health:
        """What tells the condition of this part; until it does, the part is starting."""
        health = _Part(name, self)
        health.tell("starting")
        return health

    def tell(self, name: str, condition: Condition) -> None:
        self._parts[name] = condition
        parts = dict(self._parts)
        states = {condition.state for condition in parts.values()}
        worst = next(state for state in WORST_FIRST if state in states)
        self._whole.tell(worst, "; ".join(f"{name}: {c.detail or c.state}" for name, c in parts.items()))


class _Part(Health):
    def __init__(self, name: str, readiness: Readiness) -> None:
        super().__init__()
        self._name, self._readiness = name, readiness

    def tell(self, state: State, detail: str = "") -> None:
        super().tell(state, detail)
        self._readiness.tell(self._name, self.condition)
