"""The settings of a reader: limits that always apply, and the settings that a reader may request, each within bounds.

The server sets them all, `readonly = 1` last (lease.py); after that the engine refuses every change.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.local.clickhouse.errors import EngineError

CONCURRENT_READERS = 4  # concurrent statements of readers, in addition to the writer's
MAX_SECONDS = 30
MAX_THREADS = max(1, (os.cpu_count() or 1) // 2)  # of one statement: two readers leave room for the writer
MAX_ROWS = 10_000_000  # of a result
MAX_BYTES = 1 << 30  # of a result, and of a statement's temporary data on disk
LONGEST_STATEMENT_BYTES = 1 << 17  # long lists of ids fit; the engine checks so much within seconds at worst
MAX_MEMORY = min(
    2 << 30, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (2 * CONCURRENT_READERS)
)  # bytes of one statement; all readers together take at most half of the machine's


@dataclass(frozen=True)
class IntegerRange:
    """A whole number between two inclusive bounds."""

    least: int
    most: int

    def __str__(self) -> str:
        return f"from {self.least} to {self.most}"

    def allows(self, value: str) -> bool:
        return re.fullmatch(r"\d{1,18}", value, re.ASCII) is not None and self.least <= int(value) <= self.most


@dataclass(frozen=True)
class TextPattern:
    """A text that matches the whole pattern."""

    pattern: str

    def __str__(self) -> str:
        return f"a text like {self.pattern}"

    def allows(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value, re.ASCII) is not None


FLAG = TextPattern(r"[01]|true|false")
WORD = TextPattern(r"[A-Za-z0-9_]{1,40}")
LIMITS: Mapping[str, str] = {
    "max_execution_time": str(MAX_SECONDS),
    "timeout_overflow_mode": "throw",
    "max_memory_usage": str(MAX_MEMORY),
    "max_threads": str(MAX_THREADS),
    "max_result_rows": str(MAX_ROWS),
    "max_result_bytes": str(MAX_BYTES),
    "result_overflow_mode": "throw",
    "max_temporary_data_on_disk_size_for_query": str(MAX_BYTES),
    "max_query_size": str(LONGEST_STATEMENT_BYTES),
    "max_ast_depth": "300",
    "max_ast_elements": "20000",
    "max_expanded_ast_elements": "100000",
    "max_subquery_depth": "50",
    "max_parser_depth": "400",
    "max_parser_backtracks": "100000",
    "max_columns_to_read": "2000",
    "allow_introspection_functions": "0",
    "allow_ddl": "0",
}
ALLOWED: Mapping[str, IntegerRange | TextPattern] = {
    # resources: never more than the limits; 0 would mean unlimited
    "max_execution_time": IntegerRange(1, MAX_SECONDS),
    "max_memory_usage": IntegerRange(1, MAX_MEMORY),
    "max_threads": IntegerRange(1, MAX_THREADS),
    "max_result_rows": IntegerRange(1, MAX_ROWS),
    "max_result_bytes": IntegerRange(1, MAX_BYTES),
    "max_block_size": IntegerRange(1, 1 << 20),
    "max_rows_to_read": IntegerRange(0, 1 << 50),
    "max_bytes_to_read": IntegerRange(0, 1 << 60),
    "result_overflow_mode": TextPattern("throw|break"),
    "timeout_overflow_mode": TextPattern("throw|break"),
    "read_overflow_mode": TextPattern("throw|break"),
    # semantics of a statement
    "join_use_nulls": FLAG,
    "group_by_use_nulls": FLAG,
    "transform_null_in": FLAG,
    "aggregate_functions_null_for_empty": FLAG,
    "prefer_column_name_to_alias": FLAG,
    "final": FLAG,
    "extremes": FLAG,
    "union_default_mode": TextPattern("|ALL|DISTINCT"),
    "session_timezone": TextPattern(r"[A-Za-z0-9_+/-]{0,64}"),
    "date_time_input_format": WORD,
    "date_time_overflow_behavior": WORD,
    "cast_string_to_date_time_mode": WORD,
    # output format
    "date_time_output_format": WORD,
    "bool_true_representation": WORD,
    "bool_false_representation": WORD,
    "format_csv_delimiter": TextPattern(r"[,;|\t ]"),
    "output_format_json_quote_64bit_integers": FLAG,
    "output_format_json_quote_64bit_floats": FLAG,
    "output_format_json_quote_decimals": FLAG,
    "output_format_json_quote_denormals": FLAG,
    "output_format_json_named_tuples_as_objects": FLAG,
    "output_format_json_array_of_rows": FLAG,
    "output_format_json_escape_forward_slashes": FLAG,
    "output_format_csv_crlf_end_of_line": FLAG,
    "output_format_tsv_crlf_end_of_line": FLAG,
    "output_format_pretty_max_rows": IntegerRange(1, 1_000_000),
    "output_format_pretty_color": TextPattern("0|1|auto"),
    "output_format_pretty_row_numbers": FLAG,
    "output_format_native_use_flattened_dynamic_and_json_serialization": FLAG,
    "output_format_native_write_json_as_string": FLAG,
    "output_format_parquet_string_as_string": FLAG,
    "output_format_parquet_compression_method": WORD,
    "output_format_arrow_string_as_string": FLAG,
    "output_format_arrow_compression_method": WORD,
    "output_format_write_statistics": FLAG,
    # sent by drivers with every statement; no effect on one that only reads
    "async_insert": FLAG,
    "wait_for_async_insert": FLAG,
    # the statement's name in system.processes, after the server's own marker
    "log_comment": TextPattern(r"[ -~]{0,200}"),
}


def allowed_settings(requested: Mapping[str, str]) -> dict[str, str]:
    """Raises `EngineError` SETTING_CONSTRAINT_VIOLATION for a name that readers cannot set, or a value out of
    bounds."""
    for name, value in requested.items():
        bound = ALLOWED.get(name)
        if bound is None:
            raise _constraint_violation(f"Setting {name} may not be changed by readers")
        if not bound.allows(value):
            raise _constraint_violation(f"Setting {name} of a reader may be {bound}, not {value[:40]!r}")
    return dict(requested)


def _constraint_violation(text: str) -> EngineError:
    return EngineError.of(452, "SETTING_CONSTRAINT_VIOLATION", text)
