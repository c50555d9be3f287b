"""Applies the roles and logins of a file to a server."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr, ValidationError

from services.runtime.clickhouse import ClickHouse, ClickHouseError
from services.warehouse.domain.migration import Topology
from services.warehouse.roles import MartColumn, RolesFile, ServerLogin, statements

# Access denied, insufficient privileges, user storage read-only or absent, role unknown to a file-based storage.
NO_USERS_IN_SQL = frozenset({48, 291, 344, 482, 495, 497, 514})
MAX_BYTES = 1 << 20
COLUMNS = """
SELECT table, name, type, comment FROM system.columns WHERE database = 'mentoring_mart' ORDER BY table, position
"""


class RolesError(Exception):
    """The file, the environment or the server does not allow it; the message says what to do."""


def read_roles(file: Path) -> RolesFile:
    """Read the TOML file. Raises RolesError."""
    try:
        raw = file.read_bytes()
        if len(raw) > MAX_BYTES:
            raise RolesError(f"{file} has more than {MAX_BYTES} bytes")
        return RolesFile.model_validate(tomllib.loads(raw.decode()))
    except ValidationError as invalid:
        first = invalid.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise RolesError(f"{file}: {where}: {first['msg']}") from invalid
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise RolesError(f"{file}: {problem}") from problem


def passwords(roles: RolesFile, environment: Mapping[str, str] = os.environ) -> list[tuple[ServerLogin, SecretStr]]:
    """Raises RolesError if a password variable is not set."""
    missing = sorted({login.password_env for login in roles.login if not environment.get(login.password_env)})
    if missing:
        raise RolesError(f"set the password{'s' if len(missing) > 1 else ''}: {', '.join(missing)}")
    return [(login, SecretStr(environment[login.password_env])) for login in roles.login]


def apply(clickhouse: ClickHouse, topology: Topology, logins: list[tuple[ServerLogin, SecretStr]]) -> None:
    """Idempotent; sets the current passwords. Raises RolesError and ClickHouseError."""
    columns = [MartColumn(*row) for row in clickhouse.query(COLUMNS)]
    if not columns:
        raise RolesError("there are no marts yet: run `rapport warehouse migrate`")
    try:
        for statement in statements(topology, logins, columns):
            clickhouse.command(statement)
    except ClickHouseError as error:
        if error.code not in NO_USERS_IN_SQL:
            raise
        raise RolesError(
            f"this server does not let us create users in SQL (code {error.code}). On a server, set "
            "access_management=1 for the migrating user; the local stack has the logins `reader` and `analyst` already"
        ) from error
