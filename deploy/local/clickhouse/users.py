"""Who may use the embedded server: names, passwords and roles, kept in a JSON file."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from deploy.local.clickhouse.passwords import SHA256, hashed


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
    """`password` is kept as passwords.py hashes it; see `with_password`. `sees` is of readers only."""

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
    users = [_user(entry) for entry in json.loads(file.read_text())]
    return {user.name: user for user in users}


def _user(entry: Mapping[str, Any]) -> User:
    """Files of before scrypt hold the bare SHA-256."""
    kept = entry["password"] if "password" in entry else f"{SHA256}${entry['password_sha256']}"
    return User(entry["name"], kept, Role(entry["role"]), ReaderScope(entry.get("sees", ReaderScope.READER)))
