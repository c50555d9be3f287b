"""What `rapport up` and `rapport demo` take from the shell, and how the demo reports its progress."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.commands import external_setting, up
from deploy.local.demo.progress import Progress

OWN = "127.0.0.1:19092"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of a stack with its own broker and an external ClickHouse."""
    (tmp_path / "kafka").mkdir()
    (tmp_path / "env").write_text(f"export RAPPORT_CLICKHOUSE=http://elsewhere:8123\nexport RAPPORT_KAFKA={OWN}\n")
    return tmp_path


def test_a_shell_with_the_env_of_a_stack_starts_its_parts_again(data: Path) -> None:
    shell = {"RAPPORT_DATA": str(data), "RAPPORT_KAFKA": OWN, "RAPPORT_CLICKHOUSE": "http://elsewhere:8123"}

    assert external_setting("RAPPORT_KAFKA", shell) is None
    assert external_setting("RAPPORT_CLICKHOUSE", shell) == "http://elsewhere:8123"


def test_an_external_setting_is_used(data: Path) -> None:
    assert external_setting("RAPPORT_KAFKA", {}) is None
    assert external_setting("RAPPORT_KAFKA", {"RAPPORT_KAFKA": ""}) is None
    assert external_setting("RAPPORT_KAFKA", {"RAPPORT_KAFKA": OWN}) == OWN
    other = {"RAPPORT_DATA": str(data), "RAPPORT_KAFKA": "broker.example.com:9092"}
    assert external_setting("RAPPORT_KAFKA", other) == "broker.example.com:9092"
    (data / "env").unlink()
    assert external_setting("RAPPORT_KAFKA", other | {"RAPPORT_KAFKA": OWN}) == OWN


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(-60, 1)), min_size=1), st.floats(0, 600))
def test_progress_never_runs_backwards(seen: list[tuple[float, float]], seconds: float) -> None:
    progress, told = Progress(), 0

    for rest, reached in seen:
        progress.update(rest, reached)
        percent = int(progress.describe(seconds).split()[0])
        assert told <= percent <= 99
        told = percent


def test_a_port_that_is_taken_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        # As the first of all: what comes before it may be in use by other tests.
        result = CliRunner().invoke(up, ["--data", str(tmp_path / "data"), "--first-port", str(port)])

    assert result.exit_code == 1
    assert f"rapport: port {port} is in use: end what listens there, or choose another --first-port" in result.output
    assert not (tmp_path / "data" / "kafka").exists()


def test_a_folder_without_write_permission_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = CliRunner().invoke(up, ["--data", str(tmp_path / "file" / "data")])

    assert result.exit_code == 1
    assert f"rapport: {tmp_path}/file/data: Not a directory" in result.output


def test_progress_waits_for_what_is_not_reached_yet() -> None:
    progress = Progress()

    progress.update(100, 0.2)
    progress.update(0, 0.2)

    assert progress.describe(20) == "20 % done, about 80 s left"
