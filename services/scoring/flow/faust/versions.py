"""The versions that scoring is made for. Private names of all three are used here, and each drill was run with these:
another version may lose or double events without any error. It stands alone because it is asked before any of them is
imported: another version may not have those names."""

from collections.abc import Callable, Mapping
from importlib.metadata import version

PINNED: Mapping[str, str] = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}


class UnsupportedVersionError(Exception):
    """Another version is installed; the message says which, and what to do."""


def assert_versions(installed: Callable[[str], str] = version) -> None:
    """Raises UnsupportedVersionError."""
    found = {name: installed(name) for name in PINNED}
    others = [f"{name} {found[name]} instead of {wanted}" for name, wanted in PINNED.items() if found[name] != wanted]
    if others:
        raise UnsupportedVersionError(
            f"scoring does not run on {', '.join(others)}: pip install --constraint constraints.txt 'rapport[scoring]'"
        )
