"""The statements by which tables are recomputed and erased, each in a file of its own."""

from collections.abc import Mapping
from importlib.resources import files

from services.warehouse.domain.migration import ONE_SERVER, Topology


def statement(name: str, names: Mapping[str, str] | None = None, topology: Topology = ONE_SERVER) -> str:
    """`names` are ours, of tables and conditions: values are parameters of the statement."""
    sql = (files("services.warehouse") / "recompute" / f"{name}.sql").read_text(encoding="utf-8")
    for placeholder, text in (names or {}).items():
        sql = sql.replace(f"{{{placeholder}}}", text)
    return topology.fill(sql)
