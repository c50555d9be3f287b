"""Runs statements under one role of the engine: python engine_roles.py FOLDER, with a JSON object of `grants`,
`prepare` and `ask` on stdin; prints a JSON list of [answer, null] or [null, error] for each of `ask`.

A separate process, because the engine reads roles from a file at its start and has no other users."""

import json
import sys
from pathlib import Path
from xml.sax.saxutils import escape

import chdb

ROLES = """<clickhouse>
  <profiles><default/></profiles><quotas><default/></quotas>
  <roles>
    <maker><grants><query>GRANT ALL ON *.* WITH GRANT OPTION</query></grants></maker>
    <tried><grants>{grants}</grants></tried>
  </roles>
  <users><default>
    <password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
    <grants><query>GRANT maker</query><query>GRANT tried</query></grants>
  </default></users>
</clickhouse>"""


def main(folder: Path) -> None:
    given = json.load(sys.stdin)
    grants = "".join(f"<query>GRANT {escape(grant)}</query>" for grant in given["grants"])
    (folder / "roles.xml").write_text(ROLES.format(grants=grants))
    config = folder / "engine.xml"
    config.write_text(f"<clickhouse><users_config>{folder / 'roles.xml'}</users_config></clickhouse>")
    address = f"{folder / 'data'}?config-file={config}"
    maker, tried = chdb.connect(address), chdb.connect(address)
    maker.query("SET ROLE maker", "TSV")
    for statement in given["prepare"]:
        maker.query(statement, "TSV")
    tried.query("SET ROLE tried", "TSV")
    if given["readonly"]:
        tried.query("SET readonly = 1", "TSV")
    json.dump([answer(tried, statement) for statement in given["ask"]], sys.stdout)


def answer(handle: "chdb.Connection", statement: str) -> tuple[str | None, str | None]:
    try:
        return (handle.query(statement, "TSV").bytes() or b"").decode(), None
    except RuntimeError as refused:
        return None, str(refused)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
