"""`rapport` as the stack calls it, without the services: `small_rapport.py NAME COMMAND ...`.

`serve`, `work` and `board` run small_service.py on the health port; the other commands use the broker and the engine
for real. Each imports what it needs: a service is started a hundred times and needs none of it.
"""

import json
import os
import sys
from pathlib import Path

name, command = sys.argv[1:3]
data = Path(os.environ["RAPPORT_DATA"])


def ask_clickhouse() -> str:
    import urllib.request  # noqa: PLC0415

    request = urllib.request.Request(os.environ["RAPPORT_CLICKHOUSE"], data=b"SELECT currentRoles()")
    request.add_header("X-ClickHouse-User", os.environ.get("RAPPORT_CLICKHOUSE_USER", "default"))
    request.add_header("X-ClickHouse-Key", os.environ.get("RAPPORT_CLICKHOUSE_PASSWORD", ""))
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


match command:
    case "create":
        from deploy.local.kafka.handshake import serves_clients

        host, _, port = os.environ["RAPPORT_KAFKA"].partition(":")
        assert serves_clients(host, int(port))
    case "migrate":
        print(ask_clickhouse(), end="")  # noqa: T201
        if (data / "refuse-migration").exists():
            sys.exit("no such table")
        if (data / "filled-before").exists():
            from services.warehouse.domain.tables import FILL

            print(f"to fill  weeks: {FILL}")  # noqa: T201
    case "recompute":
        (data / "filled-before").unlink()
    case "token":
        from pydantic import TypeAdapter

        from schemas.primitives import Code

        named = data / "tokens" / TypeAdapter(Code).validate_python(sys.argv[sys.argv.index("--id") + 1])
        if named.exists():
            sys.exit(f"token {named.name} exists already")
        named.parent.mkdir(exist_ok=True)
        named.touch()
        print(f"rpt_{named.name}")  # noqa: T201
    case "serve" | "work" | "board":
        process = name if command == "serve" else f"{name}-{command}"
        shared = {key: value for key, value in os.environ.items() if key.startswith("RAPPORT_")}
        (data / f"{process}.json").write_text(json.dumps(shared))
        script = Path(__file__).with_name("small_service.py")
        health_port = os.environ[f"RAPPORT_{process.upper().replace('-', '_')}_HEALTH_PORT"]
        os.execv(sys.executable, [sys.executable, str(script), process, health_port, str(data / "journal")])
