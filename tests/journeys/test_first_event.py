"""Every block of the README and of the page of tools, and every request of the catalogue, run to the letter against one
`rapport up`."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local.child import project_environment
from tests.ingest.signing import SECRET
from tests.journeys.page_of_tools import every_block
from tests.journeys.system import CACHE

PROJECT = Path(__file__).parents[2]
READY_WITHIN = WAITED = 240
# The promise is 5 s; beside other tests, which start whole systems too, it takes longer.
SCORED_WITHIN = 60 if "PYTEST_XDIST_WORKER" in os.environ else 5


def test_the_first_event_of_the_readme_has_a_score_within_5_seconds_and_a_second_up_has_it_still(
    tmp_path: Path,
) -> None:
    (send, ask, *day_blocks), python = _blocks("sh"), _blocks("python")
    # As the page of tools names it: what a process reads from its environment it has from its start.
    with _rapport_up(tmp_path, f"export ZOOM_EUROPE_SECRET='{SECRET}'; exec rapport up") as first:
        sent = _shell(send, tmp_path)
        began = time.monotonic()

        answer = _shell(ask, tmp_path)
        while "health" not in answer and time.monotonic() - began < SCORED_WITHIN:
            time.sleep(0.1)
            answer = _shell(ask, tmp_path)
        day = _first_day(day_blocks, python, tmp_path)
        taken = _catalogue(tmp_path)
        tools = every_block(tmp_path, _shell)
        between, alerts = _a_pair_without_its_meetings(tmp_path)
    left = _children_of(tmp_path)
    # In a shell that has the environment of the first: its own stack starts again.
    with _rapport_up(tmp_path, ". .rapport/up/env; exec rapport up") as second:
        again = _shell(ask, tmp_path)

    assert '"status":202' in sent.replace(" ", ""), sent
    assert re.search(r"relationship_id: +ann-and-ben", answer), answer
    assert re.search(r"band: +thriving", answer)
    assert re.search(r"relationship_id: +ann-and-ben", again), again
    assert "5 new, 0 duplicates, 0 rejected" in day[0], day
    assert re.search(r"event +mentoring.session.held.v1 of acme/ann-and-ben.*\nscore +.*health", day[1]), day
    assert day[2].endswith("taken up by 2 processes: 1 connections\n"), day
    assert re.search(r"ann-and-ben +[0-9.]+ +thriving", day[3]), day
    assert _languages() == {"sh", "python", ""}, "a block of another language is run by nobody"
    assert taken == {}
    assert {tool for tool, status in tools if status in (200, 202, 204)} >= {
        "zoom",
        "typeform",
        "xapi",
        "hr",
        "mapping",
    }
    assert [one for one in tools if one[1] not in (200, 202, 204)] == [], tools
    assert float(between) > ALARMING, "else nothing is shown by that nobody was alerted"
    assert alerts == "0\n", "a pair whose meetings are still to be imported alarms nobody"
    assert first.returncode == second.returncode == 0
    assert left == _children_of(tmp_path) == [], "up leaves no process behind"


# Of the risk, at which a rule fires.
ALARMING = 0.7
PAIRS_ALONE = """
. .rapport/up/env
TOKEN=$(rapport ingest token create --tenant acme --source /tables)
cat > alone.csv <<'TABLE'
relationship,started_at,mentors,mentees,cadence_days
eve-and-fay,2025-01-05,p-eve,p-fay,14
TABLE
cat > once.csv <<'TABLE'
relationship,status,starts_at,minutes
eve-and-fay,held,2025-01-12 10:00,45
TABLE
import() { rapport ingest import "$@" --source /tables --program spring --time-zone Europe/Berlin --token "$TOKEN"; }
import alone.csv once.csv 1>&2
"""
ASKED = """
. .rapport/up/env
curl -sS -u analyst:analyst "$RAPPORT_CLICKHOUSE" -d "{query}"
"""
RISK = "SELECT risk FROM mentoring_mart.relationship_current WHERE relationship_id = 'eve-and-fay'"
ALERTS = "SELECT count() FROM mentoring.alert_log WHERE relationship_id = 'eve-and-fay'"


def _a_pair_without_its_meetings(folder: Path) -> tuple[str, str]:
    """Its risk as it stands after a first import, and the alerts about it, when notify has decided on that."""
    _shell(PAIRS_ALONE, folder)
    deadline, risk = time.monotonic() + WAITED, ""
    while not risk and time.monotonic() < deadline:
        # A question takes the engine longer than the pause.
        time.sleep(0.3)
        risk = _shell(ASKED.format(query=RISK), folder)
    return risk.strip(), _shell(ASKED.format(query=ALERTS), folder)


# A token takes effect within about a second.
TOKENS = """
GATEWAY="http://127.0.0.1:$RAPPORT_INGEST_PORT"
TOKEN=$(rapport ingest token create --tenant acme --source /calendar)
ADMIN_TOKEN=$(rapport ingest token create --tenant acme --source /calendar --admin)
sleep 2
"""


def _first_day(blocks: list[str], programs: list[str], folder: Path) -> list[str]:
    """What each block prints, its Python last: that reads the environment of the second terminal."""
    answers = [_shell(block, folder) for block in blocks]
    for program in programs:
        (folder / "program.py").write_text(program)
        answers.append(_shell(". .rapport/up/env; python program.py", folder))
    return answers


def _catalogue(folder: Path) -> dict[str, str]:
    """The requests that were not taken, with their answers."""
    pages = sorted((PROJECT / "schemas" / "catalogue").glob("*.md"))
    requests = [one for page in pages for one in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)]
    script = "\n".join(f"{request}echo" for request in requests)
    answers = _shell(f". .rapport/up/env; {TOKENS}\n{script}", folder).splitlines()
    assert len(answers) == len(requests), answers
    return {r: a for r, a in zip(requests, answers, strict=True) if '"status":202' not in a.replace(" ", "")}


def _blocks(language: str) -> list[str]:
    """Of the README, in their order."""
    return re.findall(rf"```{language}\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)


def _languages() -> set[str]:
    """Without one: the picture of the system, which nobody types."""
    return set(re.findall(r"^```(\w*)\n.*?^```$", (PROJECT / "README.md").read_text(), re.DOTALL | re.MULTILINE))


@contextmanager
def _rapport_up(folder: Path, command: str = "exec rapport up") -> Iterator["subprocess.Popen[str]"]:
    (folder / ".rapport").mkdir(exist_ok=True)
    if not (folder / ".rapport" / "cache").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        (folder / ".rapport" / "cache").symlink_to(CACHE)
    log = folder / "up.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=folder,
            env=_environment(),
            stdout=out,
            stderr=out,
            text=True,
            start_new_session=True,
        )
    try:
        _await_ready(process, log)
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(90)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail(f"rapport up did not stop:\n{log.read_text()[-2000:]}")


def _await_ready(process: "subprocess.Popen[str]", log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while "Ctrl-C stops everything" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def _shell(script: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _environment() -> dict[str, str]:
    """As in a shell of a newcomer, `rapport` being this environment's."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAPPORT_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), plain.get("PATH", "")])
    return {**plain, **project_environment(), "PATH": path}


def _children_of(folder: Path) -> list[str]:
    """Processes whose command line names the folder."""
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True, timeout=10).stdout
    return [line for line in found.splitlines() if str(folder) in line and "pytest" not in line]
