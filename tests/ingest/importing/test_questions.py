"""Questions at a terminal, and the use of the answers."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import click
import pytest

from services.ingest.__main__ import main
from services.ingest.importing.options import OptionQuestion, question_handler
from services.ingest.importing.sender import ImportStoppedError
from tests.receiver import eventually

AMBIGUOUS = "relationship,status,starts_at\nrel-1,held,3/4/2026 10:00\n"
FOREIGN = "Beziehung;Status;Beginn\nrel-1;stattgefunden;03.04.2026 10:00\n"
SHOWN = "dry run, nothing was sent: 1 new, 0 duplicates, 0 rejected"

ALL_SEEN = "(all of it)"

Answering = Callable[..., Callable[[], str]]


@pytest.fixture
def at_a_terminal() -> Iterator[Answering]:
    """Called with typed text: from then on standard input and errors are a terminal. Returns a function that returns
    its output so far."""
    master, slave = os.openpty()
    shown = bytearray()

    def watch() -> None:
        # A terminal that nobody reads stops whoever writes to it.
        with suppress(OSError):
            while part := os.read(master, 4096):
                shown.extend(part)

    with ExitStack() as opened, pytest.MonkeyPatch.context() as patched:
        opened.callback(os.close, master)
        watching = threading.Thread(target=watch, daemon=True)
        opened.callback(watching.join, 10)
        stdin = opened.enter_context(os.fdopen(os.dup(slave), "r"))
        stderr = opened.enter_context(os.fdopen(slave, "w"))
        watching.start()

        def typed(*lines: str) -> Callable[[], str]:
            os.write(master, "".join(f"{line}\n" for line in lines).encode())
            patched.setattr(sys, "stdin", stdin)
            patched.setattr(sys, "stderr", stderr)
            return seen

        def seen() -> str:
            stderr.write(ALL_SEEN)
            stderr.flush()
            eventually(lambda: ALL_SEEN.encode() in shown)
            return shown.decode().partition(ALL_SEEN)[0].replace("\r\n", "\n")

        yield typed


def imported(file: Path, *options: str) -> int:
    """The exit code of a dry run."""
    with pytest.raises(SystemExit) as ended:
        main(["import", str(file), "--dry-run", *options])
    return int(ended.value.code or 0)


def test_every_question_of_a_table_is_asked_in_its_turn(
    at_a_terminal: Answering, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "met.csv").write_text(AMBIGUOUS)
    seen = at_a_terminal("dd/mm", "dd/mm/yyyy", "", "spring", "/tables", "Berlin", "Europe/Berlin")

    code = imported(tmp_path / "met.csv")

    told = seen()
    assert code == 0, told
    assert "which day is '3/4/2026 10:00' (line 2, column starts_at)?" in told
    assert "Error: 'dd/mm' is not one of 'dd/mm/yyyy', 'mm/dd/yyyy'." in told
    # Enter alone is no programme: nobody means the example.
    assert told.count("to which programme do the rows belong? (such as PROGRAMME):") == 2
    assert told.count("in which time zone are the times written? (such as Europe/Berlin):") == 2
    assert "Error: 'Berlin' is no IANA time zone" in told
    assert "met.csv: sessions, commas between cells, utf-8, days as dd/mm/yyyy" in told
    assert capsys.readouterr().out.strip() == SHOWN


def test_a_proposal_is_shown_and_accepted_with_enter(
    at_a_terminal: Answering, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "met.csv").write_text(FOREIGN)
    seen = at_a_terminal("")

    code = imported(tmp_path / "met.csv", "--source", "/x", "--program", "p", "--time-zone", "Europe/Berlin")

    told = seen()
    assert code == 0, told
    assert "  Beginn: starts_at\n" in told
    assert f"Review {tmp_path}/met.csv.columns.yaml and correct what is wrong [" in told
    assert capsys.readouterr().out.strip() == SHOWN


def test_a_rejected_proposal_must_be_corrected_first(at_a_terminal: Answering, tmp_path: Path) -> None:
    (tmp_path / "met.csv").write_text(FOREIGN)
    seen = at_a_terminal("no")

    code = imported(tmp_path / "met.csv", "--source", "/x", "--program", "p", "--time-zone", "Europe/Berlin")

    assert code == 1
    assert f"change {tmp_path}/met.csv.columns.yaml first, then give --columns" in seen()
    assert (tmp_path / "met.csv.columns.yaml").exists()


def test_the_end_of_input_sends_nothing(at_a_terminal: Answering, tmp_path: Path) -> None:
    (tmp_path / "met.csv").write_text(AMBIGUOUS)
    seen = at_a_terminal("dd/mm/yyyy\n\x04")

    code = imported(tmp_path / "met.csv")

    assert code == 1
    assert "Aborted!" in seen()


def test_without_a_terminal_the_missing_option_is_named() -> None:
    with pytest.raises(ImportStoppedError, match="which zone: give --time-zone Europe/Berlin"):
        question_handler()(OptionQuestion("--time-zone", "which zone", example="Europe/Berlin"))
    with pytest.raises(ImportStoppedError, match="is it: give --decimal-comma or --no-decimal-comma"):
        question_handler()(OptionQuestion("", "is it", ("--decimal-comma", "--no-decimal-comma")))


def test_an_unknown_zone_is_refused_before_a_row_is_read(tmp_path: Path) -> None:
    (tmp_path / "met.csv").write_text(AMBIGUOUS)

    with pytest.raises(click.BadParameter, match="'Europe/Berlim' is no IANA time zone"):
        main(["import", str(tmp_path / "met.csv"), "--dry-run", "--time-zone", "Europe/Berlim"], standalone_mode=False)
