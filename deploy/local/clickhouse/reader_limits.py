"""What a reader's statement may not contain, because the engine's grants do not cover it (measured on chdb 4.4.0).

The grants in roles.xml keep readers to their databases. Not covered: the function `file`, table functions that run
text as SQL or reach a network before the grant is looked at, system tables about other users, and a change of role.
"""

from collections.abc import Sequence

from deploy.local.clickhouse.errors import ClickHouseError, readonly
from deploy.local.clickhouse.statements import changes_role
from deploy.local.clickhouse.tokens import Kind, Token, tokens

SETTINGS = {"readonly": "2", "max_execution_time": "30", "max_memory_usage": str(4 << 30)}
HARMLESS_TABLE_FUNCTIONS = {
    *("generaterandom", "generateseries", "generate_series", "null", "numbers", "numbers_mt", "primes", "values"),
    *("view", "viewifpermitted", "zeros", "zeros_mt"),
    "format",  # also an ordinary function; as a table function the grants refuse it
}
# Bare words too: APPLY and higher-order functions take a function by its name alone.
FORBIDDEN_WORDS = {"file", "processlist", "identifier"}
# What BI tools and clickhouse-connect look at.
SYSTEM_TABLES = {
    *("aggregate_function_combinators", "build_options", "collations", "columns", "completions", "contributors"),
    *("data_skipping_indices", "data_type_families", "databases", "dictionaries", "formats", "functions", "keywords"),
    *("licenses", "macros", "numbers", "one", "parts", "projections", "settings", "table_engines"),
    *("table_functions", "tables", "time_zones", "zeros"),
}


class ReaderLimits:
    def __init__(self, table_functions: Sequence[str]) -> None:
        """`table_functions` as the engine lists them: one that a later engine adds is refused at once."""
        self._forbidden_calls = {name.lower() for name in table_functions} - HARMLESS_TABLE_FUNCTIONS

    def check(self, sql: bytes) -> None:
        """Raises `ClickHouseError` (READONLY or ACCESS_DENIED)."""
        if changes_role(sql):
            raise readonly("reader: Cannot execute query in readonly mode")
        found = list(tokens(sql))
        for token, after, then in zip(found, [*found[1:], None], [*found[2:], None, None], strict=False):
            _check_readable(token)
            name = _name(token)
            if name is not None:
                self._check_name(name, after, then)

    def _check_name(self, name: str, after: Token | None, then: Token | None) -> None:
        if "\\" in name:
            raise _denied("names with escapes")
        if name in FORBIDDEN_WORDS or (after and after.text == b"(" and name in self._forbidden_calls):
            raise _denied(name)
        if name == "system" and after and after.text == b".":
            table = _name(then) if then else None
            if table not in SYSTEM_TABLES:
                raise _denied(f"system.{table}")


def _check_readable(token: Token) -> None:
    """Where the engine's lexer and ours may disagree, text could hide in what looks like a string to us."""
    odd_sign = token.kind is Kind.SIGN and (token.text in b"'\"`$" or not token.text.isascii())
    if odd_sign or token.text.startswith(b"$"):
        raise _denied("heredocs, open quotes or characters beyond ASCII outside of quotes")


def _name(token: Token) -> str | None:
    if token.kind is Kind.WORD:
        return token.text.decode("utf-8", "surrogateescape").lower()
    if token.kind is Kind.QUOTED:
        return token.text[1:-1].decode("utf-8", "surrogateescape").lower()
    return None


def _denied(what: str) -> ClickHouseError:
    text = f"reader: Not enough privileges. Readers may not use {what}"
    return ClickHouseError.of(497, "ACCESS_DENIED", text)
