"""The `rapport` command: runs one service's own command line without importing the others."""

import importlib
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NamedTuple, NoReturn

from services.runtime import log
from services.runtime.gc_tuning import freeze_imports

INTERRUPTED = 130
OWN_PACKAGES = frozenset({"schemas", "services", "deploy"})


class Command(NamedTuple):
    """The module and attribute of its click command, and the extra of this distribution that it needs, if any."""

    module: str
    attribute: str
    extra: str | None
    purpose: str


COMMANDS = {
    "up": Command("deploy.local.commands", "up", "local", "run the whole system on this machine, on the wall clock"),
    "demo": Command(
        "deploy.local.commands", "demo_", "local", "run it with three years of sample history, on the log's clock"
    ),
    "topics": Command("services.topics.__main__", "main", None, "create the Kafka topics from the registry"),
    "programs": Command(
        "services.ingest.commands.programs",
        "programs",
        "ingest",
        "apply programmes: their contacts and how they are scored",
    ),
    "ingest": Command(
        "services.ingest.__main__", "main", "ingest", "run the gateway and its workers; tokens, imports, dead letters"
    ),
    "scoring": Command(
        "services.scoring.__main__", "main", "scoring", "compute scores from events; verify and explain them"
    ),
    "warehouse": Command(
        "services.warehouse.__main__", "main", "warehouse", "store topics in ClickHouse; migrations and queries"
    ),
    "notify": Command("services.notify.__main__", "main", "notify", "turn scores into alerts, deliver them; the board"),
}


def main() -> None:
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in {"-h", "--help", "help"}:
        sys.stdout.write(usage())
    elif name in COMMANDS:
        try:
            _run(name, arguments)
        except KeyboardInterrupt:  # during imports; later click handles it
            sys.exit(INTERRUPTED)
    else:
        _refuse(name)


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {command.purpose}" for name, command in COMMANDS.items()]
    return "\n".join(["Usage: rapport COMMAND ...   (rapport COMMAND --help for details)", "", *lines, ""])


def _run(name: str, arguments: Sequence[str]) -> None:
    command = COMMANDS[name]
    log.to_stderr()
    # numpy reads this at its import. Our matrices have some ten columns: spinning threads cost ten times the CPU and
    # save no time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        with freeze_imports():
            module = importlib.import_module(command.module)
        # The command may import more once it knows its arguments.
        getattr(module, command.attribute)(args=list(arguments), prog_name=f"rapport {name}")
    except ModuleNotFoundError as missing:
        top = (missing.name or "").split(".")[0]
        if not top or top in OWN_PACKAGES:
            raise
        package = f"rapport[{command.extra}]" if command.extra else "rapport"
        sys.exit(f"rapport {name} needs the module {top}: pip install '{package}'")


def _refuse(name: str) -> NoReturn:
    close = get_close_matches(name, COMMANDS, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    sys.stderr.write(f"rapport: there is no command {name!r}{hint}\n\n{usage()}")
    sys.exit(2)


if __name__ == "__main__":
    main()
