"""Checks a reader's statement: the engine parses it, and every node, function and table of the tree must be on an
allow-list.

Anything unknown is refused. The check runs on the engine's own tree (`parseQueryToJSON`), never on the text, so that
both cannot disagree. Further barriers are the role's grants, `readonly = 1` (lease.py) and Landlock (confinement.py).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from deploy.local.clickhouse.errors import denied, readonly, syntax_error, too_large
from deploy.local.clickhouse.reader_functions import TABLE_FUNCTIONS, ReaderFunctions
from deploy.local.clickhouse.reader_settings import LONGEST_STATEMENT_BYTES, allowed_settings

LONGEST_CACHED, MAX_CACHED = 4096, 512  # of admitted texts: dashboards repeat their queries
# The grants of the role say which of their tables a reader may read (roles.xml).
DATABASES = frozenset({"mentoring", "mentoring_mart", "mentoring_at"})
# Parameterized views are called like functions; no function of the engine has a dot in its name.
PARAMETERIZED_VIEW = re.compile(r"mentoring_at\.[a-z_]+")
# `default` is the database of a connection that names none: its tables stay hidden.
CURRENT_DATABASES = DATABASES | {"default", "information_schema", "INFORMATION_SCHEMA"}
# Tables that BI tools and clickhouse-connect query.
SYSTEM_TABLES = frozenset(
    {
        *("aggregate_function_combinators", "collations", "columns", "completions", "contributors"),
        *("data_skipping_indices", "data_type_families", "databases", "formats", "functions", "keywords"),
        *("licenses", "numbers", "one", "parts", "projections", "settings", "table_engines"),
        *("table_functions", "tables", "time_zones", "zeros"),
    }
)
SCHEMA_TABLES = frozenset({"columns", "key_column_usage", "referential_constraints", "schemata", "tables", "views"})
FORMATS = re.compile(
    r"(CSV|TSV|TSVRaw|TabSeparated|TabSeparatedRaw)(WithNames(AndTypes)?)?|RowBinary(WithNames(AndTypes)?)?|Native|Null"
    r"|JSON(Strings|Compact|CompactStrings|ColumnsWithMetadata|Columns|CompactColumns)?"
    r"|JSON(Compact)?(Strings)?EachRow(WithNames(AndTypes)?)?|JSONObjectEachRow|JSONLines|NDJSON"
    r"|Pretty(Compact|Space)?(NoEscapes)?(MonoBlock)?|Vertical|Values|XML|Markdown|Parquet|Arrow|ArrowStream|ORC"
)
# Strings, quoted names without escapes, and operators; but nothing that any lexer could take for a comment, a heredoc
# or the end of a statement, and no non-ASCII characters outside of strings.
PLAIN_TEXT = re.compile(
    r"""(?: '(?:[^'\\\x00]|\\[^\x00]|'')*+' | `[^`\\\x00-\x1f]+` | "[^"\\\x00-\x1f]+"
    | [A-Za-z0-9_ \t\r\n.,()\[\]{}=<>!+%?:|^&~] | -(?!-) | /(?![/*]) | \*(?!/) )*+""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
NAME = r"(?:[A-Za-z_][A-Za-z0-9_]*|`[A-Za-z0-9_]+`|\"[A-Za-z0-9_]+\")"
# Statements for which the engine provides no tree: the whole text must match.
SHORT_STATEMENT = re.compile(
    rf"\s*(?:(?P<use>USE)|DESC(?:RIBE)?(?:\s+TABLE)?|SHOW\s+CREATE(?:\s+(?:TABLE|VIEW))?|SHOW\s+COLUMNS\s+FROM"
    rf"|EXISTS(?:\s+(?:TABLE|VIEW))?|(?P<of_database>EXISTS\s+DATABASE))"
    rf"\s+(?P<first>{NAME})(?:\s*\.\s*(?P<second>{NAME}))?(?:\s+FORMAT\s+(?P<format>[A-Za-z]+))?\s*",
    re.IGNORECASE | re.ASCII,
)
DESCRIBED_QUERY = re.compile(r"\s*DESC(?:RIBE)?(?:\s+TABLE)?\s*(?=\()", re.IGNORECASE | re.ASCII)
NODES = frozenset(
    {
        *("ArrayJoin", "Asterisk", "ColumnsApplyTransformer", "ColumnsExceptTransformer", "ColumnsListMatcher"),
        *("ColumnsRegexpMatcher", "ColumnsReplaceTransformer", "ColumnsReplaceTransformerReplacement"),
        *("ColumnsTransformerList", "ExplainQuery", "ExpressionList", "Function", "Identifier", "InterpolateElement"),
        *("Literal", "OrderByElement", "QualifiedAsterisk", "QualifiedColumnsListMatcher"),
        *("QualifiedColumnsRegexpMatcher", "QueryParameter", "SampleRatio", "SelectIntersectExceptQuery"),
        *("SelectQuery", "SelectWithUnionQuery", "SetQuery", "ShowTablesQuery", "Subquery", "TableExpression"),
        *("TableIdentifier", "TableJoin", "TablesInSelectQuery", "TablesInSelectQueryElement"),
        *("WindowDefinition", "WindowListElement", "WithElement"),
    }
)
EXPLAIN_KINDS = frozenset({"EXPLAIN", "EXPLAIN SYNTAX", "EXPLAIN QUERY TREE", "EXPLAIN PIPELINE", "EXPLAIN ESTIMATE"})
SHOW_KEYS = frozenset(
    {"type", "databases", "full", "from", "like", "not_like", "case_insensitive_like", "limit_length"}
)
SET_KEYS = frozenset({"type", "is_standalone", "changes"})
FILE_KEYS = ("out_file", "is_outfile_append", "is_outfile_truncate", "is_into_outfile_with_stdout", "compression")
Node = Mapping[str, Any]


@dataclass(frozen=True)
class AdmittedStatement:
    """`settings` and `database` are those that the statement requests by SETTINGS, SET and USE. `session_only`: it does
    nothing else, and the engine need not run it."""

    format: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    database: str | None = None
    session_only: bool = False


class ReaderStatements:
    """Blocking: `check` calls the engine."""

    def __init__(self, parse: Callable[[str], str], functions: ReaderFunctions) -> None:
        """`parse` returns the JSON of a statement's tree, or raises `EngineError`."""
        self._parse = parse
        self._functions = functions
        self._cached = lru_cache(MAX_CACHED)(self._check_text)

    def check(self, sql: bytes) -> AdmittedStatement:
        """Raises `EngineError`: READONLY, ACCESS_DENIED, SETTING_CONSTRAINT_VIOLATION, or the parser's own."""
        if len(sql) > LONGEST_STATEMENT_BYTES:
            raise too_large(f"A reader's statement is larger than {LONGEST_STATEMENT_BYTES} bytes")
        try:
            text = sql.decode()
        except UnicodeDecodeError:
            raise syntax_error("A reader's statement must be UTF-8") from None
        return self._cached(text) if len(text) <= LONGEST_CACHED else self._check_text(text)

    def _check_text(self, text: str) -> AdmittedStatement:
        if not PLAIN_TEXT.fullmatch(text):
            raise denied(
                "comments, several statements, heredocs, escaped names, or signs beyond ASCII outside of strings"
            )
        if short := SHORT_STATEMENT.fullmatch(text):
            return _short(short)
        described = DESCRIBED_QUERY.match(text)
        tree = json.loads(self._parse(text[described.end() :] if described else text))
        return _Tree(self._functions).check(tree)


def check_database(name: str) -> str:
    """Of a URL or a USE."""
    if name not in CURRENT_DATABASES:
        raise denied(f"the database {name}")
    return name


def check_format(name: str | None) -> str | None:
    if name is not None and not FORMATS.fullmatch(name):
        raise denied(f"the format {name}")
    return name


def _short(found: re.Match[str]) -> AdmittedStatement:
    first, second = (None if part is None else part.strip('`"') for part in (found["first"], found["second"]))
    assert first is not None, "the pattern has a first name"
    if found["use"] or found["of_database"]:
        if second is not None:
            raise syntax_error("One name of a database is expected")
        return (
            AdmittedStatement(database=check_database(first), session_only=True)
            if found["use"]
            else AdmittedStatement()
        )
    _check_table([first] if second is None else [first, second])
    return AdmittedStatement(format=check_format(found["format"]))


class _Tree:
    """One traversal of a statement's tree."""

    def __init__(self, functions: ReaderFunctions) -> None:
        self._functions = functions
        self._settings: dict[str, str] = {}

    def check(self, tree: Node) -> AdmittedStatement:
        if tree["type"] not in {"SelectWithUnionQuery", "ExplainQuery", "ShowTablesQuery", "SetQuery"}:
            raise readonly("reader: Cannot execute query in readonly mode")
        for node, role in _nodes(tree, ""):
            self._check(node, role)
        written = tree.get("format_ast", {}).get("name")
        session_only = tree["type"] == "SetQuery"
        return AdmittedStatement(check_format(written), allowed_settings(self._settings), session_only=session_only)

    def _check(self, node: Node, role: str) -> None:
        kind = node["type"]
        if kind not in NODES:
            raise denied(f"{kind} in a statement")
        if any(node.get(key) for key in FILE_KEYS):
            raise denied("files: INTO OUTFILE")
        match kind:
            case "Function":
                self._check_function(node, role)
            case "ColumnsApplyTransformer" if not self._functions.allows(node.get("func_name", "identity")):
                raise denied(f"the function {node['func_name']}")
            case "Identifier" | "TableIdentifier":
                self._check_name(node, role)
            case "QueryParameter" if "identifier" in node["param_type"].lower():
                raise denied("names as parameters")
            case "SetQuery":
                self._collect_settings(node, role)
            case "ExplainQuery" if node["kind"] not in EXPLAIN_KINDS or "query" not in node:
                raise denied(node["kind"])
            case "ShowTablesQuery" if {key for key, value in node.items() if value} - SHOW_KEYS - {"format_ast"}:
                raise denied("this SHOW")

    def _collect_settings(self, node: Node, role: str) -> None:
        if set(node) - SET_KEYS:
            raise denied("SET of parameters or to DEFAULT")
        if role != "settings of EXPLAIN":  # those select the output of EXPLAIN
            self._settings |= {change["name"]: _setting_text(change["value"]) for change in node["changes"]}

    def _check_function(self, node: Node, role: str) -> None:
        name = node["name"]
        if role == "table_function":
            is_allowed = name.lower() in TABLE_FUNCTIONS or PARAMETERIZED_VIEW.fullmatch(name) is not None
        else:
            is_allowed = self._functions.allows(name)
        if not is_allowed:
            raise denied(f"the function {name}")

    def _check_name(self, node: Node, role: str) -> None:
        parts = node.get("name_parts") or [node["name"]]
        if node["type"] == "TableIdentifier":
            _check_table(parts)
        elif role == "from":
            check_database(node["name"])
        elif len(parts) == 1 and role != "format_ast" and self._functions.is_refused_name(parts[0]):
            raise denied(f"the bare word {parts[0]}, which is a function's name: put the table's name before it")
        elif parts[0].lower() == "system":  # x IN system.processes
            _check_table(parts[:2])


def _check_table(parts: list[str]) -> None:
    match [*parts]:
        case [_]:
            return  # of the current database
        case [database, _] if database in DATABASES:
            return
        case ["system", table] if table in SYSTEM_TABLES:
            return
        case ["information_schema" | "INFORMATION_SCHEMA", table] if table.lower() in SCHEMA_TABLES:
            return
    raise denied(".".join(parts))


def _nodes(node: Any, role: str) -> Iterator[tuple[Node, str]]:  # noqa: ANN401 - JSON
    """Yield every node with the name of its position; values of literals are no nodes."""
    if isinstance(node, list):
        for one in node:
            yield from _nodes(one, role)
    elif isinstance(node, dict):
        if "type" in node:
            yield node, role
        if node.get("type") != "Literal":
            of = " of EXPLAIN" if node.get("type") == "ExplainQuery" else ""
            for key, value in node.items():
                yield from _nodes(value, key + of if key == "settings" else key)


def _setting_text(value: Node) -> str:
    """Return a setting's value as the URL would have it."""
    given = value.get("value")
    return str(int(given)) if isinstance(given, bool) else str(given)
