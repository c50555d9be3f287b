"""Runs statements on replicated tables: python engine_replicated.py FOLDER, with a JSON list of statements on stdin;
prints a JSON list of [answer, null] or [null, error] for each.

A separate process, because the engine is configured with a keeper at its start: an in-memory one, which only allows
tables to be created."""

import json
import os
import sys
from pathlib import Path

import chdb

CONFIG = """<clickhouse>
  <zookeeper><implementation>testkeeper</implementation></zookeeper>
  <macros><shard>1</shard><replica>one</replica></macros>
</clickhouse>"""


def main(folder: Path) -> None:
    (folder / "engine.xml").write_text(CONFIG)
    handle = chdb.connect(f"{folder / 'data'}?config-file={folder / 'engine.xml'}")
    json.dump([answer(handle, statement) for statement in json.load(sys.stdin)], sys.stdout)
    sys.stdout.flush()
    # Tables that wait for their keeper would keep the engine from exiting.
    os._exit(0)


def answer(handle: "chdb.Connection", statement: str) -> tuple[str | None, str | None]:
    try:
        return (handle.query(statement, "TSV").bytes() or b"").decode(), None
    except RuntimeError as refused:
        return None, str(refused)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
