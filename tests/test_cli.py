import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.cli import COMMANDS, usage

ROOT = Path(__file__).parents[1]

# Runs a command as `rapport` does and tells, as the last line, which modules that took.
TOLD = """
import sys
from services.cli import main
{before}
try:
    main()
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""
# Who may import these. (Not rich: structlog takes it wherever it is installed.)
HEAVY: dict[str, set[str]] = {
    "chdb": set(),
    "clickhouse_connect": {"ingest", "scoring", "warehouse"},
    "fastapi": set(),
    "faust": {"scoring"},
    "matplotlib": set(),
    "scipy": set(),
    "standardwebhooks": {"notify"},
}


def rapport(*arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", TOLD.format(before=before), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def explained() -> dict[str, subprocess.CompletedProcess[str]]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(COMMANDS, pool.map(lambda name: rapport(name, "--help"), COMMANDS), strict=True))


def test_the_command_alone_shows_what_there_is() -> None:
    shown, asked = rapport(), rapport("--help")

    assert (shown.returncode, shown.stdout) == (0, usage())
    assert (asked.returncode, asked.stdout) == (0, usage())
    assert all(name in usage() for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_explains_itself_without_importing_the_others(
    name: str, explained: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    ran = explained[name]

    modules = set(ran.stderr.splitlines()[-1].split())
    own = ".".join(COMMANDS[name].module.split(".")[:2])
    foreign = {f"services.{other}" for other in ("ingest", "scoring", "warehouse", "notify", "topics")} - {own}
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"Usage: rapport {name} ")
    assert modules & foreign == set()
    assert {module for module, users in HEAVY.items() if module in modules and name not in users} == set()


def test_programmes_are_applied_by_a_command_of_their_own() -> None:
    ran = rapport("programs", "apply", "--help")

    assert ran.stdout.startswith("Usage: rapport programs apply ")


def test_a_misspelt_command_is_refused_with_the_nearest_one() -> None:
    ran = rapport("wharehouse")

    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith("rapport: there is no command 'wharehouse'; did you mean 'warehouse'?\n")


def test_a_command_like_none_is_refused_without_a_guess() -> None:
    ran = rapport("xyzzy")

    assert ran.returncode == 2
    assert ran.stderr.startswith("rapport: there is no command 'xyzzy'\n")


@pytest.mark.parametrize(
    ("name", "module", "package"),
    [
        ("warehouse", "clickhouse_connect", "rapport[warehouse]"),
        ("up", "rich", "rapport[local]"),
        ("topics", "kafka", "rapport"),
    ],
)
def test_a_missing_extra_is_reported_with_how_to_install_it(name: str, module: str, package: str) -> None:
    ran = rapport(name, "--help", before=f"sys.modules[{module!r}] = None")

    assert ran.returncode == 1
    assert f"rapport {name} needs the module {module}: pip install '{package}'\n" in ran.stderr


def test_a_module_of_ours_that_is_missing_is_no_missing_extra() -> None:
    ran = rapport("topics", "--help", before="sys.modules['schemas.topics'] = None")

    assert ran.returncode == 1
    assert "ModuleNotFoundError" in ran.stderr
    assert "pip install" not in ran.stderr


def test_what_is_logged_is_no_output_of_a_command() -> None:
    script = "from services.runtime import log; log.to_stderr(); log.get('x').warning('hello'); print('said')"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "said\n"
    assert "hello" in done.stderr


def test_ctrl_c_while_modules_are_imported_leaves_no_traceback() -> None:
    interrupted = "import importlib\ndef interrupt(_): raise KeyboardInterrupt\nimportlib.import_module = interrupt"

    ran = rapport("topics", "--help", before=interrupted)

    assert ran.returncode == 130
    assert "Traceback" not in ran.stderr
