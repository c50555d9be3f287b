"""What a new version of a programme may change: the scoring of the future, never that of the past."""

from dataclasses import dataclass
from datetime import datetime

from schemas.primitives import to_rfc3339
from schemas.programs import DEFAULT_PROFILE, PROFILE_NOTICE, Profile, Programme
from services.ingest.domain.verdict import Problem


@dataclass(frozen=True)
class Present:
    """Up to where scores may be out: the wall's time or, on the log's clock, the end of the log."""

    at: datetime
    words: str = "now"

    @property
    def earliest(self) -> datetime:
        """From when on a version may begin."""
        return self.at + PROFILE_NOTICE


def violations(held: Programme | None, wanted: Programme, present: Present) -> tuple[Problem, ...]:
    """What keeps `wanted` from following `held`, the programme as it is now; empty if nothing does."""
    kept = {profile.version: profile for profile in held.profiles} if held else {}
    wants = {profile.version: profile for profile in wanted.profiles}
    fixed = [profile for profile in kept.values() if _takes_effect_before(profile, present.earliest)]
    changed = [_changed(profile) for profile in fixed if wants.get(profile.version) != profile]
    hasty = [
        _hasty(index, present)
        for index, profile in enumerate(wanted.profiles)
        if kept.get(profile.version) != profile and _is_hasty(profile, held, present.earliest)
    ]
    return (*changed, *hasty)


def is_same(held: Programme | None, wanted: Programme) -> bool:
    return held is not None and held.model_copy(update={"recordedtime": wanted.recordedtime}) == wanted


def changes_the_past(held: Programme | None, wanted: Programme) -> bool:
    """Whether scores by the defaults that may be out already would have been others: those of a programme that nobody
    had described."""
    return held is None and wanted.profiles[0] != DEFAULT_PROFILE


def _takes_effect_before(profile: Profile, moment: datetime) -> bool:
    return profile.effective_from is None or profile.effective_from < moment


def _is_hasty(profile: Profile, held: Programme | None, earliest: datetime) -> bool:
    if profile.effective_from is None:
        # The first version of a new programme holds from the beginning; that of a known one can only be a change.
        return held is not None
    return profile.effective_from < earliest


def _changed(profile: Profile) -> Problem:
    return Problem("profiles", f"version {profile.version!r} is in force or about to be: it must stay as it is")


def _hasty(index: int, present: Present) -> Problem:
    begin = f"at least 1 hour from {present.words}, at {to_rfc3339(present.earliest)} or later"
    return Problem(f"profiles.{index}.effective_from", f"a new version must begin {begin}")
