"""Scoring runs on its pinned versions, and reports any other."""

import subprocess
import sys
from importlib.metadata import version

import pytest

from services.scoring.flow.faust.versions import PINNED, UnsupportedVersionError, assert_versions
from tests.test_extras import project


def test_the_versions_that_are_checked_are_those_that_are_installed_and_asked_for() -> None:
    asked = [one for one in project()["optional-dependencies"]["scoring"] if "==" in one]

    assert {one.partition("[")[0].partition("==")[0]: one.partition("==")[2] for one in asked} == PINNED
    assert_versions(version)


def test_another_version_is_named_with_what_to_do() -> None:
    installed = {**PINNED, "aiokafka": "0.15.0"}

    with pytest.raises(UnsupportedVersionError, match=r"aiokafka 0\.15\.0 instead of 0\.14\.0: pip install"):
        assert_versions(installed.__getitem__)


def test_the_command_imports_none_of_them_before_their_versions_are_checked() -> None:
    """Another version may lack the private names: the error would then not name the version."""
    asked = "import sys, services.scoring.__main__; print({'faust', 'mode', 'aiokafka'} & sys.modules.keys())"

    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "set()"
