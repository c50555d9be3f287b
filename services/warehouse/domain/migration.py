"""Migrations as values: numbered files, the ledger of applied ones, and the decision what to apply."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Migration:
    """`sql` is the file's content with unfilled placeholders."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True)
class Recorded:
    checksum: str
    state: Literal["in_progress", "completed"]


@dataclass(frozen=True)
class Topology:
    """Where the tables are: on one server, or replicated on the named cluster."""

    cluster: str = ""

    def fill(self, sql: str) -> str:
        """Replicated tables get explicit paths. With generated paths, a statement that is resent after half of the
        cluster ran it could give two replicas different paths."""
        if not self.cluster:
            return sql.replace("{on_cluster}", "").replace("{engine}", "")
        parts = _BEFORE_TABLE.split(sql)
        return "".join(map(_replicate, parts)).replace("{on_cluster}", f"ON CLUSTER '{self.cluster}'")


ONE_SERVER = Topology()
PATH = "/clickhouse/tables/{shard}/mentoring"
_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS mentoring\.(\w+)")
_BEFORE_TABLE = re.compile(r"(?=CREATE TABLE IF NOT EXISTS )")
_ENGINE = re.compile(r"\{engine\}(\w*MergeTree)(?:\(([^)]*)\))?")


@dataclass(frozen=True)
class Pending:
    """The migrations to apply, in order."""

    migrations: tuple[Migration, ...]


@dataclass(frozen=True)
class Changed:
    """An applied file was changed: the tables do not match it."""

    name: str


def decide(migrations: Sequence[Migration], ledger: Mapping[str, Recorded]) -> Pending | Changed:
    """A migration that was started and not completed is run again, even if its file changed: that repairs a broken
    file."""
    pending = []
    for migration in migrations:
        recorded = ledger.get(migration.name)
        if recorded is None or recorded.state == "in_progress":
            pending.append(migration)
        elif recorded.checksum != migration.checksum:
            return Changed(migration.name)
    return Pending(tuple(pending))


def statements(sql: str) -> tuple[str, ...]:
    """A statement ends with a semicolon at the end of a line; the engine accepts one at a time."""
    return tuple(part.strip().removesuffix(";") for part in f"{sql}\n".split(";\n") if part.strip())


def _replicate(sql: str) -> str:
    named = _TABLE.match(sql)
    if named is None:
        return sql
    path = f"'{PATH}/{named[1]}/1', '{{replica}}'"
    return _ENGINE.sub(lambda found: f"Replicated{found[1]}({path}{', ' + found[2] if found[2] else ''})", sql)
