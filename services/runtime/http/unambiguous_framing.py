"""Requests of which two servers could disagree where they end are refused before anybody looks at them. A proxy in
front that believes one header, and we another, would let a request hide in another's body (RFC 9112, 6.1 and 11.2)."""

from starlette.types import ASGIApp, Receive, Scope, Send

from services.runtime.http.problems import ProblemError
from services.runtime.http.problems import answer as problem_answer

_LENGTH, _ENCODING = b"content-length", b"transfer-encoding"


class UnambiguousFraming:
    """Wraps the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refused := _ambiguous(scope)):
            answer = problem_answer(ProblemError(400, "malformed", refused, headers={"Connection": "close"}))
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _ambiguous(scope: Scope) -> str:
    names = [name for name, _ in scope["headers"]]
    if _ENCODING in names and _LENGTH in names:
        return "Content-Length beside Transfer-Encoding: send one of them"
    if _ENCODING in names and scope["http_version"] != "1.1":
        return "Transfer-Encoding is HTTP/1.1"
    if any(name == _ENCODING and value.strip().lower() != b"chunked" for name, value in scope["headers"]):
        return "of encodings only chunked is known"
    if names.count(_LENGTH) > 1 or names.count(_ENCODING) > 1:
        return "the length of the body is told twice"
    if b"upgrade" in names and {_LENGTH, _ENCODING} & set(names):
        # The parser takes the body for what follows the upgrade, and the request would be judged without it.
        return "only HTTP/1.1 is served here: send no Upgrade with a body (in Java: HttpClient.Version.HTTP_1_1)"
    return ""
