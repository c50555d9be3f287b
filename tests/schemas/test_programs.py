import json

import pytest
from pydantic import ValidationError

from schemas.programs import Programme
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


def test_the_example_changes_how_its_pairs_are_scored_in_spring() -> None:
    programme = read("programme")

    assert isinstance(programme, Programme)
    assert [profile.cadence_days for profile in programme.profiles] == [14, 21]
