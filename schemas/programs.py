"""Programmes: their relationships' tenant, their coordinators, and the profiles by which their scores are computed."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.payloads import Days
from schemas.primitives import Id, Instant, Message, SourceUri, TimeZone

# A version takes effect at least this long after it was recorded, so that no row that was emitted changes.
PROFILE_NOTICE = timedelta(hours=1)
# Each is far beyond what a programme needs; all together fit into a record of the topic.
MAX_LEVELS, MAX_HOLIDAYS, MAX_SOURCES, MAX_PROFILES = 32, 1_000, 200, 200
Weight = Annotated[float, Field(ge=0, le=100)]


class Weights(Message):
    """Points of the health factors. They need not sum to 100: a score divides by the sum of those with data."""

    rhythm: Weight = 25
    reliability: Weight = 20
    goals: Weight = 20
    feedback: Weight = 15
    mutual: Weight = 8
    responsiveness: Weight = 7
    support: Weight = 5
    growth: Weight = 0
    expectations: Weight = 0


class WatchLevels(Message):
    """Levels at whose crossing a row is emitted; alert rules may only use these levels."""

    health: Annotated[tuple[Annotated[float, Field(gt=0, lt=100)], ...], Field(max_length=MAX_LEVELS)] = (
        75,
        50,
        40,
        25,
    )
    risk: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(max_length=MAX_LEVELS)] = (0.55, 0.70)


Coefficient = Annotated[float, Field(ge=0, le=100)]


class Coefficients(Message):
    """The coefficients of the disengagement model: of the linear predictor, and the weights of its covariates. All but
    `base` are signed by the model itself. Defaults: fitted on seven public temporal contact data sets. A record from
    before `elapsed` and `activity` names all other fields and neither of these: both are 0 then, so that its risks do
    not change."""

    base: Annotated[float, Field(ge=-100, le=100)] = 1.0
    silence: Coefficient = 0.45
    pace: Coefficient = 0.3
    history: Coefficient = 0.8
    elapsed: Coefficient = 0.4
    activity: Coefficient = 1.0
    missed: Coefficient = 0.5
    cancelled_late: Coefficient = 0.25
    goal_stalled: Coefficient = 0.3
    rating_drop: Coefficient = 0.3
    booked: Coefficient = 1.0

    @model_validator(mode="before")
    @classmethod
    def _zero_missing_terms(cls, given: object) -> object:
        later = {"elapsed", "activity"}
        if isinstance(given, Mapping) and cls.model_fields.keys() - later == given.keys():
            return {**given, **dict.fromkeys(later, 0.0)}
        return given


FORMER_DEFAULTS = Coefficients(base=0.5, silence=0.9, pace=0.55, history=1.3, elapsed=0, activity=0)
"""The coefficients of versions that named none, from before `elapsed` and `activity` existed."""


class CalibrationEvidence(Message):
    """The data behind calibrated coefficients: the number of cases that they were fitted on, and the calibration error
    on `judged` newer cases. `apart` is the mean difference between predicted risk and observed share over ten bins."""

    cases: Annotated[int, Field(ge=0, le=2**31 - 1)]
    judged: Annotated[int, Field(ge=0, le=2**31 - 1)]
    apart: Annotated[float, Field(ge=0, le=1)]

    def words(self) -> str:
        return (
            f"calibrated on {self.cases} cases of its own past; on {self.judged} newer ones predicted and observed lay "
            f"{self.apart:.2f} apart"
        )


class Profile(Message):
    """One version of how a programme is scored. The first version is valid from the beginning. `calibration` is the
    name under which `rapport scoring calibrate` fitted `coefficients`, `evidence` the data behind it. Without a
    calibration the scores are marked as uncalibrated."""

    version: Id
    effective_from: Instant | None = None
    weights: Weights = Weights()
    cadence_days: Days = 14
    review_days: Days = 30
    horizon_days: Days = 30
    watch: WatchLevels = WatchLevels()
    coefficients: Coefficients = Coefficients()
    calibration: Id | None = None
    evidence: CalibrationEvidence | None = None

    @property
    def certainty(self) -> str:
        """How far the risk can be trusted, in words."""
        return certainty(self.evidence, calibrated=self.calibration is not None)


DEFAULT_PROFILE = Profile(version="default-1")
"""Scores programmes that have no record."""


def certainty(evidence: CalibrationEvidence | None, *, calibrated: bool) -> str:
    """Describe how far a risk can be trusted, in the words that every view uses."""
    if evidence is not None:
        return evidence.words()
    return "calibrated on this organisation's history" if calibrated else "uncalibrated: general defaults"


Profiles = Annotated[tuple[Profile, ...], Field(min_length=1, max_length=MAX_PROFILES)]
"""All versions of a programme's profile, oldest first."""


class ProfilesSet(Message):
    """How a programme is scored from here on: all versions, so that a future one can be changed or withdrawn."""

    profiles: Profiles

    @model_validator(mode="after")
    def _versions_follow_each_other(self) -> Self:
        check_versions(self.profiles)
        return self


def check_versions(profiles: Profiles) -> None:
    """Raises ValueError if the versions are not in order."""
    first, *later = profiles
    if first.effective_from is not None:
        raise ValueError("profiles.0.effective_from: the first version holds from the beginning, leave it out")
    if any(profile.effective_from is None for profile in later):
        raise ValueError("profiles: every version after the first needs effective_from")
    starts = [profile.effective_from for profile in later if profile.effective_from]
    if sorted(set(starts)) != starts:
        raise ValueError("profiles: effective_from must grow from version to version")
    if len({profile.version for profile in profiles}) != len(profiles):
        raise ValueError("profiles: a version name is used twice")


class Source(Message):
    """A feed that is expected to send events, and how often."""

    source: SourceUri
    interval_hours: Annotated[float, Field(gt=0, le=24 * 90)]


class SourceWatermark(Message):
    """The progress of a source. `time`: the time of its latest event, as it states it; `recordedtime`: when its last
    event was recorded. There are several writers: the latest value counts, regardless of the order of arrival."""

    tenant: Id
    source: SourceUri
    time: Instant
    recordedtime: Instant


class Programme(Message):
    """A programme with all versions of its profile, oldest first."""

    id: Id
    tenant: Id
    region: Annotated[str, Field(max_length=64)] = ""
    time_zone: TimeZone = "UTC"
    coordinator: Id | None = None
    deputy: Id | None = None
    manager: Id | None = None
    holidays: Annotated[tuple[date, ...], Field(max_length=MAX_HOLIDAYS)] = ()
    sources: Annotated[tuple[Source, ...], Field(max_length=MAX_SOURCES)] = ()
    profiles: Profiles = (DEFAULT_PROFILE,)
    recordedtime: Instant

    @model_validator(mode="after")
    def _versions_follow_each_other(self) -> Self:
        check_versions(self.profiles)
        return self
