"""The programme of each relationship: as projected from the log or, before that, as this process has admitted it."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from services.ingest.domain.admission import reject_started_elsewhere
from services.ingest.domain.scope import ProgramOf, Scope
from services.ingest.domain.verdict import Admitted, Verdict
from services.ingest.flow.in_flight import UnavailableError

# Longer than the longest delivery timeout of the producer: an event that is not on the log by then never gets there.
CLAIM_SECONDS = 900.0
MAX_CLAIMS = 100_000
SCAN_SECONDS = 1.0

WasStarted = Callable[[str, str], bool]
"""Whether a start of a tenant's relationship was projected, whatever became of it."""


class _Claim(NamedTuple):
    program: str
    until: float


class ProgramLookup:
    """For any thread. The projection follows the log by a moment. Until then, a start that this process has admitted
    claims its relationship, so that two programmes cannot both start it here."""

    def __init__(self, projected: ProgramOf, was_started: WasStarted, is_followed: Callable[[], bool]) -> None:
        """`is_followed`: whether any sender here is limited to programmes. Until then the log is not followed, which
        would tell when a claim may be dropped, and the oldest claims are evicted. So the starts in flight when the
        first such token appears are claimed."""
        self._projected, self._was_started, self._is_followed = projected, was_started, is_followed
        self._claims: OrderedDict[tuple[str, str], _Claim] = OrderedDict()
        self._lock = threading.Lock()
        self._scanned_at = 0.0

    def program_of(self, tenant: str, relationship: str) -> str | None:
        """Raises UnavailableError while the projection is behind the log."""
        projected = self._projected(tenant, relationship)
        if projected is not None:
            return projected
        with self._lock:
            claim = self._claim_of(tenant, relationship)
        return claim.program if claim else None

    def claim(self, started: Admitted, scope: Scope) -> Verdict:
        """An admitted start claims its relationship for its programme, unless another one just did. Raises
        UnavailableError when more starts are in flight than can be remembered."""
        event = started.event
        if event.type != "mentoring.relationship.started.v1":
            return started
        key = event.tenant, event.subject
        with self._lock:
            claim = self._claim_of(*key)
            # Checked again, because another start may have been projected since the event was admitted.
            if scope.programs:
                owner = claim.program if claim else self._projected(*key)
                if owner is not None and owner not in scope.programs:
                    return reject_started_elsewhere()
            if claim is None and not self._was_started(*key):
                self._evict()
                self._claims[key] = _Claim(event.program, time.monotonic() + CLAIM_SECONDS)
        return started

    def _claim_of(self, tenant: str, relationship: str) -> _Claim | None:
        """None also if the start was projected since: then the log alone decides, including a retraction."""
        key = tenant, relationship
        found = self._claims.get(key)
        if found is not None and (self._was_started(*key) or found.until < time.monotonic()):
            del self._claims[key]
            return None
        return found

    def _evict(self) -> None:
        if len(self._claims) < MAX_CLAIMS:
            return
        if not self._is_followed():
            self._claims.popitem(last=False)
            return
        # Not for each start: a scan takes as long as a hundred requests.
        if time.monotonic() - self._scanned_at >= SCAN_SECONDS:
            self._scanned_at = time.monotonic()
            for key in list(self._claims):
                self._claim_of(*key)
        if len(self._claims) >= MAX_CLAIMS:
            raise UnavailableError("more relationships were started than are read back from the log")
