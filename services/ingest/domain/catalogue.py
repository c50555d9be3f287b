"""Which types may be sent in: those of the catalogue, some by an administrator only, never those that we write."""

import re
from difflib import get_close_matches

from schemas.events import ADMIN_TYPES, EVENT_TYPES
from services.ingest.domain.clock import Clock
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Rejected, rejected

OURS = ("mentoring.score.", "mentoring.alert.", "mentoring.delivery.", "mentoring.clock.advanced.")
CLOCK_REACHED = "mentoring.clock.reached.v1"
# Longer text is no slip of the pen, and comparing it costs time.
LONGEST_COMPARED = 100
# Low enough that `session.held` finds `mentoring.session.held.v1`.
LIKENESS = 0.5
# Anything else is no name of a type, and may be what somebody wrote.
CODE_LIKE = re.compile(r"[A-Za-z0-9_.\-]{1,100}")


def refused_type(name: object, scope: Scope, clock: Clock) -> Rejected | None:
    if name is None:
        return rejected("invalid", "type", "is required")
    if not isinstance(name, str):
        return rejected("invalid", "type", "Input should be a valid string")
    if name.startswith(OURS):
        return rejected("forbidden", "type", "only Rapport itself writes this type")
    if name not in EVENT_TYPES:
        words = _unknown(name[:LONGEST_COMPARED])
        shown = f"there is no type {name!r}" if CODE_LIKE.fullmatch(name) else "there is no such type"
        return rejected("unknown_type", "type", f"{shown}; {words}", f"there is no such type; {words}")
    if name in ADMIN_TYPES and not scope.admin:
        return rejected("forbidden", "type", "this type needs a token with admin scope")
    if name == CLOCK_REACHED and clock.mode != "log":
        return rejected("invalid", "type", "this system lives on the wall clock (RAPPORT_CLOCK=wall)")
    return None


def _unknown(name: str) -> str:
    close = get_close_matches(name, EVENT_TYPES, cutoff=LIKENESS)
    return f"did you mean {' or '.join(close)}?" if close else "the types are mentoring.<thing>.<verb>.v1"
