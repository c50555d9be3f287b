"""Passwords as they are kept: salted and slow to try (scrypt), or the bare SHA-256 of earlier files."""

import base64
import hashlib
import hmac
import secrets

SALT_BYTES = 16
# 16 MiB and some 50 ms for each guess: OWASP's smaller choice of scrypt's costs is of that order.
COST, BLOCK, LANES = 1 << 14, 8, 1
SCRYPT, SHA256 = "scrypt", "sha256"


def hashed(password: str) -> str:
    """`scrypt$COST$BLOCK$LANES$SALT$KEY`, salt and key in base64."""
    salt = secrets.token_bytes(SALT_BYTES)
    key = _scrypt(password, salt, (COST, BLOCK, LANES))
    return "$".join((SCRYPT, str(COST), str(BLOCK), str(LANES), _text(salt), _text(key)))


def matches(kept: str, password: str) -> bool:
    """`kept` as `hashed` gives it, or `sha256$HEX`. Raises ValueError for any other form."""
    scheme, *parts = kept.split("$")
    match scheme, parts:
        case "scrypt", [cost, block, lanes, salt, key]:
            costs = (int(cost), int(block), int(lanes))
            return hmac.compare_digest(base64.b64decode(key), _scrypt(password, base64.b64decode(salt), costs))
        case "sha256", [digest]:
            return hmac.compare_digest(digest.encode(), hashlib.sha256(password.encode()).hexdigest().encode())
        case _:
            raise ValueError(f"a password kept as {scheme!r} cannot be checked")


def _scrypt(password: str, salt: bytes, costs: tuple[int, int, int]) -> bytes:
    cost, block, lanes = costs
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=lanes, maxmem=256 * cost * block)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
