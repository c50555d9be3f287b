"""A window that took its facts one after the other is the one that is read from all of them at once."""

import pytest

from services.scoring.domain.profiles import DEFAULT, Profiles
from services.scoring.domain.selector import Selector
from tests.scoring.whole_logs import CHANGING, relationships


@pytest.mark.parametrize("profiles", [DEFAULT, CHANGING], ids=["one version", "three versions"])
def test_a_window_that_grew_fact_by_fact_is_the_one_that_is_read_anew(profiles: Profiles) -> None:
    for facts in relationships(40):
        grown = Selector(facts, profiles)
        for at in sorted({key.time for key in facts}):
            anew = Selector(facts, profiles).scorer(at)
            assert grown.scorer(at).features(at) == anew.features(at)
            assert grown.scorer(at).numbers(at) == anew.numbers(at)
            assert grown.scorer(at).selection.window == anew.selection.window
