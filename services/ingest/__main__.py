"""`rapport ingest`: the gateway and its commands. Only the module of the requested command is imported."""

from importlib import import_module

import click

from services.runtime.gc_tuning import freeze_imports

COMMANDS = {
    "serve": ("services.ingest.commands.serving", "serve"),
    "work": ("services.ingest.commands.serving", "work"),
    "token": ("services.ingest.commands.token_command", "token"),
    "programs": ("services.ingest.commands.programs", "programs"),
    "import": ("services.ingest.importing.command", "import_events"),
    "template": ("services.ingest.importing.command", "template"),
    "rejected": ("services.ingest.commands.dead_letters", "rejected"),
    "requeue": ("services.ingest.commands.dead_letters", "requeue"),
    "project": ("services.ingest.commands.serving", "project"),
    "try": ("services.ingest.commands.try_command", "try_"),
    "trace": ("services.ingest.commands.trace", "trace"),
    "connections": ("services.ingest.commands.connections", "connections"),
    "erase": ("services.ingest.commands.erase", "erase"),
}
"""The module and attribute of each command, by name. Importing all of them takes a second of CPU, most of which a
command such as `token`, or a worker, does not need."""


class IngestCommands(click.Group):
    """Uses only the names of `commands`, for the help and for suggestions when a name is misspelt."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (as click calls it)
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name]
        with freeze_imports():
            found: click.Command = getattr(import_module(module), attribute)
        return found


@click.group(cls=IngestCommands, commands={name: click.Command(name) for name in COMMANDS})
def main() -> None:
    """Raw input becomes trusted events."""


if __name__ == "__main__":
    main()
