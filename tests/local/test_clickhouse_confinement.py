"""What the kernel denies to the engine's process, whatever the SQL: tested with the writer, who may run any
statement."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.clickhouse import ClickHouseConfig, LocalClickHouse
from deploy.local.clickhouse.confinement import landlock_abi
from tests.local.conftest import USERS
from tests.local.login import Login, code_of

SECRET = "only-the-owner-knows"
FORBIDDEN_BY_KERNEL = {74, 75, 76, 481, 1000, 1001}
needs_landlock = pytest.mark.skipif(landlock_abi() < 1, reason="this kernel has no Landlock: nothing is confined")


@pytest.fixture(scope="module")
def secret_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file beside the engine's folder, like the one with the writer's password."""
    file = tmp_path_factory.mktemp("stack") / "clickhouse-password"
    file.write_text(SECRET)
    return file


@pytest.fixture(scope="module")
def walled(secret_file: Path) -> Iterator[LocalClickHouse]:
    config = ClickHouseConfig(data=secret_file.with_name("clickhouse"), users=USERS)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAPPORT_SOME_SECRET", SECRET)
        with LocalClickHouse(config) as clickhouse:
            yield clickhouse


@needs_landlock
def test_no_file_outside_of_the_data_folder_is_read(walled: LocalClickHouse, secret_file: Path) -> None:
    writer = Login(walled.url, "rapport", "secret")
    users = walled.log.with_name("users.json")
    elsewhere = ["/etc/hostname", "/etc/passwd", str(secret_file), str(users), str(walled.log)]
    assert users.exists()

    for file in elsewhere:
        for sql in (f"SELECT file('{file}')", f"SELECT * FROM file('{file}', 'RawBLOB')"):
            answer = writer.ask(sql)

            assert code_of(answer) in FORBIDDEN_BY_KERNEL, answer.text


@needs_landlock
@pytest.mark.parametrize("what", ["environ", "cmdline", "mem", "root/etc/hostname", "cwd/pyproject.toml", "fd/2"])
def test_no_process_tells_its_environment(walled: LocalClickHouse, what: str) -> None:
    writer = Login(walled.url, "rapport", "secret")

    for process in ("self", "1", str(walled.pid), str(os.getpid())):
        answer = writer.ask(f"SELECT * FROM file('/proc/{process}/{what}', 'RawBLOB')")

        assert answer.status_code != 200
        assert SECRET not in answer.text


@needs_landlock
def test_no_file_outside_of_the_data_folder_is_written(walled: LocalClickHouse, tmp_path: Path) -> None:
    writer = Login(walled.url, "rapport", "secret")
    there = tmp_path / "written"

    answers = [
        writer.ask(f"INSERT INTO FUNCTION file('{there}', 'TSV', 'a UInt8') SELECT 1"),
        writer.ask(f"SELECT 1 AS a FORMAT Protobuf SETTINGS output_format_schema = '{there}.proto'"),
        writer.ask(f"BACKUP DATABASE default TO File('{there}')"),
    ]

    assert all(code_of(answer) != 0 for answer in answers)
    assert not list(tmp_path.glob("written*"))


@needs_landlock
@pytest.mark.skipif(landlock_abi() < 4, reason="this kernel's Landlock knows no TCP")
def test_the_engine_opens_no_connection(walled: LocalClickHouse) -> None:
    writer = Login(walled.url, "rapport", "secret")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        port = listening.getsockname()[1]
        answers = [
            writer.ask(f"SELECT * FROM url('http://127.0.0.1:{port}/', 'RawBLOB') SETTINGS http_max_tries = 1"),
            writer.ask(f"SELECT * FROM remote('127.0.0.1:{port}', 'system', 'one')"),
            writer.ask(f"SELECT * FROM s3('http://127.0.0.1:{port}/a/b', 'TSV', 'a String')"),
        ]

        with pytest.raises(TimeoutError):
            listening.accept()

    assert all(code_of(answer) != 0 for answer in answers)


def test_the_process_is_started_without_the_secrets_of_who_starts_it(walled: LocalClickHouse) -> None:
    environment = Path(f"/proc/{walled.pid}/environ").read_text()
    argv = Path(f"/proc/{walled.pid}/cmdline").read_text()

    assert "PATH=" in environment
    assert SECRET not in environment + argv
    assert "RAPPORT_" not in environment


@needs_landlock
def test_confinement_comes_before_threads_or_fails(tmp_path: Path) -> None:
    late = """
import sys, threading
from pathlib import Path
from deploy.local.clickhouse.confinement import confine
threading.Thread(target=threading.Event().wait, daemon=True).start()
confine((Path(sys.argv[1]),))
"""

    ended = subprocess.run(
        [sys.executable, "-c", late, str(tmp_path)], check=False, capture_output=True, text=True, timeout=60
    )

    assert ended.returncode == 1
    assert "before it starts threads" in ended.stderr


@needs_landlock
def test_the_confinement_is_reported_by_the_server_and_its_log(walled: LocalClickHouse) -> None:
    assert walled.confinement().startswith("confined: ")
    assert f"(Landlock ABI {landlock_abi()}); " in walled.confinement()
    assert walled.confinement().endswith("; read-only logins are open")
    assert "confined: a query reaches" in walled.log.read_text()


def test_a_server_that_is_not_confined_admits_no_readers(tmp_path: Path) -> None:
    with LocalClickHouse(ClickHouseConfig(data=tmp_path, users=USERS, unconfined=True)) as clickhouse:
        reading = Login(clickhouse.url, "reader", "reader").ask("SELECT 1")
        writing = Login(clickhouse.url, "rapport", "secret").ask("SELECT 1")
        confinement = clickhouse.confinement()

    assert (reading.status_code, code_of(reading)) == (403, 497)
    assert "--trust-readers" in reading.text
    assert writing.text == "1\n"
    assert confinement.startswith("not confined")
    assert confinement.endswith("read-only logins are refused")
    assert "not confined" in clickhouse.log.read_text()


def test_it_admits_readers_that_are_trusted_explicitly(tmp_path: Path) -> None:
    config = ClickHouseConfig(data=tmp_path, users=USERS, unconfined=True, trust_readers=True)
    with LocalClickHouse(config) as clickhouse:
        assert Login(clickhouse.url, "reader", "reader").lines("SELECT 1") == ["1"]
        assert clickhouse.confinement().endswith("read-only logins are open")
