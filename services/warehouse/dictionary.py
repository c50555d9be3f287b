"""The data dictionary: every table, view and column with its comment, as Markdown or HTML, and the marts as dbt
sources."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from services.runtime.clickhouse import ClickHouse
from services.warehouse.domain.marts import MARTS

FORMATS = ("markdown", "html", "dbt")
# What data teams read first; the underlying tables come last.
DATABASES = ("mentoring_mart", "mentoring_at", "mentoring")
# Tables that gain rows every day in any active programme: without new rows, the log does not arrive.
FRESH = ("events", "scores", "relationship_current")
_DATABASES = "SELECT name, comment FROM system.databases WHERE name IN {names:Array(String)}"
_TABLES = "SELECT database, name, comment FROM system.tables WHERE database IN {names:Array(String)} ORDER BY name"
_COLUMNS = """
SELECT database, table, name, type, comment
FROM system.columns
WHERE database IN {names:Array(String)}
ORDER BY position
"""
_HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Data dictionary</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid #8888; padding: .3rem .6rem; text-align: left; vertical-align: top }
</style>
<h1>Data dictionary</h1>
"""


@dataclass(frozen=True)
class DescribedColumn:
    name: str
    type: str
    words: str


@dataclass(frozen=True)
class DescribedTable:
    """A table or view. `key`: the columns that are unique together, if that is guaranteed."""

    name: str
    words: str
    key: Sequence[str]
    columns: Sequence[DescribedColumn]


@dataclass(frozen=True)
class DescribedDatabase:
    name: str
    words: str
    tables: Sequence[DescribedTable]


def read_dictionary(clickhouse: ClickHouse) -> list[DescribedDatabase]:
    """Read what the login can see. Raises ClickHouseError."""
    names = {"names": list(DATABASES)}
    words = dict(clickhouse.query(_DATABASES, names))
    columns: dict[tuple[str, str], list[DescribedColumn]] = {}
    for database, table, *column in clickhouse.query(_COLUMNS, names):
        columns.setdefault((database, table), []).append(DescribedColumn(*column))
    tables: dict[str, list[DescribedTable]] = {}
    for database, table, comment in clickhouse.query(_TABLES, names):
        key = MARTS.get(table, ()) if database == DATABASES[0] else ()
        described = DescribedTable(f"{database}.{table}", comment, key, columns.get((database, table), []))
        tables.setdefault(database, []).append(described)
    return [DescribedDatabase(name, words.get(name, ""), tables[name]) for name in DATABASES if name in tables]


def render(databases: Sequence[DescribedDatabase], kind: str, lacking: str = "") -> str:
    """`lacking` states which tables are incomplete, for readers who use no command of ours."""
    if kind == "dbt":
        # The dbt file is kept: a temporary state does not belong into it.
        return "".join(_dbt(databases))
    return "".join(_html(databases, lacking) if kind == "html" else _markdown(databases, lacking))


def _markdown(databases: Sequence[DescribedDatabase], lacking: str) -> Iterator[str]:
    yield "# Data dictionary\n"
    if lacking:
        yield f"\n**{lacking}**\n"
    for database in databases:
        yield f"\n## {database.name}\n\n{database.words}\n"
        for table in database.tables:
            yield f"\n### {table.name}\n\n{table.words}\n"
            if table.key:
                yield f"\nKey: {', '.join(f'`{name}`' for name in table.key)}\n"
            if table.columns:
                yield "\n| column | type | meaning |\n|---|---|---|\n"
            for column in table.columns:
                words = column.words.replace("|", "\\|")
                yield f"| `{column.name}` | `{column.type}` | {words} |\n"


def _html(databases: Sequence[DescribedDatabase], lacking: str) -> Iterator[str]:
    yield _HEAD
    if lacking:
        yield f"<p><strong>{escape(lacking)}</strong></p>\n"
    for database in databases:
        yield f"<h2>{escape(database.name)}</h2>\n<p>{escape(database.words)}</p>\n"
        for table in database.tables:
            yield f'<h3 id="{escape(table.name)}">{escape(table.name)}</h3>\n<p>{escape(table.words)}</p>\n'
            if table.key:
                yield f"<p>Key: {', '.join(f'<code>{escape(name)}</code>' for name in table.key)}</p>\n"
            if table.columns:
                yield "<table><tr><th>column<th>type<th>meaning</tr>\n"
                yield from (
                    f"<tr><td><code>{escape(column.name)}</code><td><code>{escape(column.type)}</code>"
                    f"<td>{escape(column.words)}</tr>\n"
                    for column in table.columns
                )
                yield "</table>\n"


def _dbt(databases: Sequence[DescribedDatabase]) -> Iterator[str]:
    """JSON is valid YAML: any comment stays a string."""
    yield "# Written by `rapport warehouse docs --format dbt`.\nversion: 2\nsources:\n"
    for marts in (one for one in databases if one.name == DATABASES[0]):
        yield f"  - name: rapport\n    schema: {marts.name}\n    description: {json.dumps(marts.words)}\n    tables:\n"
        for table in marts.tables:
            yield from _dbt_table(table)


def _dbt_table(table: DescribedTable) -> Iterator[str]:
    short = table.name.partition(".")[2]
    yield f"      - name: {short}\n        description: {json.dumps(table.words)}\n"
    yield "        config:\n          loaded_at_field: changed_at\n"
    if short in FRESH:
        yield "          freshness: {warn_after: {count: 24, period: hour}}\n"
    yield f"        data_tests:\n          - one_row_per: {{arguments: {{columns: [{', '.join(table.key)}]}}}}\n"
    yield "        columns:\n"
    for column in table.columns:
        yield f"          - name: {column.name}\n            description: {json.dumps(column.words)}\n"
        if column.name in table.key:
            yield "            data_tests: [not_null]\n"
