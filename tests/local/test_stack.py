"""The stack with a real broker and a real engine; small processes stand in for the services."""

import io
import json
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from rich.console import Console

from deploy.local import stack
from deploy.local.clickhouse import LocalClickHouse
from deploy.local.commands import main
from deploy.local.data_folder import ClockMode, DataFolderError, locked_folder, secret
from deploy.local.display import PlainLines
from deploy.local.kafka import LocalKafka
from deploy.local.readiness import State
from deploy.local.stack import CommandFailedError, Stack, StackConfig
from services.warehouse.domain import tables
from tests.local.login import Login

CACHE = Path(__file__).parents[2] / ".rapport" / "cache"
RAPPORT = (sys.executable, str(Path(__file__).with_name("small_rapport.py")))
MAX_GUESSABLE = 16
SERVICES = ["warehouse", "scoring", "notify", "notify-board", "ingest-work", "ingest"]


@pytest.fixture
def printed() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def display(printed: io.StringIO) -> PlainLines:
    return PlainLines(Console(file=printed, width=200))


@pytest.fixture
def external(tmp_path: Path, local_kafka: LocalKafka, local_clickhouse: LocalClickHouse) -> StackConfig:
    """On the session's broker and server, so that only the services have to start."""
    return StackConfig(
        data=tmp_path, cache=CACHE, kafka=local_kafka.bootstrap, clickhouse=local_clickhouse.url, rapport=RAPPORT
    )


def test_the_stack_brings_up_everything_and_leaves_nothing(
    tmp_path: Path, display: PlainLines, printed: io.StringIO
) -> None:
    config = StackConfig(data=tmp_path, clock=ClockMode.LOG, cache=CACHE, rapport=RAPPORT)

    with Stack(config, display) as stack:
        assert stack.kafka is not None
        assert stack.clickhouse is not None
        assert all(stack.service(name).probe().state is State.READY for name in SERVICES)
        assert Login(stack.clickhouse_url, "reader", "reader").lines("SELECT currentRoles()") == ["['reader']"]
        pids = [stack.kafka.pid, stack.clickhouse.pid, *(stack.service(name).pid for name in SERVICES)]
        given = json.loads((tmp_path / "scoring.json").read_text())

    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert given == {**stack.environment, "RAPPORT_LOG_FORMAT": "json"}
    assert (given["RAPPORT_CLOCK"], given["RAPPORT_CLICKHOUSE_USER"]) == ("log", "rapport")
    assert [line for line in printed.getvalue().splitlines() if line.endswith(": stopped")] == [
        f"{name}: stopped"
        for name in ("ingest", "ingest-work", "notify-board", "notify", "scoring", "warehouse", "clickhouse", "kafka")
    ]


def test_what_the_stack_runs_has_a_digest_key_of_its_own_and_nobody_but_this_machine_reaches_it(
    tmp_path: Path, display: PlainLines
) -> None:
    with Stack(StackConfig(data=tmp_path, cache=CACHE, rapport=RAPPORT), display) as stack:
        key = stack.environment["RAPPORT_INGEST_DIGEST_KEY"]
        given = [json.loads((tmp_path / f"{name}.json").read_text()) for name in SERVICES]
        ports = [int(value) for name, value in stack.environment.items() if name.endswith("_PORT")]
        ports += [int(stack.environment["RAPPORT_KAFKA"].rpartition(":")[2]), urlsplit(stack.clickhouse_url).port or 0]
        # Whoever listens on every address listens on this one too.
        reached = [port for port in ports if socket.socket().connect_ex(("127.0.0.2", port)) == 0]

    assert len(key) >= MAX_GUESSABLE
    assert {one["RAPPORT_INGEST_DIGEST_KEY"] for one in given} == {key}
    assert reached == []
    held_by_others = [file for file in tmp_path.rglob("*") if file.is_file() and file.stat().st_mode & 0o077]
    # Those of the small services that stand in for ours tell what they were given.
    ours = [file for file in held_by_others if file.suffix != ".json"]
    assert [file.name for file in ours if key in file.read_text(errors="replace")] == []


def test_a_secret_whose_making_was_interrupted_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "word").touch(mode=0o600)

    made = secret(tmp_path / "word")

    assert len(made) >= MAX_GUESSABLE
    assert secret(tmp_path / "word") == made
    assert [file.name for file in tmp_path.iterdir()] == ["word"]
    assert (tmp_path / "word").stat().st_mode & 0o777 == 0o600


def test_an_env_file_that_others_could_read_becomes_private(external: StackConfig, display: PlainLines) -> None:
    (external.data / "env").write_text("left by an older version")
    (external.data / "env").chmod(0o644)

    with Stack(external, display):
        pass

    assert (external.data / "env").stat().st_mode & 0o777 == 0o600


def test_services_start_in_order_and_stop_in_reverse_on_parts_that_run_already(
    external: StackConfig, display: PlainLines
) -> None:
    with Stack(external, display) as stack:
        assert stack.kafka is None
        assert stack.clickhouse is None
        assert stack.environment["RAPPORT_KAFKA"] == external.kafka
        assert stack.gateway_url == f"http://127.0.0.1:{stack.environment['RAPPORT_INGEST_PORT']}"

    stops = [line for line in (external.data / "journal").read_text().splitlines() if line.startswith("stop")]
    assert stops == [f"stop {name}" for name in reversed(SERVICES)]


def test_ports_and_passwords_stay_the_same_over_restarts(external: StackConfig, display: PlainLines) -> None:
    with Stack(external, display) as stack:
        before = dict(stack.environment)
    with Stack(external, display) as stack:
        assert stack.environment == before

    assert secret(external.data / "word") == secret(external.data / "word")
    assert (external.data / "word").stat().st_mode & 0o777 == 0o600


def test_a_token_that_was_made_and_not_kept_does_not_stand_in_the_way(
    external: StackConfig, display: PlainLines, tmp_path: Path
) -> None:
    with Stack(replace(external, tenant="acme"), display):
        first = (tmp_path / "board-token").read_text()
    (tmp_path / "board-token").unlink()

    with Stack(replace(external, tenant="acme"), display):
        assert (tmp_path / "board-token").read_text() != first


def test_a_second_stack_on_the_folder_is_refused(external: StackConfig, display: PlainLines) -> None:
    with Stack(external, display), pytest.raises(DataFolderError, match="another stack is running on"):
        Stack(external, display).__enter__()


def test_a_folder_keeps_to_its_clock(tmp_path: Path) -> None:
    with locked_folder(tmp_path, ClockMode.LOG):
        pass

    with pytest.raises(DataFolderError, match="was filled on the log clock"), locked_folder(tmp_path, ClockMode.WALL):
        pass


def test_a_failed_migration_is_quoted_and_starts_no_service(external: StackConfig, display: PlainLines) -> None:
    external.data.joinpath("refuse-migration").touch()

    with pytest.raises(CommandFailedError, match=r"(?s)rapport warehouse migrate failed \(1\):.*no such table"):
        Stack(external, display).__enter__()

    assert not (external.data / "journal").exists()
    with locked_folder(external.data, ClockMode.WALL):  # the lock is free again
        pass


def test_tables_that_are_new_to_a_folder_are_filled_before_anything_starts(
    external: StackConfig, display: PlainLines, printed: io.StringIO
) -> None:
    (external.data / "filled-before").touch()

    with Stack(external, display):
        assert not (external.data / "filled-before").exists()
    with Stack(external, display):
        pass

    assert printed.getvalue().count("filling new tables") == 1


@pytest.fixture
def empty_folder(tmp_path: Path) -> Iterator[Path]:
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def test_up_says_what_is_missing_and_exits_with_1(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(empty_folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)

    result = CliRunner().invoke(main, ["up"])

    assert result.exit_code == 1
    assert "Kafka needs Java and `java` was not found: install" in result.output
    assert (empty_folder / ".rapport" / "up" / "clock").read_text() == "wall"


def test_the_stack_matches_the_message_of_the_migration() -> None:
    assert stack.NEEDS_RECOMPUTE == tables.FILL
