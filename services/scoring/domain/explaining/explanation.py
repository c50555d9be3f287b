"""Everything there is to say about one relationship at one instant: how it is, why, how it came, what would lift it."""

from dataclasses import dataclass

from schemas.programs import Profile
from services.scoring.domain.bounds import NONE
from services.scoring.domain.explaining.knowledge import Knowledge
from services.scoring.domain.explaining.points import Missing, missing
from services.scoring.domain.explaining.remedies import Remedies, remedies
from services.scoring.domain.explaining.story import Change, story
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.row import HistoryRow


@dataclass(frozen=True)
class Explanation:
    """`at`: the instant of the newest row up to `as_of`; `row` is what is said of the relationship since then."""

    known: Knowledge
    as_of: int
    at: int
    row: HistoryRow
    profile: Profile
    missing: tuple[Missing, ...]
    story: tuple[Change, ...]
    remedies: Remedies


@dataclass(frozen=True)
class Untold:
    """There is nothing to explain."""

    reason: str


def explain(known: Knowledge, profiles: Profiles, as_of: int) -> Explanation | Untold:
    if known.erased:
        return Untold("it was erased: nothing is told of it any more")
    rows = ScoreHistory(known.facts, profiles).rows(NONE, as_of)
    if not rows:
        return Untold("nothing that counts had happened yet")
    at, row = next(reversed(rows.items()))
    lacks = missing(at, row, known.last_held(at))
    return Explanation(
        known=known,
        as_of=as_of,
        at=at,
        row=row,
        profile=profiles.at(at),
        missing=lacks,
        story=tuple(story(rows, known.words())),
        remedies=remedies(known, profiles, row, as_of, [lack.part for lack in lacks]),
    )
