"""A broker or a warehouse that is not there is said by the name of its setting, by every command and every service."""

import importlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from deploy.local.ports import free_port
from services.cli import COMMANDS
from services.runtime.kafka import connecting
from services.runtime.kafka.connecting import BrokerUnreachableError, check_reachable
from services.runtime.settings import Settings
from tests.receiver import eventually

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "deploy" / "local" / "sample" / "programme.yaml"
RULES = SAMPLE.with_name("rules.yaml")
KAFKA, CLICKHOUSE = "127.0.0.1:1", "http://127.0.0.1:2"
BROKER_AWAY = "RAPPORT_KAFKA names no broker that can be reached (127.0.0.1:1: Connection refused)"
SERVER_AWAY = "RAPPORT_CLICKHOUSE names no server that can be reached (http://127.0.0.1:2: Connection refused)"

# With what each command that needs one of the two is called, {roles} and {table} being files.
NEEDS_BROKER = {
    "topics create": "",
    "programs apply": str(SAMPLE),
    "programs upgrade": "",
    "ingest erase": "acme --source /x --participant p-1 --token rpt_x_y --yes",
    "ingest project": "",
    "ingest rejected export": "-",
    "ingest rejected list": "",
    "ingest rejected show": "mentoring.rejected/0/1",
    "ingest requeue": "mentoring.rejected/0/1",
    "ingest token create": "--tenant acme --source /x",
    "ingest token list": "",
    "ingest token revoke": "t1",
    "ingest trace": "--payload mentoring.raw.zoom/0/1",
    "ingest try": "zoom {body} --live",
    "scoring accept-gap": "0 1",
    "scoring backtest": "",
    "scoring calibrate": "",
    "scoring explain": "acme/rel-1",
    "scoring grow": "--partitions 8",
    "scoring repartition": "--partitions 8",
    "scoring heal": "acme/rel-1",
    "scoring replay": "",
    "scoring verify": "",
    "scoring what-if": f"--profile {SAMPLE}",
    "warehouse backup": "b1",
    "warehouse restore": "b1",
    "notify ack": "a1b2c3d4",
    "notify alerts": "",
    "notify assign": "a1b2c3d4 p1",
    "notify deliveries": "",
    "notify discard": "d1",
    "notify explain": "a1b2c3d4",
    "notify note": "a1b2c3d4 words",
    "notify preview": "a1b2c3d4",
    "notify replay": "d1",
    "notify rules apply": str(RULES),
    "notify rules backtest": str(RULES),
    "notify rules check": str(RULES),
    "notify rules show": "",
    "notify silence": "--tenant acme --until 2h",
    "notify snooze": "a1b2c3d4 --until 2h",
    "notify token create": "--tenant acme --person p-1 --role viewer",
    "notify token list": "",
    "notify token revoke": "t1",
    "notify unack": "a1b2c3d4",
    "notify unsilence": "acme s1",
    "notify vote": "a1b2c3d4 --useful --because acted",
}
NEEDS_SERVER = {
    "ingest trace": "/x id",
    "warehouse docs": "",
    "warehouse migrate": "",
    "warehouse queries": "worst_pairs",
    "warehouse reconcile": "",
    "warehouse recompute": "",
    "warehouse roles apply": "{roles}",
}
# These bring their own, or need neither.
NEEDS_NEITHER = {
    "up",
    "demo",
    "ingest connections check",
    "ingest connections reload",
    "ingest import",
    "ingest template",
    "notify check",
    "notify destinations check",
    "notify destinations list",
    "notify test",
}
SERVICES = ("ingest serve", "ingest work", "scoring serve", "warehouse serve", "notify serve", "notify board")


def commands() -> dict[str, click.Command]:
    def walk(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
        if not isinstance(command, click.Group):
            yield name, command
            return
        context = click.Context(command)
        for child in command.list_commands(context):
            of_it = command.get_command(context, child)
            assert of_it is not None, f"{name} {child}"
            yield from walk(of_it, f"{name} {child}")

    found: dict[str, click.Command] = {}
    for name, command in COMMANDS.items():
        found.update(walk(getattr(importlib.import_module(command.module), command.attribute), name))
    return {name: command for name, command in found.items() if not name.startswith("ingest programs")}


FOUND = commands()


def run(name: str, arguments: str, folder: Path) -> str:
    (folder / "body.json").write_text("{}")
    (folder / "roles.toml").write_text('[[login]]\nname = "ada"\nrole = "reader"\npassword_env = "ADA_PASSWORD"\n')
    given = arguments.format(roles=folder / "roles.toml", body=folder / "body.json")
    environment = {
        "RAPPORT_KAFKA": KAFKA,
        "RAPPORT_CLICKHOUSE": CLICKHOUSE,
        "RAPPORT_WAREHOUSE_BACKUPS": "Disk('backups', '{name}')",
        "ADA_PASSWORD": "a long password",
    }
    # As a user calls it: what a whole group of commands does with a failure counts too.
    of_whom, *words = name.split()
    command = COMMANDS[of_whom]
    group = getattr(importlib.import_module(command.module), command.attribute)
    ran = CliRunner().invoke(group, [*words, *shlex.split(given)], env=environment)
    assert ran.exit_code == 1, ran.output
    return ran.output


def test_every_command_is_asked() -> None:
    assert set(FOUND) == {*NEEDS_BROKER, *NEEDS_SERVER, *NEEDS_NEITHER, *SERVICES}


@pytest.mark.parametrize("name", NEEDS_BROKER)
def test_a_command_says_that_the_broker_is_not_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "REACH_SECONDS", 0.01)

    told = run(name, NEEDS_BROKER[name], tmp_path)

    assert BROKER_AWAY in told


@pytest.mark.parametrize("name", NEEDS_SERVER)
def test_a_command_says_that_the_warehouse_is_not_there(name: str, tmp_path: Path) -> None:
    told = run(name, NEEDS_SERVER[name], tmp_path)

    assert SERVER_AWAY in told


def test_services_say_it_and_wait(tmp_path: Path) -> None:
    with ExitStack() as stack:
        logs = {}
        for name in SERVICES:
            logs[name] = log = tmp_path / name.replace(" ", "-")
            environment = {
                **os.environ,
                "RAPPORT_KAFKA": KAFKA,
                "RAPPORT_CLICKHOUSE": CLICKHOUSE,
                "RAPPORT_INGEST_PORT": str(free_port(set())),
                "RAPPORT_NOTIFY_BOARD_PORT": str(free_port(set())),
                "RAPPORT_LOG_FORMAT": "json",
            }
            command = [sys.executable, "-m", "services.cli", *name.split()]
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=stack.enter_context(log.open("wb")))
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)

        def told(name: str) -> list[str]:
            lines = [json.loads(line) for line in logs[name].read_text().splitlines() if line.startswith("{")]
            return [line["reason"] for line in lines if line["event"] == "broker_away"]

        for name in SERVICES:
            eventually(partial(told, name), 60)
            assert told(name)[0] == BROKER_AWAY


def test_patience_is_well_below_the_five_seconds_and_one_address_that_answers_is_enough() -> None:
    assert connecting.REACH_SECONDS <= 2

    with pytest.raises(BrokerUnreachableError, match="nowhere:port: invalid literal"):
        check_reachable(Settings(kafka="nowhere:port"))
