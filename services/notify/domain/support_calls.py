"""Who has asked for support, until that is closed: whoever did hears of the end, and of nothing else."""

from collections.abc import Mapping
from typing import NamedTuple

from schemas.primitives import Id, Side
from schemas.scores import ScoreRow, SupportCall

MOST_CALLS = 16
"""Of one relationship, as many as scoring knows: of the oldest that were never closed nobody hears."""
CLOSED = "mentoring.support.resolved.v1"


class ClosedCall(NamedTuple):
    tenant: Id
    program: Id
    relationship: Id
    request: Id
    by: Side


def calls_after(
    calls: Mapping[Id, Side], call: SupportCall, row: ScoreRow
) -> tuple[Mapping[Id, Side], tuple[Id, Side] | None]:
    """The open calls by request, and the one that this row closes, if so."""
    if row.trigger is not None and row.trigger.type == CLOSED:
        by = calls.get(call.request_id)
        left = {request: side for request, side in calls.items() if request != call.request_id}
        return left, None if by is None else (call.request_id, by)
    if call.by is None:
        return calls, None
    known = {**calls, call.request_id: call.by}
    return dict(list(known.items())[-MOST_CALLS:]), None
