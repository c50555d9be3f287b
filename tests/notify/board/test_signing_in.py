"""Who is let in, for how long, and what the answers forbid a browser."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from schemas.tokens import BoardToken, secret_of
from services.notify.board.access import BoardSessions, authenticate_token, safe_path
from services.notify.settings import NotifySettings
from services.runtime.settings import Settings
from tests import plain_http
from tests.notify.board.conftest import Served
from tests.notify.board.world import World, hidden_fields, served
from tests.notify.building import day


def test_a_token_signs_in_and_leads_to_the_page_that_was_wanted(site: Served) -> None:
    site.world.low("4F2")
    client, link = site.stranger(), f"/alerts/{site.world.key('4F2')}"

    asked = client.get(link)
    answer = client.post("/login", data={"token": site.world.token("p-3", "admin"), "next": link})

    assert asked.headers["location"] == f"/login?next=%2Falerts%2F{site.world.key('4F2')}"
    assert (answer.status_code, answer.headers["location"]) == (303, link)
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=43200"))
    assert "Secure" not in cookie
    assert "Ines Ortiz" in client.get(link).text


@pytest.mark.parametrize("secret", ["", "rpb_t_p_3_", "rpb_unknown_00", "x" * 5_000, "\x00"])
def test_anything_else_signs_nobody_in(site: Served, secret: str) -> None:
    site.world.token("p-3", "admin")
    client = site.stranger()

    answer = client.post("/login", data={"token": secret, "next": "/"})

    assert answer.status_code == 401
    assert "signs nobody in" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_session_ends_with_its_time_its_token_and_its_key(site: Served) -> None:
    world, client = site.world, site.enter("p-3", "admin")
    assert client.get("/").status_code == 200

    world.now += timedelta(hours=12)
    assert client.get("/").status_code == 303

    client = site.enter("p-3", "admin")
    token = world.state.tokens()["t_p_3"].model_copy(update={"revoked": world.now})
    world.write(world.names.board_tokens, "t_p_3", token.model_dump_json().encode())
    assert client.get("/").status_code == 303

    other = BoardSessions.keyed("another key", world.state.tokens, lambda: world.now)
    cookie, _ = other.issue_cookie(token.model_copy(update={"revoked": None}))
    assert site.board.gate.sessions.read(cookie) is None


@pytest.mark.parametrize("cookie", ["", ".", "a.b.c", "t_p_3.99999999999.00.00", "é", "t" * 1_000])
def test_a_cookie_that_is_none_of_ours_is_no_session(site: Served, cookie: str) -> None:
    site.world.token("p-3", "admin")

    assert site.board.gate.sessions.read(cookie) is None


def test_signing_out_ends_it_in_this_browser(site: Served) -> None:
    client = site.enter("p-3", "admin")

    answer = client.post("/logout", data=hidden_fields(client))

    assert answer.headers["location"] == "/login"
    assert client.get("/").status_code == 303


def test_a_token_is_valid_until_it_expires() -> None:
    world = World()
    secret = world.token("p-3", "viewer")
    (token,) = world.state.tokens().values()

    assert authenticate_token(secret, world.state.tokens(), world.now) == token
    assert authenticate_token(secret, world.state.tokens(), token.expires) is None
    assert authenticate_token(secret_of(BoardToken, "t_p_3", "1" * 64), world.state.tokens(), world.now) is None


@pytest.mark.parametrize(("role", "programs"), [("coordinator", ()), ("admin", ("spruce",))])
def test_a_token_reaches_as_far_as_its_role(role: str, programs: tuple[str, ...]) -> None:
    given = {"token_id": "t", "tenant": "acme", "person": "p", "sha256": "0" * 64, "created": day(0), "expires": day(1)}

    with pytest.raises(ValidationError):
        BoardToken.model_validate({**given, "role": role, "programs": programs})


def test_a_token_that_cannot_be_read_signs_nobody_in_and_harms_nobody(site: Served) -> None:
    world = site.world
    secret = world.token("p-3", "admin")
    world.write(world.names.board_tokens, "t_bad", b"{}")
    world.write(world.names.board_tokens, "t_other", world.state.tokens()["t_p_3"].model_dump_json().encode())

    assert set(world.state.tokens()) == {"t_p_3"}
    assert site.stranger().post("/login", data={"token": secret}).status_code == 303


def test_every_answer_forbids_scripts_of_others_and_being_framed(site: Served) -> None:
    client = site.enter("p-3", "admin")

    for path in ("/", "/login", "/nothing", "/static/board.css", "/deliveries"):
        headers = client.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert client.get("/").headers["cache-control"] == "no-store"


def test_behind_https_cookies_go_over_tls_only(site: Served) -> None:
    world = site.world
    with world.board(site.settings) as board:
        object.__setattr__(board.gate, "is_https", True)
        with served(board) as url:
            answer = plain_http.post(f"{url}/login", data={"token": world.token("p-3", "admin")})

    assert answer.headers["set-cookie"].startswith("__Host-rapport_board=")
    assert "Secure" in answer.headers["set-cookie"]
    assert "max-age" in answer.headers["strict-transport-security"]


def test_without_login_only_this_machine_is_served_by_its_own_name() -> None:
    world = World()
    with world.board(Settings(kafka="127.0.0.1:1"), is_open=True) as board, served(board) as url:
        own, other = plain_http.get(url), plain_http.get(url, headers={"host": "rebound.example:8090"})

    assert own.status_code == 200
    assert other.status_code == 421


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"RAPPORT_NOTIFY_BOARD_OPEN": "true", "RAPPORT_HOST": "0.0.0.0"}, "loopback only"),
        ({"RAPPORT_NOTIFY_BOARD_KEY": "short"}, "at least 16 characters"),
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ValidationError, match=words):
        NotifySettings()


@pytest.mark.parametrize(
    ("wanted", "leads"),
    [
        ("/alerts/x?a=b", "/alerts/x?a=b"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("", "/"),
        ("/a\r\nset-cookie: x", "/"),
    ],
)
def test_nobody_is_led_to_another_site(wanted: str, leads: str) -> None:
    assert safe_path(wanted) == leads


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/login", b"token=" + b"x" * 70_000, 413),
        ("/login", b"&".join(b"a=1" for _ in range(400)), 400),
        ("/login", b"token=%ff", 400),
    ],
)
def test_forms_are_bounded(site: Served, path: str, body: bytes, status: int) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}

    assert site.stranger().post(path, content=body, headers=headers).status_code == status


def test_a_head_is_answered_like_a_get_without_its_body(site: Served) -> None:
    """Monitors and the link checkers of mail servers ask so; a refusal looks like a broken link."""
    site.world.low("4F2")
    client, stranger = site.enter("p-3", "coordinator", "spruce"), site.stranger()

    for path in ("/", f"/alerts/{site.world.key('4F2')}", "/static/board.css", "/alerts/nothing"):
        asked, got = client.head(path), client.get(path)
        assert (asked.status_code, asked.content) == (got.status_code, b""), path
        assert asked.headers["content-type"] == got.headers["content-type"]
    assert stranger.head("/").status_code == stranger.get("/").status_code == 303
    assert stranger.head("/healthz").status_code == 200
    assert client.head("/stream?view=now").status_code == 405
