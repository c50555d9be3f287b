"""The role and the login of readers, on a server that keeps its users in SQL."""

import hashlib
import secrets
from collections.abc import Iterator

from services.runtime.clickhouse import ClickHouse, ClickHouseError
from services.warehouse.domain.migration import Topology

READER = "reader"
# What one statement of a reader may take, and all of them within an hour. 0 would mean no limit: it is no value here.
MOST_SECONDS, MOST_MEMORY_BYTES, MOST_THREADS = 30, 4_000_000_000, 8
MOST_ROWS, MOST_RESULT_BYTES = 10_000_000, 1 << 30
MOST_STATEMENTS_AT_ONCE = 8
MOST_IN_AN_HOUR = {"queries": 20_000, "execution_time": 7_200, "result_rows": 1_000_000_000}
LIMITS = {
    "max_execution_time": MOST_SECONDS,
    "max_memory_usage": MOST_MEMORY_BYTES,
    "max_threads": MOST_THREADS,
    "max_result_rows": MOST_ROWS,
    "max_result_bytes": MOST_RESULT_BYTES,
}
# A reader cannot change these at all. `readonly = 1`: nothing else either, but what CHANGEABLE names.
FIXED = {
    "readonly": 1,
    "allow_ddl": 0,
    "allow_introspection_functions": 0,
    "max_concurrent_queries_for_user": MOST_STATEMENTS_AT_ONCE,
    "max_memory_usage_for_user": 2 * MOST_MEMORY_BYTES,
    "max_temporary_data_on_disk_size_for_query": MOST_RESULT_BYTES,
    "cancel_http_readonly_queries_on_client_close": 1,
}
# How an answer looks and what a statement means: drivers and data teams ask for these, and none reaches further.
CHANGEABLE = (
    *("date_time_input_format", "date_time_output_format", "extremes", "group_by_use_nulls", "join_use_nulls"),
    *("log_comment", "max_block_size", "output_format_json_quote_64bit_integers", "result_overflow_mode"),
    *("session_timezone", "timeout_overflow_mode", "transform_null_in"),
)
# Access denied, not enough privileges, storage of users read-only or absent, role unknown to a file-based storage.
NO_USERS_IN_SQL = frozenset({48, 291, 344, 482, 495, 497, 514})


class NoUsersInSqlError(Exception):
    """The server does not let this login create users; the message says what to do instead."""


def create_reader(clickhouse: ClickHouse, topology: Topology, password: str) -> None:
    """Makes the login `reader`, or gives it a new password: reads both databases, changes nothing, within limits.
    Raises NoUsersInSqlError."""
    try:
        for statement in reader_statements(topology, password):
            clickhouse.command(statement)
    except ClickHouseError as error:
        if error.code not in NO_USERS_IN_SQL:
            raise
        raise NoUsersInSqlError(
            f"this server does not let us create users in SQL (code {error.code}). On a server, set "
            "access_management=1 for the migrating user; the local stack has the login `reader` already"
        ) from error


def reader_statements(topology: Topology, password: str) -> Iterator[str]:
    """Each may be repeated. The password goes over the wire, and into the query log, as a salted SHA-256 only.

    The limits are constraints: `readonly = 1` refuses every change by URL, SETTINGS or SET, but to less of a limit and
    to what CHANGEABLE names.
    """
    salt = secrets.token_hex(16)
    digest = hashlib.sha256(f"{password}{salt}".encode()).hexdigest()
    on = topology.fill("{on_cluster}")
    yield f"CREATE SETTINGS PROFILE OR REPLACE rapport_reader {on} SETTINGS {', '.join(_constraints())}"
    yield f"CREATE ROLE IF NOT EXISTS rapport_reader {on}"
    yield f"GRANT {on} SELECT ON mentoring_mart.* TO rapport_reader"
    yield f"GRANT {on} SELECT ON mentoring.* TO rapport_reader"
    yield (
        f"CREATE USER OR REPLACE {READER} {on} IDENTIFIED WITH sha256_hash BY '{digest}' SALT '{salt}' "
        "DEFAULT ROLE rapport_reader SETTINGS PROFILE 'rapport_reader'"
    )
    yield f"GRANT {on} rapport_reader TO {READER}"
    within = ", ".join(f"{what} = {most}" for what, most in MOST_IN_AN_HOUR.items())
    yield (
        f"CREATE QUOTA OR REPLACE rapport_reader {on} KEYED BY user_name FOR INTERVAL 1 hour MAX {within} "
        "TO rapport_reader"
    )


def _constraints() -> Iterator[str]:
    for name, value in FIXED.items():
        yield f"{name} = {value} CONST"
    for name, most in LIMITS.items():
        yield f"{name} = {most} MIN 1 MAX {most} CHANGEABLE_IN_READONLY"
    for name in CHANGEABLE:
        yield f"{name} CHANGEABLE_IN_READONLY"
