"""How a client of xAPI introduces itself: Basic authentication, and the version that it speaks."""

import json
import re
from datetime import datetime

from services.ingest.sources.credentials import prove_basic
from services.ingest.sources.proof import Handshake, Proof, Proven, Received

VERSION_HEADER = "X-Experience-API-Version"
VERSION = "1.0.3"
ABOUT = "/about"
SPOKEN = re.compile(r"1\.0(\.\d+)?", re.ASCII)


def prove(received: Received, secret: str, now: datetime) -> Proof:
    """`GET /about` is open to everybody, says the standard (Communication 2.8)."""
    if received.path == ABOUT:
        return Handshake(json.dumps({"version": [VERSION]}).encode())
    proof = prove_basic(received, secret, now)
    spoken = received.headers.get(VERSION_HEADER.lower(), "").strip()
    if isinstance(proof, Proven) and not SPOKEN.fullmatch(spoken):
        return _other_version(spoken)
    return proof


def _other_version(spoken: str) -> Handshake:
    """The standard asks for 400 rather than for a recorded statement (Communication 3.3)."""
    words = f"the header {VERSION_HEADER} must be {VERSION}" + (f", not {spoken[:20]}" if spoken else "")
    return Handshake(json.dumps({"status": 400, "reason": "version", "detail": words}).encode(), status=400)
