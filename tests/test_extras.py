"""Whoever installs one service gets what that service imports: all of it, and nothing else."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = frozenset({"schemas", "services", "deploy"})
SERVICES = ("ingest", "scoring", "warehouse", "notify")
# Extras of commands that say themselves what to install, and the service they belong to.
COMMANDS = {"ingest": ("excel",), "scoring": ("analysis",)}

# Named in pyproject.toml though no line imports them.
NOT_IMPORTED = {
    # uvicorn parses HTTP with it.
    "httptools",
    # uvicorn's event loop, where the platform has it.
    "uvloop",
    # zoneinfo reads it where the system has no time zones of its own.
    "tzdata",
}


@pytest.mark.parametrize("service", SERVICES)
def test_base_and_extra_of_a_service_are_exactly_what_it_imports(service: str) -> None:
    asked = base().union(*(extra(name) for name in (service, *COMMANDS.get(service, ()))))

    assert imported(f"services.{service}") == asked - NOT_IMPORTED


def test_topics_are_created_with_the_base_alone() -> None:
    assert imported("services.topics") <= base()


def test_the_extra_of_the_local_stack_is_exactly_what_it_imports_beyond_the_base() -> None:
    assert imported("deploy") - base() == extra("local")


def test_an_extra_repeats_nothing_of_the_base() -> None:
    assert [name for name in project()["optional-dependencies"] if base() & extra(name)] == []


def test_every_dependency_has_a_tested_version() -> None:
    pinned = {canonical(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}

    asked = base().union(*(extra(name) for name in project()["optional-dependencies"]))

    assert asked <= pinned


def base() -> set[str]:
    return set(map(canonical, project()["dependencies"]))


def extra(name: str) -> set[str]:
    return set(map(canonical, project()["optional-dependencies"][name]))


def project() -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def canonical(requirement: str) -> str:
    """`kafka-python[lz4]>=3` and `Kafka_Python==3.0` are both kafka-python."""
    name = re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(package: str) -> set[str]:
    """The distributions of all modules that the package imports, itself or through other modules of ours."""
    distributions = _installed()
    third_party = {
        top
        for module in reached(package)
        for name in imports(module)
        if (top := name.split(".")[0]) not in OURS | sys.stdlib_module_names
    }
    return {named(top, distributions[top]) for top in third_party}


@cache
def _installed() -> Mapping[str, list[str]]:
    """The distributions by the modules that they bring."""
    return packages_distributions()


def named(module: str, distributions: list[str]) -> str:
    """A module may be spread over several distributions: then the one that bears its name (chdb, not chdb-core)."""
    found = sorted(set(map(canonical, distributions)), key=lambda name: (name != module, name))
    return found[0]


def reached(package: str) -> set[str]:
    found: set[str] = set()
    waiting = set(modules_under(package))
    while waiting:
        found |= waiting
        waiting = {name for module in waiting for name in imports(module) if path_of(name)} - found
    return found


def modules_under(package: str) -> Iterator[str]:
    for file in ROOT.joinpath(*package.split(".")).rglob("*.py"):
        yield ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports(module: str) -> frozenset[str]:
    """Everything that its source imports, wherever in the file; `from a import b` may mean the module a.b."""
    file = path_of(module)
    assert file is not None, f"{module} is a module of ours"
    return frozenset(_imported_by(ast.parse(file.read_bytes())))


def _imported_by(source: ast.Module) -> Iterator[str]:
    for node in ast.walk(source):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(origin), names=names):
                yield origin
                yield from (f"{origin}.{alias.name}" for alias in names)


def path_of(module: str) -> Path | None:
    steps = module.split(".")
    if steps[0] not in OURS:
        return None
    candidates = (ROOT.joinpath(*steps).with_suffix(".py"), ROOT.joinpath(*steps, "__init__.py"))
    return next((file for file in candidates if file.exists()), None)
