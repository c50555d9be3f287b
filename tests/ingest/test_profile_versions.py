from datetime import UTC, datetime, timedelta

from schemas.programs import FORMER_DEFAULTS, Coefficients, Profile, Programme
from services.ingest.domain.profile_versions import (
    Present,
    changes_past_scores,
    is_same,
    violations,
    with_retained_versions,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SOON = NOW + timedelta(minutes=59)
LATER = NOW + timedelta(hours=1)
FIRST = Profile(version="v1")


def programme(*profiles: Profile, region: str = "") -> Programme:
    return Programme(id="p", tenant="acme", region=region, profiles=profiles, recordedtime=NOW)


def second(effective_from: datetime, cadence_days: float = 7) -> Profile:
    return Profile(version="v2", effective_from=effective_from, cadence_days=cadence_days)


def paths(held: Programme | None, wanted: Programme) -> list[str]:
    return [problem.path for problem in violations(held, wanted, Present(NOW))]


def test_a_new_programme_begins_as_it_likes() -> None:
    assert paths(None, programme(Profile(version="own", cadence_days=30), second(LATER))) == []


def test_a_new_version_begins_an_hour_from_now_at_the_earliest() -> None:
    assert paths(programme(FIRST), programme(FIRST, second(LATER))) == []
    assert paths(programme(FIRST), programme(FIRST, second(SOON))) == ["profiles.1.effective_from"]
    assert paths(None, programme(FIRST, second(SOON))) == ["profiles.1.effective_from"]


def test_the_reason_names_the_earliest_instant() -> None:
    (problem,) = violations(None, programme(FIRST, second(SOON)), Present(NOW, "the end of the log"))

    assert problem.reason == (
        "a new version must begin at least 1 hour from the end of the log, at 2026-03-01T01:00:00.000000Z or later"
    )


def test_no_version_comes_in_before_one_that_is_in_force() -> None:
    past = NOW - timedelta(days=1)
    between = Profile(version="v3", effective_from=past - timedelta(days=1))
    renamed = Profile(version="v4", effective_from=past)

    assert paths(programme(FIRST, second(past)), programme(FIRST, between, second(past))) == [
        "profiles.1.effective_from"
    ]
    assert paths(programme(FIRST, second(past)), programme(FIRST, renamed)) == ["profiles", "profiles.1.effective_from"]


def test_a_version_far_ahead_cannot_be_drawn_near() -> None:
    assert paths(programme(FIRST, second(LATER)), programme(FIRST, second(SOON))) == ["profiles.1.effective_from"]


def test_a_first_description_that_is_not_the_default_changes_the_past() -> None:
    assert changes_past_scores(None, programme(FIRST))
    assert not changes_past_scores(None, programme(Profile(version="default-1"), second(LATER)))
    assert not changes_past_scores(programme(FIRST), programme(FIRST, second(LATER)))


def test_a_file_that_names_no_coefficients_still_means_the_defaults_that_it_meant_when_it_was_applied() -> None:
    held = programme(Profile(version="v1", coefficients=FORMER_DEFAULTS))

    again = with_retained_versions(held, programme(FIRST, second(LATER)))

    assert paths(held, again) == []
    assert [profile.coefficients for profile in again.profiles] == [FORMER_DEFAULTS, Coefficients()]
    assert with_retained_versions(None, programme(FIRST)) == programme(FIRST)
    assert with_retained_versions(programme(FIRST), programme(FIRST)) == programme(FIRST)


def test_a_version_that_calibrate_appended_stays_though_the_file_does_not_name_it() -> None:
    learnt = Profile(version="silence-1", calibration="silence-1", effective_from=NOW - timedelta(days=9))
    held = programme(FIRST, learnt, second(LATER))

    again = with_retained_versions(held, programme(FIRST, second(LATER)))

    assert again == held
    assert with_retained_versions(held, held) == held
    assert paths(held, with_retained_versions(held, programme(FIRST))) == []


def test_a_version_in_force_is_neither_changed_nor_dropped() -> None:
    changed = Profile(version="v1", cadence_days=30)

    assert paths(programme(FIRST), programme(changed)) == ["profiles", "profiles.0.effective_from"]
    assert paths(programme(FIRST, second(NOW)), programme(FIRST)) == ["profiles"]


def test_a_version_about_to_be_in_force_stays() -> None:
    assert paths(programme(FIRST, second(SOON)), programme(FIRST)) == ["profiles"]
    assert paths(programme(FIRST, second(SOON)), programme(FIRST, second(SOON))) == []


def test_a_version_far_enough_ahead_may_change_or_go() -> None:
    held = programme(FIRST, second(LATER))

    assert paths(held, programme(FIRST, second(LATER, cadence_days=21))) == []
    assert paths(held, programme(FIRST)) == []


def test_everything_but_the_time_of_recording_makes_a_programme() -> None:
    held = programme(FIRST)

    assert is_same(held, held.model_copy(update={"recordedtime": LATER}))
    assert not is_same(held, programme(FIRST, region="emea"))
    assert not is_same(None, held)
