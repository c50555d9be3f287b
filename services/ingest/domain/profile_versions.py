"""What a new version of a programme may change: the scoring of the future, never that of the past."""

from datetime import datetime

from schemas.programs import PROFILE_NOTICE, Profile, Programme
from services.ingest.domain.verdict import Problem


def violations(held: Programme | None, wanted: Programme, now: datetime) -> tuple[Problem, ...]:
    """What keeps `wanted` from following `held`, the programme as it is now; empty if nothing does."""
    earliest = now + PROFILE_NOTICE
    kept = {profile.version: profile for profile in held.profiles} if held else {}
    wants = {profile.version: profile for profile in wanted.profiles}
    fixed = [profile for profile in kept.values() if _takes_effect_before(profile, earliest)]
    changed = [_changed(profile) for profile in fixed if wants.get(profile.version) != profile]
    hasty = [
        _hasty(index)
        for index, profile in enumerate(wanted.profiles)
        if kept.get(profile.version) != profile and _is_hasty(profile, held, earliest)
    ]
    return (*changed, *hasty)


def is_same(held: Programme | None, wanted: Programme) -> bool:
    return held is not None and held.model_copy(update={"recordedtime": wanted.recordedtime}) == wanted


def _takes_effect_before(profile: Profile, moment: datetime) -> bool:
    return profile.effective_from is None or profile.effective_from < moment


def _is_hasty(profile: Profile, held: Programme | None, earliest: datetime) -> bool:
    if profile.effective_from is None:
        # The first version of a new programme holds from the beginning; that of a known one can only be a change.
        return held is not None
    return profile.effective_from < earliest


def _changed(profile: Profile) -> Problem:
    return Problem("profiles", f"version {profile.version!r} is in force or about to be: it must stay as it is")


def _hasty(index: int) -> Problem:
    return Problem(f"profiles.{index}.effective_from", "a new version must begin at least 1 hour from now")
