"""`--columns FILE`: maps the column names and values of a table to the project's."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.ingest.domain.tools.allow_list import clean_text, visible
from services.ingest.domain.verdict import explain
from services.ingest.importing.kinds import KINDS
from services.ingest.importing.kinds.kind import Column, TableKind
from services.ingest.importing.sender import ImportStoppedError
from services.ingest.sources.table_words import COLUMN_WORDS, VALUE_WORDS

LARGEST_FILE = 64 * 1024
_Name = Annotated[str, Field(max_length=200)]


def normalized_name(written: str) -> str:
    """Return a column name in the form in which names are compared."""
    return "_".join(visible(written).lower().split()).replace("-", "_")


@dataclass(frozen=True)
class Translation:
    """`columns` maps a normalized name of the file to the project's, empty for a column that is not read. `values`
    maps, by the project's column, a value in lower case to the project's value."""

    columns: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def column(self, written: str) -> str:
        name = normalized_name(written)
        return self.columns.get(name, name)

    def value(self, column: str, cell: str) -> str:
        mapping = self.values.get(column)
        return mapping.get(clean_text(cell).lower(), cell) if mapping else cell


class _ColumnsFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    columns: Annotated[dict[_Name, _Name], Field(max_length=500)] = {}
    values: Annotated[dict[_Name, Annotated[dict[_Name, _Name], Field(max_length=1_000)]], Field(max_length=100)] = {}


def read_translation(files: Iterable[Path]) -> Translation:
    """Merge all files; later ones take precedence. Raises ImportStoppedError."""
    found = [_read_file(file) for file in files]
    columns = {theirs: ours for one in found for theirs, ours in one.columns.items()}
    names = {column for one in found for column in one.values}
    return Translation(columns, {n: {t: o for one in found for t, o in one.values.get(n, {}).items()} for n in names})


def _read_file(file: Path) -> Translation:
    try:
        with file.open("rb") as opened:
            text = opened.read(LARGEST_FILE + 1)
        if len(text) > LARGEST_FILE:
            raise ImportStoppedError(f"{file} has more than {LARGEST_FILE} bytes")
        # BaseLoader reads everything as text: `ja: yes` is no boolean here, and a YAML tag creates no object.
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
        {normalized_name(theirs): ours for theirs, ours in found.columns.items()},
        {
            name: {clean_text(theirs).lower(): ours for theirs, ours in mapping.items() if ours}
            for name, mapping in values
        },
    )


def guess_kind(written: Sequence[str]) -> TableKind | None:
    """Return the kind with the most matching columns among those whose required columns may all be present; None if
    several tie."""
    guesses = [(kind, guess_columns(written, kind)) for kind in KINDS.values()]
    found = [(len(guess), kind) for kind, guess in guesses if kind.required <= set(guess.values())]
    fitting = [kind for count, kind in found if count == max(found, key=lambda one: one[0])[0]]
    return fitting[0] if len(fitting) == 1 else None


def guess_columns(written: Iterable[str], kind: TableKind) -> dict[str, str]:
    """Map columns of the file to the project's most likely column; those without a match are left out."""
    found: dict[str, str] = {}
    for name in written:
        comparable = _comparable(name)
        for ours in kind.columns:
            matches = comparable in {_comparable(ours), *map(_comparable, COLUMN_WORDS.get(ours, ()))}
            if ours == "minutes" and _IN_HOURS.search(visible(name)):
                # A duration of 1.5 hours must not be imported as a minute and a half.
                break
            if comparable and matches and ours not in found.values():
                found[name] = ours
                break
    return found


_IN_HOURS = re.compile(r"\(\s*(in )?(h|hrs?|hours?|std|stunden?)\.?\s*\)", re.IGNORECASE)


def _comparable(text: str) -> str:
    """Keep letters and digits only; text in brackets is explanation."""
    return re.sub(r"[\W_]+", "", re.sub(r"\(.*?\)", "", visible(text))).casefold()


def guess_value(column: Column, written: str) -> str:
    """Return an empty string where no value is likely."""
    comparable = _comparable(written)
    words = VALUE_WORDS.get(column.name, VALUE_WORDS["yes or no"] if column.value_type == "yes or no" else {})
    return next(
        (ours for ours, theirs in words.items() if ours in column.values and comparable in map(_comparable, theirs)), ""
    )


def proposal(columns: Mapping[str, str], values: Mapping[str, Mapping[str, str]]) -> str:
    """Return the mapping file to be reviewed, with empty entries where nothing is likely."""
    text = "# The table's names left, Rapport's right. Empty: the column is not read, the value stays as it is.\n"
    found = {"columns": {" ".join(theirs.split()): ours for theirs, ours in columns.items()}} | (
        {"values": {name: dict(mapping) for name, mapping in values.items()}} if values else {}
    )
    return text + yaml.safe_dump(found, allow_unicode=True, sort_keys=False, width=120)
