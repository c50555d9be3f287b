"""Which profile scores a relationship at an instant: a look-up in the versions of its programme."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from schemas.primitives import to_micros
from schemas.programs import DEFAULT_PROFILE, Profile
from services.scoring.domain.bounds import NONE
from services.scoring.domain.levels import Level, levels
from services.scoring.domain.parameters import Parameters, parameters


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
        """The versions as the score reads them."""
        return [parameters(version) for version in self.versions]

    @cached_property
    def levels(self) -> list[tuple[Level, ...]]:
        """The levels that each version watches."""
        return [levels(version.watch) for version in self.versions]

    def differ_from(self, other: "Profiles") -> int | None:
        """The first instant at which the two look-ups give another profile (the beginning: 0); None: there is none."""
        instants = sorted({0, *self.changes, *other.changes})
        return next((at for at in instants if _said(self.at(at)) != _said(other.at(at))), None)


DEFAULT = Profiles()
"""For a programme that nobody has described."""


class Programmes:
    """The profiles of all programmes that anybody has described, by tenant and programme."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Profiles] = {}
        self._offsets: dict[tuple[str, str], int] = {}

    def of(self, relationship: str, program: str) -> Profiles:
        """Those of the programme of a relationship (`tenant/id`); the defaults for an unknown one."""
        return self._known.get((relationship.split("/", 1)[0], program), DEFAULT)

    def offset_of(self, relationship: str, program: str) -> int:
        """Of the record that described the programme of a relationship; NONE if none did. What is healed with these
        profiles is healed up to there (`State.healed_programme`)."""
        return self._offsets.get((relationship.split("/", 1)[0], program), NONE)

    def tell(self, tenant: str, program: str, profiles: Profiles, offset: int = NONE) -> Profiles:
        """Replaces what is known of a programme; returns what was known before."""
        self._offsets[tenant, program] = offset
        before = self._known.get((tenant, program), DEFAULT)
        self._known[tenant, program] = profiles
        return before


def _said(profile: Profile) -> Profile:
    """What a profile says, whenever it began to."""
    return profile.model_copy(update={"effective_from": None})
