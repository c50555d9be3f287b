"""The pinned versions. Private names of all three packages are used here, and each drill ran with these versions:
another one may lose or duplicate events without any error. A module of its own, because the check runs before any of
them is imported: another version may lack those names."""

from collections.abc import Callable, Mapping
from importlib.metadata import version

PINNED: Mapping[str, str] = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}


class UnsupportedVersionError(Exception):
    """Another version is installed; the message states which, and the remedy."""


def assert_versions(installed: Callable[[str], str] = version) -> None:
    """Raises UnsupportedVersionError."""
    found = {name: installed(name) for name in PINNED}
    others = [f"{name} {found[name]} instead of {wanted}" for name, wanted in PINNED.items() if found[name] != wanted]
    if others:
        raise UnsupportedVersionError(
            f"scoring does not run on {', '.join(others)}: pip install --constraint constraints.txt 'rapport[scoring]'"
        )
