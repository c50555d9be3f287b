"""Loads the statements that recompute and erase tables, each from a file of its own."""

from collections.abc import Mapping
from importlib.resources import files

from services.warehouse.domain.migration import ONE_SERVER, Topology


def statement(name: str, names: Mapping[str, str] | None = None, topology: Topology = ONE_SERVER) -> str:
    """`names` are our own names of tables and conditions; values are passed as parameters of the statement."""
    sql = (files("services.warehouse") / "recompute" / f"{name}.sql").read_text(encoding="utf-8")
    for placeholder, text in (names or {}).items():
        sql = sql.replace(f"{{{placeholder}}}", text)
    return topology.fill(sql)
