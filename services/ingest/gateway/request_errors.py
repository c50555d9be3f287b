"""Errors as problem details (RFC 9457), each with a stable type and the paths at fault."""

from collections.abc import Mapping, Sequence

from pydantic_core import to_json
from starlette.responses import JSONResponse

from services.ingest.domain.verdict import Problem, Reason, Rejected

# Faults in one answer.
MOST_LISTED = 1_000
MEDIA_TYPE = "application/problem+json"
TITLES = {
    "malformed": "The body cannot be read",
    "invalid": "The event is not valid",
    "unknown_type": "There is no such type of event",
    "future": "The event lies in the future",
    "empty_batch": "The batch is empty",
    "no_event_taken": "No event of the batch was taken",
    "nothing_taken": "Nothing of the request was taken",
    "unauthorized": "A valid token is needed",
    "forbidden": "The token does not allow this",
    "not_found": "There is nothing here",
    "method_not_allowed": "This method is not served here",
    "conflict": "The id is taken",
    "too_large": "The body is too large",
    "head_too_large": "The head of the request is too large",
    "too_slow": "The request did not come in time",
    "unresolved": "It is not known what this is about",
    "unsupported_media_type": "This content type is not served here",
    "too_many": "More than this sender may hand in now",
    "refused": "The broker does not take this record",
    "unavailable": "Nothing can be recorded now",
    "failed": "An error of ours",
}
STATUS: Mapping[Reason, int] = {
    "malformed": 400,
    "invalid": 400,
    "unknown_type": 400,
    "future": 400,
    "forbidden": 403,
    "conflict": 409,
    "too_large": 413,
    "unresolved": 400,
    "refused": 422,
    "failed": 500,
}


class ProblemError(Exception):
    """Ends the handling of a request with problem details."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.headers, self.extra = dict(headers or {}), dict(extra or {})


def rejection(rejected: Rejected) -> ProblemError:
    first = rejected.errors[0]
    return ProblemError(
        STATUS[rejected.reason],
        rejected.reason,
        f"{first.path or 'the body'}: {first.reason}",
        extra={"errors": listed(rejected.errors)},
    )


def listed(errors: Sequence[Problem]) -> list[dict[str, str]]:
    return [{"path": error.path, "reason": error.reason} for error in errors]


class Listing:
    """The faults of many things in one answer: when very many are listed, each thing has its first one only, lest the
    answer to a batch of nonsense be many times as large as the batch."""

    def __init__(self) -> None:
        self._left = MOST_LISTED

    def listed(self, errors: Sequence[Problem]) -> list[dict[str, str]]:
        shown = errors if len(errors) <= self._left else errors[:1]
        self._left -= len(shown)
        return listed(shown)


class CompactJson(JSONResponse):
    """As JSONResponse; ten thousand results are written in a millisecond."""

    def render(self, content: object) -> bytes:
        return to_json(content)


def answer(problem: ProblemError) -> JSONResponse:
    body = {
        "type": f"urn:rapport:problem:{problem.code}",
        "title": TITLES[problem.code],
        "status": problem.status,
        "detail": problem.detail,
        **problem.extra,
    }
    return CompactJson(body, problem.status, problem.headers, media_type=MEDIA_TYPE)
