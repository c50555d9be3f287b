import json

import pytest
from pydantic import ValidationError

from schemas.programs import Coefficients, Programme
from tests.schemas.golden import example, put, read

FIRST = {"version": "v1"}
APRIL = {"version": "v2", "effective_from": "2026-04-01T00:00:00Z"}
MAY = {"version": "v3", "effective_from": "2026-05-01T00:00:00Z"}


def of(*profiles: dict[str, str]) -> Programme:
    return Programme.model_validate_json(json.dumps(put(example("programme"), ("profiles",), list(profiles))))


@pytest.mark.parametrize(
    ("profiles", "reason"),
    [
        ((APRIL,), "the first version holds from the beginning"),
        ((FIRST, {"version": "v2"}), "every version after the first needs effective_from"),
        ((FIRST, MAY, APRIL), "effective_from must grow"),
        ((FIRST, APRIL, {**MAY, "effective_from": APRIL["effective_from"]}), "effective_from must grow"),
        ((FIRST, {**APRIL, "version": "v1"}), "a version name is used twice"),
        ((), "at least 1 item"),
    ],
)
def test_versions_of_a_profile_that_do_not_follow_each_other_are_refused(
    profiles: tuple[dict[str, str], ...], reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        of(*profiles)


def test_versions_of_a_profile_follow_each_other() -> None:
    programme = of(FIRST, APRIL, MAY)

    assert [profile.version for profile in programme.profiles] == ["v1", "v2", "v3"]


def test_a_programme_that_says_little_is_scored_by_the_defaults() -> None:
    said = '{"id": "spruce", "tenant": "acme", "recordedtime": "2026-03-02T00:00:00Z"}'

    programme = Programme.model_validate_json(said)

    assert [profile.version for profile in programme.profiles] == ["default-1"]
    assert sum(dict(programme.profiles[0].weights).values()) == 100


def test_coefficients_from_before_time_elapsed_and_recent_activity_counted_have_0_for_both() -> None:
    before = {"base": 0.5, "silence": 0.9, "pace": 0.55, "history": 1.3, "missed": 0.5, "cancelled_late": 0.25}
    whole = {**before, "goal_stalled": 0.3, "rating_drop": 0.3, "booked": 1.0}

    of_then, some, now = (
        Coefficients.model_validate_json(json.dumps(said)) for said in (whole, before, {**whole, "elapsed": 0.2})
    )

    assert (of_then.silence, of_then.elapsed, of_then.activity) == (0.9, 0, 0)
    assert (some.silence, some.elapsed, some.activity) == (0.9, 0.4, 1.0)
    assert (now.elapsed, now.activity) == (0.2, 1.0)
    assert Coefficients.model_validate_json(of_then.model_dump_json()) == of_then


def test_the_example_changes_how_its_pairs_are_scored_in_spring() -> None:
    programme = read("programme")

    assert isinstance(programme, Programme)
    assert [profile.cadence_days for profile in programme.profiles] == [14, 21]
