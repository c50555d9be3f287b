"""YAML or JSON files that people write: timestamps stay text, which schemas parse, and duplicate keys are refused."""

import re
from pathlib import Path

import yaml


class UnreadableError(Exception):
    """The file is not YAML or JSON, or has the wrong number of documents; the message says where."""


def documents(file: Path) -> list[object]:
    """Raises UnreadableError."""
    try:
        return list(yaml.load_all(file.read_bytes(), Loader=_Loader))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as broken:
        raise UnreadableError(f"{file}: {broken}") from broken
    except RecursionError:
        raise UnreadableError(f"{file}: is nested too deeply") from None


def one_document(file: Path) -> object:
    """Raises UnreadableError, also if the file has several documents or none."""
    found = documents(file)
    if len(found) != 1:
        raise UnreadableError(f"{file}: holds {len(found)} documents instead of one")
    return found[0]


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:  # noqa: FBT001, FBT002 (PyYAML's signature)
        names = [key.value for key, _ in node.value]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise yaml.MarkedYAMLError(problem=f"{twice!r} appears twice", problem_mark=node.start_mark)
        found: dict[object, object] = super().construct_mapping(node, deep)
        return found


def _as_text(loader: _Loader, node: yaml.ScalarNode) -> object:
    return loader.construct_scalar(node)


_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)")


def _as_int(loader: _Loader, node: yaml.ScalarNode) -> object:
    """YAML 1.1 reads 10:30 as 630 and 010 as 8: whoever writes these means neither."""
    return loader.construct_yaml_int(node) if _DECIMAL.fullmatch(node.value) else _as_text(loader, node)


def _as_float(loader: _Loader, node: yaml.ScalarNode) -> object:
    return _as_text(loader, node) if ":" in node.value else loader.construct_yaml_float(node)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _as_text)
_Loader.add_constructor("tag:yaml.org,2002:int", _as_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _as_float)
