"""The ready queries for data teams: each file begins with the question that it answers."""

from dataclasses import dataclass
from importlib.resources import files
from itertools import dropwhile


@dataclass(frozen=True)
class Query:
    name: str
    question: str
    sql: str

    @property
    def comment(self) -> str:
        """The lines before the statement."""
        return self.sql[: len(self.sql) - len(self.statement)]

    @property
    def statement(self) -> str:
        """Without its comment, which the local ClickHouse refuses from readers."""
        lines = self.sql.splitlines(keepends=True)
        return "".join(dropwhile(lambda line: line.startswith("--"), lines))


def queries() -> tuple[Query, ...]:
    folder = files("services.warehouse") / "queries"
    paths = sorted((p for p in folder.iterdir() if p.name.endswith(".sql")), key=lambda p: p.name)
    return tuple(_query(p.name.removesuffix(".sql"), p.read_text(encoding="utf-8")) for p in paths)


def _query(name: str, sql: str) -> Query:
    return Query(name, sql.splitlines()[0].removeprefix("--").strip(), sql)
