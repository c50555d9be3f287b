"""Who may use the embedded server: names, passwords and roles, kept in a JSON file; passwords salted and slow to try
(scrypt), or as the bare SHA-256 of earlier files."""

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

SALT_BYTES = 16
# 16 MiB and some 50 ms for each guess: OWASP's smaller choice of scrypt's costs is of that order.
COST, BLOCK, LANES = 1 << 14, 8, 1
SCRYPT, SHA256 = "scrypt", "sha256"


class Role(StrEnum):
    """`writer` may do everything; `reader` only what reader_statement.py admits and the engine's role of the user
    grants (roles.xml)."""

    WRITER = "writer"
    READER = "reader"


class ReaderScope(StrEnum):
    """The engine's role of a reader: `reader` sees the marts, `analyst` the tables below them too."""

    READER = "reader"
    ANALYST = "analyst"


@dataclass(frozen=True)
class User:
    """`password` is kept as `hashed` gives it; see `with_password`. `sees` is of readers only."""

    name: str
    password: str
    role: Role
    sees: ReaderScope = ReaderScope.READER

    @classmethod
    def with_password(cls, name: str, password: str, role: Role, sees: ReaderScope = ReaderScope.READER) -> "User":
        return cls(name, hashed(password), role, sees)


def save_users(users: tuple[User, ...], file: Path) -> None:
    """The owner's only, and whole: whoever reads meanwhile sees the file of before."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        json.dump([asdict(user) for user in users], out, indent=1)
    fresh.replace(file)


def load_users(file: Path | None) -> Mapping[str, User]:
    """Without a file anyone who reaches the port may do everything, as on a freshly installed server."""
    if file is None:
        return {"default": User.with_password("default", "", Role.WRITER)}
    users: dict[str, User] = {}
    for entry in json.loads(file.read_text()):
        # Files of before scrypt hold the bare SHA-256.
        kept = entry["password"] if "password" in entry else f"{SHA256}${entry['password_sha256']}"
        sees = ReaderScope(entry.get("sees", ReaderScope.READER))
        users[entry["name"]] = User(entry["name"], kept, Role(entry["role"]), sees)
    return users


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
