"""Which profile scores a relationship at an instant: a look-up in the versions of its programme. Profiles are events of
the log, so their position among the other events decides."""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from schemas.events import ProfileSet, partition_key
from schemas.primitives import to_micros
from schemas.programs import DEFAULT_PROFILE, Profile
from services.scoring.domain.bounds import DAY, NONE
from services.scoring.domain.score import FEATURES, LOWERING, STALLED_REVIEWS, Level, levels


class Parameters(NamedTuple):
    """`weights` of the factors, in the order of score.FACTORS; `coefficients` in that of score.FEATURES, with their
    signs. Periods in days."""

    weights: tuple[float, ...]
    base: float
    coefficients: tuple[float, ...]
    cadence: float
    review: float
    horizon: float
    stalled_after: int
    """Active microseconds after which an open goal is stalled."""


def parameters(profile: Profile) -> Parameters:
    """A missed meeting weighs the same for either side."""
    slopes = [getattr(profile.coefficients, name) for name in FEATURES]
    return Parameters(
        weights=tuple(float(weight) for _, weight in profile.weights),
        base=float(profile.coefficients.base),
        coefficients=tuple(
            float(-slope if name in LOWERING else slope) for name, slope in zip(FEATURES, slopes, strict=True)
        ),
        cadence=float(profile.cadence_days),
        review=float(profile.review_days),
        horizon=float(profile.horizon_days),
        stalled_after=math.floor(STALLED_REVIEWS * float(profile.review_days) * DAY + 0.5),
    )


@dataclass(frozen=True)
class Profiles:
    """All versions of one programme, oldest first; the first holds from the beginning."""

    versions: Sequence[Profile] = (DEFAULT_PROFILE,)

    def at(self, as_of: int) -> Profile:
        return self.versions[self.number(as_of)]

    def number(self, as_of: int) -> int:
        """The index of the version in force."""
        return bisect_right(self.changes, as_of)

    @cached_property
    def changes(self) -> list[int]:
        """The instants from which a later version holds, microseconds."""
        return [to_micros(version.effective_from) for version in self.versions[1:] if version.effective_from]

    @cached_property
    def parameters(self) -> list[Parameters]:
        """The versions in the form that the score uses."""
        return [parameters(version) for version in self.versions]

    @cached_property
    def levels(self) -> list[tuple[Level, ...]]:
        """The levels that each version watches."""
        return [levels(version.watch) for version in self.versions]

    @cached_property
    def fingerprint(self) -> int:
        """Equal for equal versions: identifies the profiles under which data was derived."""
        serialized = "\n".join(version.model_dump_json() for version in self.versions)
        return int.from_bytes(hashlib.blake2b(serialized.encode(), digest_size=8).digest(), "big", signed=True)

    def differ_from(self, other: "Profiles") -> int | None:
        """The first instant at which the two look-ups differ (the beginning: 0); None if they never do."""
        instants = sorted({0, *self.changes, *other.changes})
        return next((at for at in instants if without_start(self.at(at)) != without_start(other.at(at))), None)


DEFAULT = Profiles()
"""For a programme without a description."""


class Programmes:
    """The profiles of all described programmes, by tenant and programme."""

    def __init__(self) -> None:
        self._profiles: dict[tuple[str, str], Profiles] = {}
        self._positions: dict[tuple[str, str], int] = {}

    def of(self, relationship: str, program: str) -> Profiles:
        """The profiles of the programme of a relationship (`tenant/id`); the defaults for an unknown one."""
        return self.lookup(relationship.split("/", 1)[0], program)

    def lookup(self, tenant: str, program: str) -> Profiles:
        return self._profiles.get((tenant, program), DEFAULT)

    def apply(self, tenant: str, program: str, profiles: Profiles, position: int) -> Profiles:
        """Replace the profiles of a programme, unless the present ones are later on the log. Returns the previous
        profiles."""
        key = tenant, program
        before = self.lookup(*key)
        if position >= self._positions.get(key, NONE):
            self._profiles[key], self._positions[key] = profiles, position
        return before


def without_start(profile: Profile) -> Profile:
    """The profile without the instant from which it holds."""
    return profile.model_copy(update={"effective_from": None})


class AppliedProfiles(NamedTuple):
    """`position` of the event on the log; NONE: applied before profiles were events of the log."""

    tenant: str
    program: str
    profiles: Profiles
    position: int

    @property
    def name(self) -> str:
        return partition_key(self.tenant, self.program)


def applied_profiles(event: ProfileSet, position: int) -> AppliedProfiles:
    return AppliedProfiles(event.tenant, event.program, Profiles(event.data.profiles), position)


def programmes_of(applied: Iterable[AppliedProfiles]) -> Programmes:
    programmes = Programmes()
    for one in applied:
        programmes.apply(*one)
    return programmes
