"""The `rapport` command: hands over to one service's own command line without importing the others."""

import importlib
import sys

COMMANDS = {
    "up": ("deploy.local.commands", "the whole system on this machine, on the wall clock"),
    "demo": ("deploy.local.commands", "the same with two years of sample history, on the log's clock"),
    "topics": ("services.topics.__main__", "create the Kafka topics from the registry"),
    "ingest": ("services.ingest.__main__", "the gateway, its tokens, programmes and imports"),
    "scoring": ("services.scoring.__main__", "events to scores, and the check of scores against the log"),
    "warehouse": ("services.warehouse.__main__", "topics to ClickHouse, and its migrations"),
    "notify": ("services.notify.__main__", "scores to people"),
}
SERVICE_ARGUMENT_KEPT = {"up", "demo"}


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in {"-h", "--help", "help"}:
        sys.stdout.write(usage())
        return
    if name not in COMMANDS:
        sys.stderr.write(f"rapport: there is no command {name!r}\n\n{usage()}")
        sys.exit(2)
    _run(name)


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {purpose}" for name, (_, purpose) in COMMANDS.items()]
    return "\n".join(["Usage: rapport COMMAND ...   (rapport COMMAND --help tells more)", "", *lines, ""])


def _run(name: str) -> None:
    try:
        module = importlib.import_module(COMMANDS[name][0])
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.split(".")[0] in {"services", "schemas"}:
            raise
        extra = "local" if name in SERVICE_ARGUMENT_KEPT else name
        sys.exit(f"rapport {name} needs the package {missing.name}: pip install 'rapport[{extra}]'")
    arguments = sys.argv[1:] if name in SERVICE_ARGUMENT_KEPT else sys.argv[2:]
    module.main(args=arguments, prog_name="rapport" if name in SERVICE_ARGUMENT_KEPT else f"rapport {name}")


if __name__ == "__main__":
    main()
