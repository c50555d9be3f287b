"""A typed wrapper of clickhouse-connect that classifies errors by what the caller can do about them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError as DriverError
from clickhouse_connect.driver.exceptions import DataError

from services.runtime.progress import note_progress
from services.runtime.settings import Settings

# Timeouts, too many queries or parts, no replica, memory limit: ClickHouse's codes for a temporary failure.
RETRYABLE = frozenset({159, 202, 209, 210, 241, 242, 252, 285, 319, 999})
# Authentication failed; the codes of several versions.
AUTHENTICATION_FAILED = frozenset({192, 193, 194, 516})
# The engine rejects the data itself: one row of the batch is at fault.
INVALID_DATA = frozenset({6, 27, 53, 117, 469})
# The driver rejects a value that does not fit its column's type before the engine can report a type mismatch.
TYPE_MISMATCH = 53

_CODE = re.compile(r"(?:[Cc]ode:? |error code )(\d+)")


@dataclass(frozen=True)
class QueryResult:
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class ClickHouseError(Exception):
    """The engine answered with an error; `code` is ClickHouse's own, 0 if it gave none."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class ClickHouseAwayError(ClickHouseError):
    """No answer, or one that says "later": the outcome of an insert is unknown."""


class ClickHouse:
    """One client for one thread. Every call raises ClickHouseError, or ClickHouseAwayError when a retry makes sense."""

    def __init__(self, settings: Settings, database: str = "default") -> None:
        self._settings, self._database = settings, database
        self._client: Client | None = None
        self._types: dict[tuple[str, ...], Sequence[Any]] = {}

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        result = self._call(lambda c: c.query(sql, parameters=dict(parameters or {})))
        return [tuple(row) for row in result.result_rows]

    def query_with_columns(self, sql: str, parameters: Mapping[str, Any] | None = None) -> QueryResult:
        """The same with the names of the columns."""
        result = self._call(lambda c: c.query(sql, parameters=dict(parameters or {})))
        return QueryResult(tuple(result.column_names), [tuple(row) for row in result.result_rows])

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        self._call(lambda c: c.command(sql, parameters=dict(parameters or {})))

    def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], settings: Mapping[str, Any]
    ) -> None:
        """Returns when the engine has stored all rows."""
        self._call(lambda c: c.insert(table, rows, column_names=columns, settings=dict(settings)))

    def insert_columns(self, table: str, columns: Mapping[str, Sequence[Any]], settings: Mapping[str, Any]) -> None:
        """The same for a block that is columns already. The table's types are asked for once per client."""
        names = tuple(columns)

        def insert(client: Client) -> None:
            if (table, *names) not in self._types:
                self._types[table, *names] = client.create_insert_context(table, names).column_types
            client.insert(
                table,
                list(columns.values()),
                column_names=names,
                column_types=self._types[table, *names],
                column_oriented=True,
                settings=dict(settings),
            )

        self._call(insert)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _call(self, use: Any) -> Any:  # noqa: ANN401 (one entry for three result types of the driver)
        try:
            if self._client is None:
                self._client = self._connect()
            answer = use(self._client)
        except (DriverError, OSError) as error:
            raise _classify(error, self._settings) from error
        # A batch may take many statements.
        note_progress()
        return answer

    def _connect(self) -> Client:
        url, trusted = urlsplit(self._settings.clickhouse), self._settings.clickhouse_ssl_cafile
        return clickhouse_connect.get_client(
            host=url.hostname or "127.0.0.1",
            port=url.port or (8443 if url.scheme == "https" else 8123),
            secure=url.scheme == "https",
            ca_cert=str(trusted) if trusted else None,
            username=self._settings.clickhouse_user,
            password=self._settings.clickhouse_password.get_secret_value(),
            database=self._database,
            # A session would serialise the queries of one client and hold state on the server.
            autogenerate_session_id=False,
            # A command reports within 5 s that no server answers.
            connect_timeout=3,
            send_receive_timeout=60,
            query_retries=0,
        )


def _classify(error: Exception, settings: Settings) -> ClickHouseError:
    text = str(error)
    if reason := _unreachable(error):
        url = settings.clickhouse.rpartition("@")[2]
        return ClickHouseAwayError(f"RAPPORT_CLICKHOUSE names no server that can be reached ({url}: {reason})", 0)
    if isinstance(error, DataError):
        return ClickHouseError(text, TYPE_MISMATCH)
    found = _CODE.search(text)
    code = int(found.group(1)) if found else 0
    if code in AUTHENTICATION_FAILED:
        text = f"{text.strip()} (see RAPPORT_CLICKHOUSE_USER and RAPPORT_CLICKHOUSE_PASSWORD)"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        text = f"{text} (see RAPPORT_CLICKHOUSE_SSL_CAFILE and the name in RAPPORT_CLICKHOUSE)"
    if code == 0 or code in RETRYABLE:
        return ClickHouseAwayError(text, code)
    return ClickHouseError(text, code)


def _unreachable(error: BaseException | None) -> str:
    """Return the system's reason when no connection could be made, else an empty string. Errors are matched by
    urllib3's class names: urllib3 is a dependency of the driver, not of ours."""
    while error is not None:
        names = {kind.__name__ for kind in type(error).__mro__}
        if "NewConnectionError" in names:
            return str(error).rpartition(": ")[2].rpartition("] ")[2].rstrip(")")
        if "ConnectTimeoutError" in names:
            return "timed out"
        # The driver and urllib3 wrap each other in one of these ways; a `reason` of ssl is a string.
        inner = getattr(error, "reason", None)
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
    return ""
