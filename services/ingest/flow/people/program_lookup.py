"""To which programme a relationship belongs: as the log tells it, and before that as this process has admitted it."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from services.ingest.domain.admission import started_elsewhere
from services.ingest.domain.scope import ProgramOf, Scope
from services.ingest.domain.verdict import Rejected, Verdict
from services.ingest.flow.in_flight import UnavailableError

# Beyond the longest delivery timeout of the producer: what is not on the log by then never comes onto it.
FORGOTTEN_SECONDS = 900.0
MOST_CLAIMS = 100_000
LOOKED_THROUGH_SECONDS = 1.0

Heard = Callable[[str, str], bool]
"""Of a tenant's relationship: whether the log has told of a start, whatever became of it."""


class _Claim(NamedTuple):
    program: str
    until: float


class ProgramLookup:
    """For any thread. The log is heard of a moment after it was written: until then a start that this process has
    admitted counts as told, so that two programmes cannot both start one relationship here."""

    def __init__(self, told: ProgramOf, heard: Heard, is_asked: Callable[[], bool]) -> None:
        """`is_asked`: whether anybody here is limited to programmes. Until then nothing reads the log to tell what may
        be forgotten, and the oldest make room: what is under way when the first such token comes is remembered."""
        self._told, self._heard, self._is_asked = told, heard, is_asked
        self._claims: OrderedDict[tuple[str, str], _Claim] = OrderedDict()
        self._lock = threading.Lock()
        self._looked_through_at = 0.0

    def program_of(self, tenant: str, relationship: str) -> str | None:
        """Raises UnavailableError while the log is not read yet."""
        told = self._told(tenant, relationship)
        if told is not None:
            return told
        with self._lock:
            claim = self._claim(tenant, relationship)
        return claim.program if claim else None

    def claimed(self, verdict: Verdict, scope: Scope) -> Verdict:
        """An admitted start takes its relationship for its programme, unless another one just did. Raises
        UnavailableError when more starts are under way than are remembered."""
        if isinstance(verdict, Rejected) or verdict.event.type != "mentoring.relationship.started.v1":
            return verdict
        key, program = (verdict.event.tenant, verdict.event.subject), verdict.event.program
        with self._lock:
            claim = self._claim(*key)
            # Asked again, because the log may have told of another start since the event was judged.
            if scope.programs:
                belongs = claim.program if claim else self._told(*key)
                if belongs is not None and belongs not in scope.programs:
                    return started_elsewhere()
            if claim is None and not self._heard(*key):
                self._make_room()
                self._claims[key] = _Claim(program, time.monotonic() + FORGOTTEN_SECONDS)
        return verdict

    def _claim(self, tenant: str, relationship: str) -> _Claim | None:
        """None as well where the log has told of it since: then the log alone decides, a retraction included."""
        key = tenant, relationship
        found = self._claims.get(key)
        if found is not None and (self._heard(*key) or found.until < time.monotonic()):
            del self._claims[key]
            return None
        return found

    def _make_room(self) -> None:
        if len(self._claims) < MOST_CLAIMS:
            return
        if not self._is_asked():
            self._claims.popitem(last=False)
            return
        # Not for each start: it takes as long as a hundred requests.
        if time.monotonic() - self._looked_through_at >= LOOKED_THROUGH_SECONDS:
            self._looked_through_at = time.monotonic()
            for key in list(self._claims):
                self._claim(*key)
        if len(self._claims) >= MOST_CLAIMS:
            raise UnavailableError("more relationships were started than are read back from the log")
