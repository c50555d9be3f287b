"""Each extra installed by itself, from a wheel as users get it, into a new environment, with the tested versions."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_alone import STARTS

ROOT = Path(__file__).parents[1]
INSTALL_SECONDS = 900
# What marks a service: none of the others may bring it.
BROUGHT: dict[tuple[str, ...], set[str]] = {
    (): {"kafka"},
    ("ingest",): {"uvicorn", "clickhouse_connect"},
    ("scoring",): {"faust", "clickhouse_connect"},
    ("warehouse",): {"clickhouse_connect"},
    ("notify",): {"clickhouse_connect", "fastapi", "standardwebhooks", "uvicorn"},
    ("local",): {"chdb"},
}
MARKS = sorted(set().union(*BROUGHT.values()) - {"kafka"})
PRESENT = (
    "import importlib.util, json, sys; print(json.dumps([m for m in sys.argv[1:] if importlib.util.find_spec(m)]))"
)
# Files that are no code come along, too.
DATA: dict[tuple[str, ...], list[str]] = {("warehouse",): ["warehouse", "queries"], ("local",): ["demo", "--help"]}

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built beside the tree, in which a build would leave its own folders."""
    copy, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("schemas", "services", "deploy"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy)
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(built), str(copy)])
    (found,) = built.glob("rapport-*.whl")
    return found


@pytest.mark.parametrize("extras", STARTS, ids=lambda extras: "+".join(extras) or "base")
def test_an_extra_alone_installs_what_its_service_needs_and_nothing_of_the_others(
    wheel: Path, tmp_path: Path, extras: tuple[str, ...]
) -> None:
    run([sys.executable, "-m", "venv", str(tmp_path / "venv")])
    binaries = tmp_path / "venv" / "bin"
    asked = f"{wheel}[{','.join(extras)}]" if extras else str(wheel)

    run([str(binaries / "pip"), "install", "--quiet", "--constraint", str(ROOT / "constraints.txt"), asked])

    present = set(json.loads(run([str(binaries / "python"), "-c", PRESENT, *MARKS], tmp_path)))
    assert present == BROUGHT[extras] - {"kafka"}
    assert run([str(binaries / "rapport"), *STARTS[extras]], tmp_path)
    assert run([str(binaries / "rapport"), *DATA.get(extras, ["--help"])], tmp_path)


def run(command: list[str], folder: Path = ROOT) -> str:
    """What it printed; fails with all of it when the command does. No path of the tree is seen."""
    plain = {name: v for name, v in os.environ.items() if not name.startswith("RAPPORT_") and name != "PYTHONPATH"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=plain,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
