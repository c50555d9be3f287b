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
