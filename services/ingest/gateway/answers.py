"""What is said of every event that was handed in."""

from collections.abc import Sequence

from starlette.responses import JSONResponse

from services.ingest.domain.verdict import Rejected
from services.ingest.flow.intake import Outcome
from services.ingest.gateway.problem import STATUS, CompactJson, Listing, ProblemError, rejection

ACCEPTED = 202
MIXED = 207


def answer_single(outcome: Outcome) -> JSONResponse:
    """Raises ProblemError when the event was rejected."""
    if isinstance(outcome.result, Rejected):
        raise rejection(outcome.result)
    return CompactJson(_entry(outcome, Listing()), ACCEPTED)


def answer_batch(outcomes: Sequence[Outcome]) -> JSONResponse:
    """202 if all events are in, 207 if some are. Raises ProblemError if none is."""
    listing = Listing()
    entries = [{"index": index, **_entry(outcome, listing)} for index, outcome in enumerate(outcomes)]
    reasons = [entry["reason"] for entry in entries]
    counts = {
        "recorded": reasons.count("recorded"),
        "duplicates": reasons.count("duplicate"),
        "rejected": sum(isinstance(outcome.result, Rejected) for outcome in outcomes),
    }
    if counts["rejected"] == len(outcomes):
        raise _nothing_taken(entries)
    return CompactJson({**counts, "events": entries}, MIXED if counts["rejected"] else ACCEPTED)


def _entry(outcome: Outcome, listing: Listing) -> dict[str, object]:
    match outcome.result:
        case Rejected(reason, errors):
            return {"id": outcome.id, "status": STATUS[reason], "reason": reason, "errors": listing.listed(errors)}
        case receipt:
            return {"id": outcome.id, "status": ACCEPTED, "reason": "duplicate" if receipt.repeat else "recorded"}


def _nothing_taken(entries: list[dict[str, object]]) -> ProblemError:
    statuses = {entry["status"] for entry in entries}
    status = statuses.pop() if len(statuses) == 1 else 400
    assert isinstance(status, int)
    return ProblemError(status, "no_event_taken", "see the events for the reasons", extra={"events": entries})
