"""Each extra by itself: its commands start where nothing else can be imported. (That what it names can be installed,
and brings no more, is a drill: tests/test_installs.py.)"""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.test_extras import canonical, project

ROOT = Path(__file__).parents[1]
# By the extras that are installed together, commands that import all of what they serve with.
STARTS: dict[tuple[str, ...], list[str]] = {
    (): ["topics", "create", "--help"],
    ("ingest",): ["ingest", "serve", "--check"],
    ("scoring",): ["scoring", "serve", "--check"],
    ("warehouse",): ["warehouse", "serve", "--check"],
    ("notify",): ["notify", "serve", "--check"],
    ("local",): ["up", "--help"],
}
# Runs a command as `rapport` does where these modules do not exist.
WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from services.cli import main
main()
"""


@pytest.mark.parametrize("extras", STARTS, ids=lambda extras: "+".join(extras) or "base")
def test_a_service_starts_with_its_own_extra_alone(extras: tuple[str, ...]) -> None:
    ended = rapport(extras, *STARTS[extras])

    assert ended.returncode == 0, ended.stdout
    assert ended.stdout


@pytest.mark.parametrize("missing", ["ingest", "scoring", "warehouse", "notify"])
def test_a_service_that_is_not_installed_says_how_to_get_it(missing: str) -> None:
    ended = rapport((), missing, "--help")

    assert ended.returncode == 1
    assert f"pip install 'rapport[{missing}]'" in ended.stdout


def rapport(extras: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(absent=absent(extras)), *arguments],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("RAPPORT_")}
        | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )


def absent(extras: tuple[str, ...]) -> set[str]:
    """Modules that an environment with these extras alone would not have."""
    asked = [*project()["dependencies"], *(one for name in extras for one in project()["optional-dependencies"][name])]
    installed = set(brought(map(Requirement, asked)))
    return {
        module
        for module, distributions in packages_distributions().items()
        if installed.isdisjoint(map(canonical, distributions)) and module not in {"schemas", "services", "deploy"}
    }


def brought(asked: Iterable[Requirement]) -> Iterator[str]:
    """The names of what is asked for, and of all that it needs in turn."""
    waiting, known = list(asked), set[tuple[str, frozenset[str]]]()
    while waiting:
        requirement = waiting.pop()
        key = (canonical(requirement.name), frozenset(requirement.extras))
        if key not in known:
            known.add(key)
            yield key[0]
            waiting += needed(requirement)


def needed(requirement: Requirement) -> list[Requirement]:
    try:
        found = map(Requirement, requires(requirement.name) or ())
    except PackageNotFoundError:
        return []
    environments = [{"extra": extra} for extra in ("", *requirement.extras)]
    return [one for one in found if one.marker is None or any(map(one.marker.evaluate, environments))]
