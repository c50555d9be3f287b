"""A handle prepared for one request: external tables, role, database and settings; restored or closed afterwards."""

import json
import logging
import tempfile
from collections.abc import Mapping
from typing import Self

from deploy.local.clickhouse import quoting
from deploy.local.clickhouse.engine import Engine, Handle
from deploy.local.clickhouse.job import ExternalTable, Job
from deploy.local.clickhouse.reader_settings import LIMITS as READER_LIMITS
from deploy.local.clickhouse.users import Role

log = logging.getLogger(__name__)


class Lease:
    """Blocking: enter and leave it on the engine's threads. `session` is a handle to restore; None takes a fresh one.

    A reader always gets a fresh handle for one statement, because `readonly` cannot be lifted from a handle.
    """

    def __init__(self, engine: Engine, job: Job, session: Handle | None) -> None:
        self._engine = engine
        self._job = job
        self._session = session
        self._undo: list[str] = []

    def __enter__(self) -> Self:
        self.handle = self._session or self._engine.connect()
        try:
            if self._job.user.role is Role.READER:
                self._prepare_reader()
            else:
                self._prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._session is None:
            self.handle.close()
            return
        for statement in self._undo:
            try:
                self._execute(statement)
            except Exception:
                log.exception("a session could not be restored: %s", statement)

    def _prepare_reader(self) -> None:
        """One call, in this order: the requested settings were checked by name (reader_settings.py), and `readonly = 1`
        comes last: after it the engine refuses every change, including SETTINGS."""
        assert self._session is None, "a reader's session is no handle"
        database = self._job.parameters.get("database")
        settings = {**READER_LIMITS, **self._job.settings, "log_comment": self._log_comment(), "readonly": "1"}
        use = [f"USE {quoting.identifier(database)}"] if database else []
        self._execute("; ".join([f"SET ROLE {self._job.user.sees}", *use, _set(settings)]))

    def _prepare(self) -> None:
        if self._session is not None:
            self._undo = self._undo_statements()
        # 1. The role comes first: everything after it contains text from the client.
        self._execute(f"SET ROLE {self._job.user.role}")
        # 2. External tables are visible in any database.
        for table in self._job.external:
            self._load(table)
        if database := self._job.parameters.get("database"):
            self._execute(f"USE {quoting.identifier(database)}")
        # 3. Settings come last: `readonly` cannot be lifted again.
        settings = dict(self._job.settings)
        if self._job.is_read_only_statement:
            settings["log_comment"] = self._log_comment()
        # A session's handle would stay read-only for good: there only the class of the statement decides (select.py).
        if self._job.is_read_only_request and self._session is None:
            settings["readonly"] = "2"
        if settings:
            self._execute(_set(settings))

    def _log_comment(self) -> str:
        """Return the marker by which the engine finds the statement after its client has disconnected."""
        return f"{self._job.marker} {self._job.settings.get('log_comment', '')}".rstrip()

    def _undo_statements(self) -> list[str]:
        """Settings and database of the URL apply to the request, not to the session."""
        changed_settings = [*self._job.settings, *(["log_comment"] if self._job.is_read_only_statement else [])]
        names = ", ".join(quoting.text(name) for name in changed_settings)
        query = f"SELECT name, value, changed FROM system.settings WHERE name IN ({names})"  # noqa: S608 - quoted
        rows = self._query(query, "JSONCompactEachRow") if names else []
        values = [
            f"{name} = {_literal(value) if changed else 'DEFAULT'}" for name, value, changed in map(json.loads, rows)
        ]
        undo = ["SET " + ", ".join(values)] if values else []
        if "database" in self._job.parameters:  # otherwise the statement itself may be a USE
            database = json.loads(self._query("SELECT currentDatabase()", "JSONCompactEachRow")[0])[0]
            undo.append(f"USE {quoting.identifier(database)}")
        return undo + [f"DROP TEMPORARY TABLE IF EXISTS {quoting.identifier(one.name)}" for one in self._job.external]

    def _load(self, table: ExternalTable) -> None:
        name = quoting.identifier(table.name)
        self._execute(f"CREATE TEMPORARY TABLE {name} ({table.structure}) ENGINE = Memory")
        with tempfile.NamedTemporaryFile(dir=self._engine.spool, prefix="external-") as rows:
            rows.write(table.rows)
            rows.flush()
            self._execute(f"INSERT INTO {name} FROM INFILE '{rows.name}' COMPRESSION 'none' FORMAT {table.format}")

    def _execute(self, sql: str) -> None:
        self.handle.query(sql, "TSV")

    def _query(self, sql: str, fmt: str) -> list[bytes]:
        return (self.handle.query(sql, fmt).bytes() or b"").splitlines()


def _set(settings: Mapping[str, str]) -> str:
    return "SET " + ", ".join(f"{name} = {quoting.text(value)}" for name, value in settings.items())


def _literal(value: str) -> str:
    return value if value.startswith("'") else quoting.text(value)
