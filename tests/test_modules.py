"""Whatever lies under services/ is reached by a command of the product."""

import ast
import re
from pathlib import Path

from tests.test_extras import ROOT, imports, path_of

# Where the product begins: `rapport` itself, the modules that it names instead of importing, and `python -m`.
ENTRIES = ("services.cli", "schemas.publish")
_NAMED = re.compile(r"(?:services|schemas|deploy)(?:\.\w+)+")


def test_no_module_under_services_is_imported_only_by_tests_or_benchmarks() -> None:
    everything = {module_of(file) for file in (ROOT / "services").rglob("*.py") if file.name != "__init__.py"}

    assert sorted(everything - reached()) == []


def reached() -> set[str]:
    found: set[str] = set()
    waiting = set(ENTRIES)
    while waiting:
        found |= waiting
        waiting = {name for module in waiting for name in used(module) if path_of(name) is not None} - found
    return found


def used(module: str) -> set[str]:
    """What a module imports, or names by a string: a command's package starts by its `__main__`."""
    file = path_of(module)
    assert file is not None
    strings = [node.value for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Constant)]
    named = {text for text in strings if isinstance(text, str) and _NAMED.fullmatch(text)}
    return {*imports(module), *named, *(f"{name}.__main__" for name in named)}


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def test_a_class_has_a_name_of_its_own() -> None:
    """Whoever reads a name, or a traceback, knows which one is meant."""
    places: dict[str, list[str]] = {}
    for top in ("services", "schemas", "deploy"):
        for file in (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_bytes())):
                if isinstance(node, ast.ClassDef):
                    places.setdefault(node.name, []).append(module_of(file))

    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_who_forgets_the_oldest_of_many_does_so_in_an_ordered_dict() -> None:
    """The first entry of a dict is found behind all that were deleted before it: with 100,000 kept, each that is
    forgotten takes 0.2 ms."""
    forgets = re.compile(r"(?:del (\S+)\[|(\S+)\.pop\()next\(iter\((?:\1|\2)\)\)")
    found = [
        f"{module_of(file)}: {line.strip()}"
        for top in ("services", "schemas", "deploy")
        for file in (ROOT / top).rglob("*.py")
        for line in file.read_text().splitlines()
        if forgets.search(line)
    ]

    assert found == []
