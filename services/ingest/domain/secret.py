"""Token secrets: `rpt_<token id>_<random>`, of which only a hash is kept."""

import hashlib
import hmac
from collections.abc import Mapping

from schemas.tokens import Token

PREFIX = "rpt_"
# Compared with when there is no such token, so that the answer takes as long either way.
NO_HASH = "0" * 64


def secret_of(token_id: str, random: str) -> str:
    """`random` is hexadecimal: without an underscore, so that the token id can be read back."""
    return f"{PREFIX}{token_id}_{random}"


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def authenticate(secret: str, tokens: Mapping[str, Token]) -> Token | None:
    """The token that the secret proves, unless it was revoked."""
    token = tokens.get(secret.removeprefix(PREFIX).rpartition("_")[0])
    proven = hmac.compare_digest(hashed(secret), token.sha256 if token else NO_HASH)
    return token if token and proven and token.revoked is None else None
