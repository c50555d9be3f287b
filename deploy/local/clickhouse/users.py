"""Who may use the embedded server: names, passwords and roles, kept in a JSON file."""

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path


class Role(StrEnum):
    """`writer` may do everything; `reader` only what the engine's role of that name grants (roles.xml)."""

    WRITER = "writer"
    READER = "reader"


@dataclass(frozen=True)
class User:
    """`password` is kept as the hex of its SHA-256, ClickHouse's own notation; see `with_password`."""

    name: str
    password_sha256: str
    role: Role

    @classmethod
    def with_password(cls, name: str, password: str, role: Role) -> "User":
        return cls(name, _digest(password), role)

    def accepts(self, password: str) -> bool:
        return hmac.compare_digest(self.password_sha256, _digest(password))


def save_users(users: tuple[User, ...], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        json.dump([asdict(user) for user in users], out, indent=1)


def load_users(file: Path | None) -> Mapping[str, User]:
    """Without a file anyone who reaches the port may do everything, as on a freshly installed server."""
    if file is None:
        return {"default": User.with_password("default", "", Role.WRITER)}
    entries = json.loads(file.read_text())
    users = [User(entry["name"], entry["password_sha256"], Role(entry["role"])) for entry in entries]
    return {user.name: user for user in users}


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
