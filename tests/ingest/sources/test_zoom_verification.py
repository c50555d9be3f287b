import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.sources.tool import Handshake, Received, Unverified, Verified, hmac_hex
from services.ingest.sources.zoom.tool import TOOL

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECRET = "zoom-secret"


def request(
    body: bytes, at: datetime = NOW, secret: str = SECRET, changes: Mapping[str, str] | None = None
) -> Received:
    stamp = str(int(at.timestamp()))
    signature = f"v0={hmac_hex(secret, f'v0:{stamp}:'.encode() + body)}"
    return Received({"x-zm-signature": signature, "x-zm-request-timestamp": stamp, **(changes or {})}, body)


VALIDATION = json.dumps(
    {"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}
).encode()


def test_a_request_that_zoom_signed_is_proven() -> None:
    assert TOOL.verify(request(b'{"event":"meeting.ended"}'), SECRET, NOW) == Verified()
    assert TOOL.verify(request(b"no JSON"), SECRET, NOW) == Verified()


def test_the_signature_is_the_one_that_zoom_documents() -> None:
    stamp = int(NOW.timestamp())
    by_hand = "v0=" + hmac_hex(SECRET, f'v0:{stamp}:{{"event":"x"}}'.encode())

    assert request(b'{"event":"x"}').headers["x-zm-signature"] == by_hand


@pytest.mark.parametrize(
    "received",
    [
        Received({}, b"{}"),
        request(b"{}", changes={"x-zm-signature": ""}),
        request(b"{}", changes={"x-zm-signature": "v0=é"}),
        request(b"{}", changes={"x-zm-request-timestamp": ""}),
        request(b"{}", changes={"x-zm-request-timestamp": "soon"}),
        request(b"{}", changes={"x-zm-request-timestamp": "1735689600"}),
        request(b"{}", secret="another"),
        request(b"{}", NOW - timedelta(minutes=5, seconds=1)),
        request(b"{}", NOW + timedelta(minutes=5, seconds=1)),
        Received(request(b"{}").headers, b"{ }"),
    ],
)
def test_a_request_without_a_fresh_signature_of_these_bytes_is_refused(received: Received) -> None:
    proof = TOOL.verify(received, SECRET, NOW)

    assert isinstance(proof, Unverified)
    assert SECRET not in proof.reason


def test_without_a_secret_nothing_is_proven() -> None:
    assert isinstance(TOOL.verify(request(b"{}", secret=""), "", NOW), Unverified)


def test_the_url_is_validated_by_signing_the_token() -> None:
    proof = TOOL.verify(request(VALIDATION), SECRET, NOW)

    assert isinstance(proof, Handshake)
    token = "qgg8vlvZRS6UYooatFL8Aw"
    assert json.loads(proof.body) == {"plainToken": token, "encryptedToken": hmac_hex(SECRET, token.encode())}


def test_no_token_is_signed_for_a_stranger_who_would_make_a_signature_of_it() -> None:
    forged = f"v0:{int(NOW.timestamp())}:{{}}"
    body = json.dumps({"event": "endpoint.url_validation", "payload": {"plainToken": forged}}).encode()

    assert isinstance(TOOL.verify(request(body, secret="guess"), SECRET, NOW), Unverified)
    assert isinstance(TOOL.verify(Received({}, body), SECRET, NOW), Unverified)


@given(st.dictionaries(st.sampled_from(["x-zm-signature", "x-zm-request-timestamp"]), st.text()), st.binary())
def test_whatever_the_headers_are_they_prove_nothing(headers: dict[str, str], body: bytes) -> None:
    assert isinstance(TOOL.verify(Received(headers, body), SECRET, NOW), Unverified)
