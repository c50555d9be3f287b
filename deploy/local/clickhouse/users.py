"""The users of the embedded server: names, passwords and roles in a JSON file; passwords are salted and hashed with
scrypt, or plain SHA-256 in older files."""

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
# 16 MiB and some 50 ms for each guess: of the order of OWASP's smaller choice of scrypt parameters.
COST, BLOCK, PARALLELISM = 1 << 14, 8, 1
SCRYPT, SHA256 = "scrypt", "sha256"


class Role(StrEnum):
    """`writer` may do everything; `reader` only what reader_statement.py admits and the user's engine role grants
    (roles.xml)."""

    WRITER = "writer"
    READER = "reader"


class ReaderScope(StrEnum):
    """The engine role of a reader: `reader` sees the marts, `analyst` also the tables below them."""

    READER = "reader"
    ANALYST = "analyst"


@dataclass(frozen=True)
class User:
    """`password` is in the form that `hashed` returns; see `with_password`. `sees` applies to readers only."""

    name: str
    password: str
    role: Role
    sees: ReaderScope = ReaderScope.READER

    @classmethod
    def with_password(cls, name: str, password: str, role: Role, sees: ReaderScope = ReaderScope.READER) -> "User":
        return cls(name, hashed(password), role, sees)


def save_users(users: tuple[User, ...], file: Path) -> None:
    """Write the file atomically, readable by its owner only."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        json.dump([asdict(user) for user in users], out, indent=1)
    temporary.replace(file)


def load_users(file: Path | None) -> Mapping[str, User]:
    """Without a file everybody who reaches the port may do everything, as on a freshly installed server."""
    if file is None:
        return {"default": User.with_password("default", "", Role.WRITER)}
    users: dict[str, User] = {}
    for entry in json.loads(file.read_text()):
        # Files from before scrypt hold a plain SHA-256.
        stored = entry["password"] if "password" in entry else f"{SHA256}${entry['password_sha256']}"
        sees = ReaderScope(entry.get("sees", ReaderScope.READER))
        users[entry["name"]] = User(entry["name"], stored, Role(entry["role"]), sees)
    return users


def hashed(password: str) -> str:
    """Return `scrypt$COST$BLOCK$LANES$SALT$KEY`, salt and key in base64."""
    salt = secrets.token_bytes(SALT_BYTES)
    key = _scrypt(password, salt, (COST, BLOCK, PARALLELISM))
    return "$".join((SCRYPT, str(COST), str(BLOCK), str(PARALLELISM), _text(salt), _text(key)))


def matches(stored: str, password: str) -> bool:
    """`stored` is in the form that `hashed` returns, or `sha256$HEX`. Raises ValueError for any other form."""
    scheme, *parts = stored.split("$")
    match scheme, parts:
        case "scrypt", [cost, block, parallelism, salt, key]:
            costs = (int(cost), int(block), int(parallelism))
            return hmac.compare_digest(base64.b64decode(key), _scrypt(password, base64.b64decode(salt), costs))
        case "sha256", [digest]:
            return hmac.compare_digest(digest.encode(), hashlib.sha256(password.encode()).hexdigest().encode())
        case _:
            raise ValueError(f"a password kept as {scheme!r} cannot be checked")


def _scrypt(password: str, salt: bytes, costs: tuple[int, int, int]) -> bytes:
    cost, block, parallelism = costs
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=parallelism, maxmem=256 * cost * block)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
