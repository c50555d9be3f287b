"""`--columns FILE`: what a table calls its columns and values, in our words."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.ingest.domain.tools.allow_list import composed, visible
from services.ingest.domain.verdict import explain
from services.ingest.importing.kinds import KINDS
from services.ingest.importing.kinds.kind import Column, TableKind
from services.ingest.importing.sender import ImportStoppedError
from services.ingest.sources.table_words import COLUMN_WORDS, VALUE_WORDS

LARGEST_FILE = 64 * 1024
_Name = Annotated[str, Field(max_length=200)]


def name_of(written: str) -> str:
    """Of a column, as it is compared."""
    return "_".join(visible(written).lower().split()).replace("-", "_")


@dataclass(frozen=True)
class Translation:
    """`columns`: their name (as compared) to ours, empty for one that is not read. `values`: by our column, their value
    in lower case to ours."""

    columns: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def column(self, written: str) -> str:
        name = name_of(written)
        return self.columns.get(name, name)

    def value(self, column: str, cell: str) -> str:
        known = self.values.get(column)
        return known.get(composed(cell).lower(), cell) if known else cell


class _ColumnsFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    columns: Annotated[dict[_Name, _Name], Field(max_length=500)] = {}
    values: Annotated[dict[_Name, Annotated[dict[_Name, _Name], Field(max_length=1_000)]], Field(max_length=100)] = {}


def read_translation(files: Iterable[Path]) -> Translation:
    """Of all together, the last of them has the last word. Raises ImportStoppedError."""
    found = [_read(file) for file in files]
    columns = {theirs: ours for one in found for theirs, ours in one.columns.items()}
    names = {column for one in found for column in one.values}
    return Translation(columns, {n: {t: o for one in found for t, o in one.values.get(n, {}).items()} for n in names})


def _read(file: Path) -> Translation:
    try:
        with file.open("rb") as opened:
            text = opened.read(LARGEST_FILE + 1)
        if len(text) > LARGEST_FILE:
            raise ImportStoppedError(f"{file} has more than {LARGEST_FILE} bytes")
        # Nothing but text: `ja: yes` is no truth value here, and a tag of YAML makes no object.
        found = _ColumnsFile.model_validate(yaml.load(text, yaml.BaseLoader) or {})  # noqa: S506 (BaseLoader is safe)
    except (OSError, yaml.YAMLError) as broken:
        raise ImportStoppedError(f"{file} cannot be read: {broken}") from broken
    except ValidationError as invalid:
        faults = "; ".join(f"{problem.path}: {problem.reason}" for problem in explain(invalid))
        raise ImportStoppedError(f"{file}: {faults}; it holds `columns` and `values`") from invalid
    unknown = sorted(set(found.columns.values()) - {"", *(name for kind in KINDS.values() for name in kind.columns)})
    if unknown:
        raise ImportStoppedError(f"{file}: no table has a column {unknown[0]!r}")
    values = found.values.items()
    return Translation(
        {name_of(theirs): ours for theirs, ours in found.columns.items()},
        {name: {composed(theirs).lower(): ours for theirs, ours in known.items() if ours} for name, known in values},
    )


def guessed_kind(written: Sequence[str]) -> TableKind | None:
    """That of which most columns are there, if all that it needs may be."""
    guesses = [(kind, guessed(written, kind)) for kind in KINDS.values()]
    found = [(len(guess), kind) for kind, guess in guesses if kind.needed <= set(guess.values())]
    fitting = [kind for count, kind in found if count == max(found, key=lambda one: one[0])[0]]
    return fitting[0] if len(fitting) == 1 else None


def guessed(written: Iterable[str], kind: TableKind) -> dict[str, str]:
    """Their columns, each with the one of ours that it most likely is; those without are not in it."""
    found: dict[str, str] = {}
    for name in written:
        plain = _plain(name)
        for ours in kind.columns:
            is_called = plain in {_plain(ours), *map(_plain, COLUMN_WORDS.get(ours, ()))}
            if ours == "minutes" and _IN_HOURS.search(visible(name)):
                # Nobody meets for a minute and a half.
                break
            if plain and is_called and ours not in found.values():
                found[name] = ours
                break
    return found


_IN_HOURS = re.compile(r"\(\s*(in )?(h|hrs?|hours?|std|stunden?)\.?\s*\)", re.IGNORECASE)


def _plain(text: str) -> str:
    """Letters and digits alone; what stands in brackets explains."""
    return re.sub(r"[\W_]+", "", re.sub(r"\(.*?\)", "", visible(text))).casefold()


def guessed_value(column: Column, written: str) -> str:
    """Empty where nothing is likely."""
    plain = _plain(written)
    words = VALUE_WORDS.get(column.name, VALUE_WORDS["yes or no"] if column.form == "yes or no" else {})
    return next((ours for ours, theirs in words.items() if ours in column.values and plain in map(_plain, theirs)), "")


def proposal(columns: Mapping[str, str], values: Mapping[str, Mapping[str, str]]) -> str:
    """The file to look over: empty where nothing is likely."""
    text = "# Their words on the left, ours on the right. Empty: the column is not read, the value stays as it is.\n"
    found = {"columns": {" ".join(theirs.split()): ours for theirs, ours in columns.items()}} | (
        {"values": {name: dict(known) for name, known in values.items()}} if values else {}
    )
    return text + yaml.safe_dump(found, allow_unicode=True, sort_keys=False, width=120)
