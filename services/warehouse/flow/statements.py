"""The statements by which derived tables are recomputed, each in a file of its own."""

from importlib.resources import files


def statement(name: str) -> str:
    return (files("services.warehouse") / "recompute" / f"{name}.sql").read_text(encoding="utf-8")
