"""The web application of the board: all routes, the files it serves, and errors as pages."""

from collections.abc import Mapping
from importlib.resources import files

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from services.notify.board.forms import add_forms
from services.notify.board.pages import add_pages
from services.notify.board.personal import add_personal
from services.notify.board.rendering import Board, PageRenderer
from services.notify.board.requests import Gatekeeper
from services.notify.board.stream import add_stream

STATIC: Mapping[str, str] = {
    "board.css": "text/css",
    "board.js": "text/javascript",
    "htmx.min.js": "text/javascript",
    "htmx-sse.min.js": "text/javascript",
}
STATIC_LASTS = "private, max-age=300"
HEADLINES: Mapping[int, str] = {
    400: "This cannot be read",
    401: "Sign in first",
    403: "This is not allowed",
    404: "There is nothing here",
    405: "This is not served here",
    413: "That is too much",
    415: "This cannot be read",
    503: "Not right now",
}
WORDS: Mapping[int, str] = {
    404: "There is no such page, or it is about what you have no access to.",
    405: "Go back and use what the page offers.",
}
MOST_URGENT = 99
_FOLDER = files("services.notify.board") / "static"


def create_app(board: Board) -> FastAPI:
    app = FastAPI(title="Rapport board", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    pages = PageRenderer(board)
    add_pages(app, board, pages)
    add_forms(app, board, pages)
    add_personal(app, board, pages)
    add_stream(app, board, pages)
    _add_files(app)

    async def explained(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _explained(pages, request, error)

    app.add_exception_handler(HTTPException, explained)
    app.add_middleware(Gatekeeper, gate=board.gate)
    return app


def _add_files(app: FastAPI) -> None:
    kept = {name: (_FOLDER / name).read_bytes() for name in STATIC}

    @app.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in kept:
            raise HTTPException(404)
        return Response(kept[name], media_type=STATIC[name], headers={"cache-control": STATIC_LASTS})

    @app.get("/favicon.svg")
    async def favicon(request: Request) -> Response:
        said = request.query_params.get("urgent", "0")
        urgent = min(int(said[:3]), MOST_URGENT) if said.isascii() and said.isdecimal() else 0
        return Response(_favicon(urgent), media_type="image/svg+xml", headers={"cache-control": STATIC_LASTS})

    @app.get("/healthz")
    async def healthz() -> Response:
        return PlainTextResponse("alive\n")


def _explained(pages: PageRenderer, request: Request, error: HTTPException) -> Response:
    """The framework's own words are none: those of ours say what to do."""
    status = error.status_code
    headline = HEADLINES.get(status, "This did not work")
    said = error.detail if error.detail and not error.detail[0].isupper() else ""
    words = (said[:1].upper() + said[1:] + ".") if said else WORDS.get(status, "Go back and try again.")
    session = getattr(request.state, "session", None)
    given = {"headline": headline, "words": words}
    answer = (
        pages.page("error.html", request, status, **given)
        if session is not None
        else pages.bare("error.html", status, **given)
    )
    answer.headers.update(error.headers or {})
    return answer


def _favicon(urgent: int) -> str:
    """The count of what is urgent, on red; else a calm mark."""
    text = (
        f'<circle cx="16" cy="16" r="15" fill="#b3261e"/><text x="16" y="22" text-anchor="middle" fill="#fff" '
        f'font-family="sans-serif" font-weight="700" font-size="{16 if urgent < 10 else 13}">{urgent}</text>'  # noqa: PLR2004 (two digits)
        if urgent
        else '<circle cx="16" cy="16" r="15" fill="#1f6f5c"/><path d="M9 17l5 5 9-11" fill="none" stroke="#fff" '
        'stroke-width="3.5" stroke-linecap="round" stroke-linejoin="round"/>'
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{text}</svg>'
