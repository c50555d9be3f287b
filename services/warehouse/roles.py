"""Roles and logins of a server with SQL-driven access control, from a file: their rights and their limits."""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from schemas.primitives import Id
from services.warehouse.domain.marts import OF_PROGRAMS
from services.warehouse.domain.migration import Topology

Role = Literal["sink", "migrator", "analyst", "reader", "program"]
MARTS, CALLED, TABLES = "mentoring_mart", "mentoring_at", "mentoring"
# The rights of each role. Views run with their definer's rights, so readers of views need no right on the tables.
GRANTS: Mapping[Role, Sequence[str]] = {
    "sink": ("SELECT, INSERT, ALTER DELETE ON mentoring.*", "SELECT ON system.columns", "SELECT ON system.tables"),
    "migrator": (
        *(
            f"SELECT, INSERT, CREATE, ALTER, DROP, TRUNCATE, OPTIMIZE, SHOW ON {database}.*"
            for database in (TABLES, MARTS, CALLED, "mentoring_of_*")
        ),
        "SELECT ON system.columns",
        "SELECT ON system.tables",
        "SET DEFINER ON *",
    ),
    "analyst": tuple(f"SELECT, SHOW ON {database}.*" for database in (TABLES, MARTS, CALLED)),
    "reader": tuple(f"SELECT, SHOW ON {database}.*" for database in (MARTS, CALLED)),
    # Rights on its own database, which are part of each login's grants.
    "program": (),
}
READER_ROLES = frozenset({"analyst", "reader", "program"})
# Limits of a reader for one statement, and its quota for an hour. 0 would mean unlimited and is refused here.
MAX_SECONDS, MAX_MEMORY_BYTES, MAX_THREADS = 30, 4_000_000_000, 8
MAX_ROWS, MAX_RESULT_BYTES = 10_000_000, 1 << 30
MAX_STATEMENTS_AT_ONCE = 8
MAX_IN_AN_HOUR = {"queries": 20_000, "execution_time": 7_200, "result_rows": 1_000_000_000}
LIMITS = {
    "max_execution_time": MAX_SECONDS,
    "max_memory_usage": MAX_MEMORY_BYTES,
    "max_threads": MAX_THREADS,
    "max_result_rows": MAX_ROWS,
    "max_result_bytes": MAX_RESULT_BYTES,
}
# Settings that a reader cannot change at all. `readonly = 1` allows changes only to CHANGEABLE.
FIXED = {
    "readonly": 1,
    "allow_ddl": 0,
    "allow_introspection_functions": 0,
    "max_concurrent_queries_for_user": MAX_STATEMENTS_AT_ONCE,
    "max_memory_usage_for_user": 2 * MAX_MEMORY_BYTES,
    "max_temporary_data_on_disk_size_for_query": MAX_RESULT_BYTES,
    "cancel_http_readonly_queries_on_client_close": 1,
}
# Output formats and SQL semantics, which drivers and data teams set and which grant nothing. JDBC sends insert settings
# with every statement.
CHANGEABLE = (
    *("async_insert", "wait_for_async_insert"),
    *("date_time_input_format", "date_time_output_format", "extremes", "group_by_use_nulls", "join_use_nulls"),
    *("log_comment", "max_block_size", "output_format_json_quote_64bit_integers", "result_overflow_mode"),
    *("session_timezone", "timeout_overflow_mode", "transform_null_in"),
)
MAX_LOGINS = 1_000


class ServerLogin(BaseModel):
    """`password_env` names the environment variable with the password, which no file contains. A login of role
    `program` reads the rows of one programme."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    role: Role
    password_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,127}$")]
    tenant: Id | None = None
    program: Id | None = None

    @model_validator(mode="after")
    def _a_programme_for_that_role_only(self) -> "ServerLogin":
        named = [name for name in (self.tenant, self.program) if name is not None]
        if len(named) != (2 if self.role == "program" else 0):
            raise ValueError("tenant and program belong to the role `program`, both, and to no other")
        return self

    @property
    def granted(self) -> str:
        """The role in the engine: one per kind of login, and one per programme."""
        return f"rapport_{self.role}" if self.database is None else f"rapport_{self.database}"

    @property
    def database(self) -> str | None:
        """The database of the programme's views. Ids may contain characters that database names must not, so a hash
        tells them apart."""
        if self.tenant is None or self.program is None:
            return None
        digest = hashlib.blake2b(f"{self.tenant}\0{self.program}".encode(), digest_size=8).hexdigest()
        words = "".join(sign if sign.isalnum() else "_" for sign in f"{self.tenant}_{self.program}".lower())
        return f"mentoring_of_{words[:40]}_{digest}"


class RolesFile(BaseModel):
    """The file of `rapport warehouse roles apply`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    login: Annotated[tuple[ServerLogin, ...], Field(min_length=1, max_length=MAX_LOGINS)]

    @model_validator(mode="after")
    def _names_are_used_once(self) -> "RolesFile":
        if len({login.name for login in self.login}) != len(self.login):
            raise ValueError("login: a name is used twice")
        return self


@dataclass(frozen=True)
class MartColumn:
    """A column of a mart, as the engine describes it."""

    mart: str
    name: str
    type: str
    comment: str


def statements(
    topology: Topology, logins: Sequence[tuple[ServerLogin, SecretStr]], columns: Sequence[MartColumn]
) -> Iterator[str]:
    """All statements are idempotent. Passwords are sent, and logged by the server, as salted SHA-256 only."""
    on = topology.fill("{on_cluster}")
    yield f"CREATE SETTINGS PROFILE OR REPLACE rapport_reader {on} SETTINGS {', '.join(_constraints())}"
    for login, password in logins:
        if login.database is not None:
            yield from program_views(login, topology, columns)
        yield f"CREATE ROLE IF NOT EXISTS {login.granted} {on}"
        yield from (f"GRANT {on} {grant} TO {login.granted}" for grant in grants(login))
        yield _user(login, password.get_secret_value(), on)
        yield f"GRANT {on} {login.granted} TO {login.name}"
    readers = sorted({login.granted for login, _ in logins if login.role in READER_ROLES})
    if readers:
        within = ", ".join(f"{what} = {most}" for what, most in MAX_IN_AN_HOUR.items())
        yield (
            f"CREATE QUOTA OR REPLACE rapport_reader {on} KEYED BY user_name FOR INTERVAL 1 hour MAX {within} "
            f"TO {', '.join(readers)}"
        )


def grants(login: ServerLogin) -> Sequence[str]:
    return GRANTS[login.role] if login.database is None else (f"SELECT, SHOW ON {login.database}.*",)


def program_views(login: ServerLogin, topology: Topology, columns: Sequence[MartColumn]) -> Iterator[str]:
    """The marts of one programme, in a database of its own. A row policy on the tables would not apply to a view with
    definer's rights. A login has no right on anything else, so it cannot reach other rows under any name."""
    on = topology.fill("{on_cluster}")
    yield (
        f"CREATE DATABASE IF NOT EXISTS {login.database} {on} "
        f"COMMENT {_text(f'The marts of programme {login.program} of {login.tenant}')}"
    )
    for mart in OF_PROGRAMS:
        described = ", ".join(
            f"`{column.name}` {column.type} COMMENT {_text(column.comment)}"
            for column in columns
            if column.mart == mart
        )
        yield (
            f"CREATE OR REPLACE VIEW {login.database}.{mart} {on} ({described}) "  # noqa: S608 (names of ours, quoted ids)
            f"DEFINER = CURRENT_USER SQL SECURITY DEFINER AS SELECT * FROM {MARTS}.{mart} "
            f"WHERE tenant_id = {_text(login.tenant or '')} AND program_id = {_text(login.program or '')} "
            f"COMMENT {_text(f'{MARTS}.{mart}, of this programme only')}"
        )


def _user(login: ServerLogin, password: str, on: str) -> str:
    salt = secrets.token_hex(16)
    digest = hashlib.sha256(f"{password}{salt}".encode()).hexdigest()
    profile = " SETTINGS PROFILE 'rapport_reader'" if login.role in READER_ROLES else ""
    return (
        f"CREATE USER OR REPLACE {login.name} {on} IDENTIFIED WITH sha256_hash BY '{digest}' SALT '{salt}' "
        f"DEFAULT ROLE {login.granted}{profile}"
    )


def _constraints() -> Iterator[str]:
    """`readonly = 1` refuses every change by URL, SETTINGS or SET, except lower limits and the settings in
    CHANGEABLE."""
    for name, value in FIXED.items():
        yield f"{name} = {value} CONST"
    for name, most in LIMITS.items():
        yield f"{name} = {most} MIN 1 MAX {most} CHANGEABLE_IN_READONLY"
    for name in CHANGEABLE:
        yield f"{name} CHANGEABLE_IN_READONLY"


def _text(words: str) -> str:
    escaped = words.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
