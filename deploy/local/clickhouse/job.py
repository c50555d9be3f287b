"""One request, as the engine must run it: whose it is, with which settings, on which handle."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.local.clickhouse.errors import ClickHouseError
from deploy.local.clickhouse.users import User

SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
# URL parameters that a server's HTTP layer consumes itself: they never reach the engine.
TRANSPORT = {
    *("add_http_cors_header", "buffer_size", "cancel_http_readonly_queries_on_client_close", "client_protocol_version"),
    *("close_session", "compress", "database", "decompress", "default_format", "enable_http_compression"),
    *("http_headers_progress_interval_ms", "http_write_exception_in_output_format", "http_zlib_compression_level"),
    *("password", "query", "query_id", "quota_key", "role", "send_progress_in_http_headers", "session_check"),
    *("session_id", "session_timeout", "stacktrace", "user", "wait_end_of_query"),
}


@dataclass(frozen=True)
class ExternalTable:
    """Rows sent along with a query, readable in it as a temporary table."""

    name: str
    structure: str
    format: str
    rows: bytes


@dataclass(frozen=True)
class Job:
    """`settings` are the URL's; `binds` are values of `{name:Type}` parameters."""

    user: User
    method: str
    parameters: Mapping[str, str]
    settings: Mapping[str, str]
    binds: Mapping[str, str]
    external: tuple[ExternalTable, ...] = ()

    @property
    def reading(self) -> bool:
        """GET may not change anything, as on a server."""
        return self.method == "GET"


def job_of(user: User, method: str, parameters: Mapping[str, str], files: Mapping[str, bytes]) -> Job:
    """Raises `ClickHouseError` for a setting's name that could not be one."""
    external = tuple(_external(name, rows, parameters) for name, rows in files.items())
    described = {f"{name}_{what}" for name in files for what in ("format", "structure", "types")}
    binds = {name[6:]: value for name, value in parameters.items() if name.startswith("param_")}
    settings = {
        name: value
        for name, value in parameters.items()
        if name not in TRANSPORT and name not in described and not name.startswith("param_")
    }
    for name in settings:
        if not SETTING_NAME.fullmatch(name):
            raise ClickHouseError.of(115, "UNKNOWN_SETTING", f"Unknown setting '{name}'")
    return Job(user, method, parameters, settings, binds, external)


def _external(name: str, rows: bytes, parameters: Mapping[str, str]) -> ExternalTable:
    types = parameters.get(f"{name}_types", "").split(",")
    numbered = ", ".join(f"_{number} {type_}" for number, type_ in enumerate(types, 1))
    structure = parameters.get(f"{name}_structure", numbered)
    return ExternalTable(name, structure, parameters.get(f"{name}_format", "TabSeparated"), rows)
