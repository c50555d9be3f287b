from datetime import UTC, datetime

from schemas.tokens import Token, authenticate, hashed, secret_of
from services.ingest.domain.scope import Scope
from services.ingest.gateway.events_endpoint import scope_of

SECRET = secret_of(Token, "team_a", "0a1b")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
TOKEN = Token(token_id="team_a", tenant="acme", sha256=hashed(SECRET), sources=("urn:a",), programs=("p",), created=NOW)
TOKENS = {"team_a": TOKEN}


def test_a_secret_proves_its_token() -> None:
    assert SECRET == "rpt_team_a_0a1b"
    assert authenticate(SECRET, TOKENS) == TOKEN


def test_nothing_else_does() -> None:
    for wrong in ("", "rpt_", "rpt_team_a_0a1c", "rpt_team_b_0a1b", "team_a", SECRET + "0", "ü"):
        assert authenticate(wrong, TOKENS) is None


def test_a_revoked_token_is_proven_no_more() -> None:
    assert authenticate(SECRET, {"team_a": TOKEN.model_copy(update={"revoked": NOW})}) is None


def test_a_token_is_a_scope() -> None:
    assert scope_of(TOKEN) == Scope("acme", frozenset({"urn:a"}), frozenset({"p"}), admin=False)
