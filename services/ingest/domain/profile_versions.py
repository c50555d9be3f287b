"""What a new version of a programme may change: future scoring, never past scoring. Its profiles become an event on the
log, whose position decides which events are scored by them."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from schemas.events import ProfileSet, partition_key
from schemas.primitives import to_rfc3339
from schemas.programs import (
    DEFAULT_PROFILE,
    FORMER_DEFAULTS,
    PROFILE_NOTICE,
    Coefficients,
    Profile,
    ProfilesSet,
    Programme,
)
from services.ingest.domain.scope import RESERVED
from services.ingest.domain.verdict import Problem


@dataclass(frozen=True)
class Present:
    """The time up to which scores may be published: wall-clock time or, on the log's clock, the end of the log."""

    at: datetime
    words: str = "now"

    @property
    def earliest(self) -> datetime:
        """The earliest time at which a version may begin."""
        return self.at + PROFILE_NOTICE


def with_retained_versions(held: Programme | None, wanted: Programme) -> Programme:
    """Completes `wanted` by what a file need not repeat. A version without coefficients, which had none when it was
    written, keeps the defaults of that time. Versions that `rapport scoring calibrate` appended stay."""
    existing = {profile.version: profile for profile in held.profiles} if held else {}
    former = {version for version, profile in existing.items() if profile.coefficients == FORMER_DEFAULTS}
    versions = [
        profile.model_copy(update={"coefficients": FORMER_DEFAULTS})
        if profile.version in former and profile.coefficients == Coefficients()
        else profile
        for profile in wanted.profiles
    ]
    named = {profile.version for profile in versions}
    appended = [one for one in existing.values() if one.version == one.calibration and one.version not in named]
    first, *later = *versions, *appended
    later.sort(key=lambda profile: profile.effective_from or wanted.recordedtime)
    return wanted.model_copy(update={"profiles": (first, *later)})


def violations(held: Programme | None, wanted: Programme, present: Present) -> tuple[Problem, ...]:
    """Why `wanted` may not replace `held`, the current programme; empty if it may."""
    existing = {profile.version: profile for profile in held.profiles} if held else {}
    wants = {profile.version: profile for profile in wanted.profiles}
    problems = [
        Problem("profiles", f"version {profile.version!r} is in force or about to be: it must stay as it is")
        for profile in existing.values()
        if _begins_before(present.earliest, profile) and wants.get(profile.version) != profile
    ]
    begin = f"at least 1 hour from {present.words}, at {to_rfc3339(present.earliest)} or later"
    for index, profile in enumerate(wanted.profiles):
        # The first version of a new programme applies from the beginning; that of an existing one is a change.
        is_first = held is None and profile.effective_from is None
        if existing.get(profile.version) != profile and not is_first and _begins_before(present.earliest, profile):
            problems.append(Problem(f"profiles.{index}.effective_from", f"a new version must begin {begin}"))
    return tuple(problems)


def is_same(held: Programme | None, wanted: Programme) -> bool:
    return held is not None and held.model_copy(update={"recordedtime": wanted.recordedtime}) == wanted


def changes_past_scores(held: Programme | None, wanted: Programme) -> bool:
    """Whether published scores by the defaults would have been different: those of a programme without a record."""
    return held is None and wanted.profiles[0] != DEFAULT_PROFILE


SOURCE = f"{RESERVED}programs"


def profile_set(programme: Programme, recorded: datetime) -> ProfileSet:
    """The id is derived from the content: a repeat is the same event."""
    data = ProfilesSet(profiles=programme.profiles)
    content = f"{partition_key(programme.tenant, programme.id)}\0{recorded.isoformat()}\0{data.model_dump_json()}"
    return ProfileSet(
        type="mentoring.program.profile_set.v1",
        source=SOURCE,
        id=f"profile-set-{hashlib.blake2b(content.encode(), digest_size=16).hexdigest()}",
        time=recorded,
        recordedtime=recorded,
        tenant=programme.tenant,
        program=programme.id,
        data=data,
    )


def _begins_before(moment: datetime, profile: Profile) -> bool:
    return profile.effective_from is None or profile.effective_from < moment
