"""The prepared queries for data teams: each file starts with the question that it answers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from itertools import dropwhile

# Parameters of every query: empty means all.
COMMON = ("tenant", "program")
LONGEST_VALUE = 512
_DECLARED = re.compile(r"-- Parameter (\w+)(?: = (\S+))?: ", re.MULTILINE)
_USED = re.compile(r"\{(\w+):")


class ParameterError(Exception):
    """A parameter is missing, unknown or too long; the message says which."""


@dataclass(frozen=True)
class Query:
    name: str
    question: str
    sql: str

    @property
    def comment(self) -> str:
        """The lines before the statement."""
        return self.sql[: len(self.sql) - len(self.statement)]

    @cached_property
    def statement(self) -> str:
        """The SQL without its comment, which the local ClickHouse refuses from readers."""
        lines = self.sql.splitlines(keepends=True)
        return "".join(dropwhile(lambda line: line.startswith("--"), lines))

    @property
    def parameters(self) -> Mapping[str, str | None]:
        """The default of each parameter; None if it is required."""
        declared = {name: default or None for name, default in _DECLARED.findall(self.comment)}
        return dict.fromkeys(COMMON, "") | declared

    def parsed_parameters(self, given: Sequence[str]) -> dict[str, str]:
        """Parse the parameters from `name=value`. Raises ParameterError."""
        values = dict(map(self._pair, given))
        missing = [name for name, default in self.parameters.items() if default is None and name not in values]
        if missing:
            raise ParameterError(f"{self.name} needs --param {missing[0]}=...")
        filled = {name: values.get(name, default or "") for name, default in self.parameters.items()}
        return {name: value for name, value in filled.items() if name in self.used}

    @property
    def used(self) -> frozenset[str]:
        return frozenset(_USED.findall(self.statement))

    def _pair(self, given: str) -> tuple[str, str]:
        name, equals, value = given.partition("=")
        if not equals or name not in self.parameters:
            raise ParameterError(f"{self.name} takes {', '.join(self.parameters)}, as --param name=value")
        if len(value) > LONGEST_VALUE:
            raise ParameterError(f"{name} has more than {LONGEST_VALUE} characters")
        return name, value


def queries() -> tuple[Query, ...]:
    folder = files("services.warehouse") / "queries"
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.name.endswith(".sql")}
    return tuple(
        Query(name.removesuffix(".sql"), sql.splitlines()[0].removeprefix("--").strip(), sql)
        for name, sql in sorted(texts.items())
    )
