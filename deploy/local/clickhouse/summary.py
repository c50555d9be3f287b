"""The X-ClickHouse-Summary header: what a statement read and wrote."""

import json
import time

from deploy.local.clickhouse.engine import Result


def summary(result: Result, began_ns: int) -> str:
    """`began_ns` is a `time.perf_counter_ns`."""
    counts = {
        "read_rows": result.storage_rows_read() or result.rows_read(),
        "read_bytes": result.storage_bytes_read(),
        "written_rows": result.rows_written(),
        "written_bytes": result.bytes_written(),
        "total_rows_to_read": result.storage_rows_read(),
        "result_rows": result.rows_written() or result.rows_read(),
        "result_bytes": result.bytes_written() or result.bytes_read(),
        "elapsed_ns": time.perf_counter_ns() - began_ns,
    }
    return json.dumps({name: str(count) for name, count in counts.items()})


def short_summary(began_ns: int) -> str:
    """For a streamed answer, of which the engine tells no counts."""
    return json.dumps({"elapsed_ns": str(time.perf_counter_ns() - began_ns)})
