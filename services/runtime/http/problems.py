"""Error responses as problem details (RFC 9457), each with a stable type."""

from collections.abc import Mapping

from pydantic_core import to_json
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
TITLES = {
    "malformed": "The body cannot be read",
    "not_http": "The request cannot be read",
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


class ProblemError(Exception):
    """Ends a request with a problem details response."""

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


def answer(problem: ProblemError) -> Response:
    body = {
        "type": f"urn:rapport:problem:{problem.code}",
        "title": TITLES[problem.code],
        "status": problem.status,
        "detail": problem.detail,
        **problem.extra,
    }
    return Response(to_json(body), problem.status, problem.headers, media_type=MEDIA_TYPE)
