"""The role and the login of readers, on a server that keeps its users in SQL."""

import hashlib
from collections.abc import Iterator

from services.runtime.clickhouse import ClickHouse, ClickHouseError
from services.warehouse.domain.migration import Topology

READER = "reader"
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
    """Each may be repeated. The password goes over the wire, and into the query log, as its SHA-256 only."""
    digest = hashlib.sha256(password.encode()).hexdigest()
    on = topology.fill("{on_cluster}")
    yield (
        f"CREATE SETTINGS PROFILE OR REPLACE rapport_reader {on} SETTINGS readonly = 2, max_execution_time = 30, "
        "max_memory_usage = 4000000000"
    )
    yield f"CREATE ROLE IF NOT EXISTS rapport_reader {on}"
    yield f"GRANT {on} SELECT ON mentoring_mart.* TO rapport_reader"
    yield f"GRANT {on} SELECT ON mentoring.* TO rapport_reader"
    yield (
        f"CREATE USER OR REPLACE {READER} {on} IDENTIFIED WITH sha256_hash BY '{digest}' "
        "DEFAULT ROLE rapport_reader SETTINGS PROFILE 'rapport_reader'"
    )
    yield f"GRANT {on} rapport_reader TO {READER}"
