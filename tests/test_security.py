"""SECURITY.md claims nothing that no test shows."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
NAMED = re.findall(r"`([\w/]+\.py)::(test_\w+)`", TESTS.with_name("SECURITY.md").read_text())


def test_there_are_claims() -> None:
    assert len(NAMED) > 40


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)), ids=lambda part: part)
def test_the_test_that_shows_a_claim_is_there(file: str, name: str) -> None:
    assert f"def {name}(" in (TESTS / file).read_text()
