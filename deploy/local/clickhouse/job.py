"""One request as the engine must run it: user, settings, parameters and external tables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import uuid4

from deploy.local.clickhouse.errors import EngineError, denied
from deploy.local.clickhouse.reader_settings import allowed_settings
from deploy.local.clickhouse.reader_statement import check_database, check_format
from deploy.local.clickhouse.users import Role, User

SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
# URL parameters that a server's HTTP layer consumes; they do not reach the engine.
TRANSPORT = {
    *("add_http_cors_header", "buffer_size", "cancel_http_readonly_queries_on_client_close", "client_protocol_version"),
    *("close_session", "compress", "database", "decompress", "default_format", "enable_http_compression"),
    *("http_headers_progress_interval_ms", "http_write_exception_in_output_format", "http_zlib_compression_level"),
    *("password", "query", "query_id", "quota_key", "role", "send_progress_in_http_headers", "session_check"),
    *("session_id", "session_timeout", "stacktrace", "user", "wait_end_of_query"),
}
# Bodies in ClickHouse's own block format with checksums, which only its drivers write and read.
NATIVE_FRAMES = ("compress", "decompress")


@dataclass(frozen=True)
class ExternalTable:
    """Rows sent with a query, which can read them as a temporary table."""

    name: str
    structure: str
    format: str
    rows: bytes


@dataclass(frozen=True)
class Job:
    """`settings` are those of the URL, and for a reader also those of its statement and session; `binds` are values of
    `{name:Type}` parameters. `marker` is unique: it identifies the request's statement in the engine."""

    user: User
    method: str
    parameters: Mapping[str, str]
    settings: Mapping[str, str]
    binds: Mapping[str, str]
    external: tuple[ExternalTable, ...] = ()
    is_read_only_statement: bool = False
    marker: str = field(default_factory=lambda: f"request-{uuid4()}")

    @property
    def is_read_only_request(self) -> bool:
        """As on a server, GET must not change anything."""
        return self.method == "GET"

    def as_read_only(self) -> "Job":
        """The statement changes nothing: it is cancelled when the client disconnects."""
        return replace(self, is_read_only_statement=True)

    def with_settings(self, settings: Mapping[str, str]) -> "Job":
        return replace(self, settings={**self.settings, **settings})


def parse_job(user: User, method: str, parameters: Mapping[str, str], files: Mapping[str, bytes]) -> Job:
    """Raises `EngineError` for an invalid name of a setting, and for what readers must not use."""
    external = tuple(_external(name, rows, parameters) for name, rows in files.items())
    structure_parameters = {f"{name}_{what}" for name in files for what in ("format", "structure", "types")}
    binds = {name[6:]: value for name, value in parameters.items() if name.startswith("param_")}
    settings = {
        name: value
        for name, value in parameters.items()
        if name not in TRANSPORT and name not in structure_parameters and not name.startswith("param_")
    }
    for name in NATIVE_FRAMES:
        if parameters.get(name) in {"1", "true"}:
            text = (
                f"{name}=1 (blocks of ClickHouse's own) is not known here: set compress=0, or ask for Accept-Encoding"
            )
            raise EngineError.of(48, "NOT_IMPLEMENTED", text)
    for name in settings:
        if not SETTING_NAME.fullmatch(name):
            raise EngineError.of(115, "UNKNOWN_SETTING", f"Unknown setting '{name}'")
    job = Job(user, method, parameters, settings, binds, external)
    return _restricted_to_reader(job) if user.role is Role.READER else job


def _restricted_to_reader(job: Job) -> Job:
    if job.external:
        raise denied("external tables")  # their structure is SQL: DEFAULT, ALIAS
    if database := job.parameters.get("database"):
        check_database(database)
    check_format(job.parameters.get("default_format"))
    # Some drivers set it themselves; the server sets it in any case (lease.py).
    requested = {name: value for name, value in job.settings.items() if name != "readonly"}
    return replace(job, settings=allowed_settings(requested))


def _external(name: str, rows: bytes, parameters: Mapping[str, str]) -> ExternalTable:
    types = parameters.get(f"{name}_types", "").split(",")
    numbered = ", ".join(f"_{number} {type_}" for number, type_ in enumerate(types, 1))
    structure = parameters.get(f"{name}_structure", numbered)
    return ExternalTable(name, structure, parameters.get(f"{name}_format", "TabSeparated"), rows)
