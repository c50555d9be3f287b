"""So many transitions of one programme in a short time that nobody can read them one by one."""

from collections import OrderedDict, defaultdict

from schemas.primitives import Id, Instant
from services.notify.domain.held import STORM_SPAN

LEAST_OF_STORM, SHARE_OF_STORM = 5, 0.10
"""Five at once are no storm in the smallest programme; a tenth of its pairs is one in the largest."""


class Storms:
    """Counts what went to people or machines of late: what it knows follows from the deliveries."""

    def __init__(self) -> None:
        # By id, in the order of their instants.
        self._recent: dict[tuple[Id, Id], OrderedDict[str, Instant]] = defaultdict(OrderedDict)

    def add(self, tenant: Id, program: Id, transition: str, at: Instant) -> None:
        """A transition, by its id: each counts once."""
        self._since(tenant, program, at).setdefault(transition, at)

    def found(self, tenant: Id, program: Id, now: Instant, active: int) -> str | None:
        """Why the next transition belongs to a storm, if so. `active`: relationships of the programme."""
        count = len(self._since(tenant, program, now)) + 1
        if count <= LEAST_OF_STORM or count <= SHARE_OF_STORM * active:
            return None
        return f"a storm: {count} transitions of {active} active pairs within {STORM_SPAN.seconds // 60} min"

    def _since(self, tenant: Id, program: Id, now: Instant) -> OrderedDict[str, Instant]:
        recent = self._recent[tenant, program]
        while recent and recent[first := next(iter(recent))] <= now - STORM_SPAN:
            del recent[first]
        return recent
