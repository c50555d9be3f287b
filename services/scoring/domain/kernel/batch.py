"""Whole histories in one go: the score of every relationship at the instant of each of its facts. The columns are
closed: `begin`, `contact_begin`, `day_begin` and `fact_begin` end with where a further relationship would begin."""

from collections.abc import Sequence
from typing import NamedTuple

from services.scoring.domain.kernel.look import EVERYTHING, FRAME, GOALS_READ, MEETINGS, PACE, TALK, VOICES, look
from services.scoring.domain.kernel.places import (
    CONTACTS_END,
    EXISTS,
    FACTS_END,
    GROUPS,
    PROFILE,
    Columns,
    Window,
)
from services.scoring.domain.kernel.score import score

ERASED = 11
NO_SCORE = -1
# Which parts of a window a fact touches, by kind; whatever is not named changes the frame, and so everything.
PARTS = (
    EVERYTHING,  # 0: none
    EVERYTHING,  # 1: started
    EVERYTHING,  # 2: paused
    EVERYTHING,  # 3: resumed
    EVERYTHING,  # 4: ended
    MEETINGS,  # 5: scheduled
    MEETINGS,  # 6: rescheduled
    MEETINGS,  # 7: cancelled
    MEETINGS | PACE,  # 8: held
    MEETINGS,  # 9: missed
    TALK | PACE,  # 10: message
    EVERYTHING,  # 11: erased
    GOALS_READ,  # 12 to 17: goals
    GOALS_READ,
    GOALS_READ,
    GOALS_READ,
    GOALS_READ,
    GOALS_READ,
    VOICES,  # 18: celebrated; from here on what the two say and do of themselves
    VOICES,
    VOICES,
    VOICES,
    VOICES,
    VOICES,
    VOICES,
    VOICES,
    VOICES,
    VOICES,
    VOICES,
    VOICES,
    VOICES,
)
assert FRAME & EVERYTHING


class Work(NamedTuple):
    """What a batch is scored by, and where to. `vectors`: the versions of the profile, one after another; `changes`:
    from when on each but the first of the `versions` holds. `profile` and `ends` are room to work in. `health` and
    `risk`, in millionths, are written beside each fact, NO_SCORE where nothing stands."""

    vectors: Sequence[float]
    changes: Sequence[int]
    profile: list[float]
    ends: list[int]
    health: list[int]
    risk: list[int]


def score_all(c: Columns, w: Window, to: Work, relationships: int, versions: int) -> None:
    """Scores each of so many relationships at the time of each of its facts, in the profile's version of that time."""
    for r in range(relationships):
        _start(c, r, to.ends)
        low, high = c.fact_begin[r], c.fact_begin[r + 1]
        if _is_erased(c, low, high):
            _tell(to, low, high, (NO_SCORE, NO_SCORE))
            continue
        version, i = -1, low
        while i < high:
            at, first, dirty = c.time[i], i, 0
            while version < 0 or (version + 1 < versions and to.changes[version] <= at):
                version += 1
                _use(to, version)
                dirty = EVERYTHING
            while i < high and c.time[i] == at:
                dirty |= PARTS[c.kind[i]]
                _know(c, r, i, to.ends)
                i += 1
            look(c, r, to.ends, to.profile, dirty, w)
            _tell(to, first, i, score(w, to.profile, at) if w.whole[EXISTS] != 0 else (NO_SCORE, NO_SCORE))


def _use(to: Work, version: int) -> None:
    for k in range(PROFILE):
        to.profile[k] = to.vectors[version * PROFILE + k]


def _tell(to: Work, low: int, high: int, told: tuple[int, int]) -> None:
    for k in range(low, high):
        to.health[k], to.risk[k] = told


def _is_erased(c: Columns, low: int, high: int) -> bool:
    for i in range(low, high):
        if c.kind[i] == ERASED:
            return True
    return False


def _start(c: Columns, r: int, ends: list[int]) -> None:
    for group in range(GROUPS):
        ends[group] = c.begin[r * GROUPS + group]
    ends[CONTACTS_END], ends[FACTS_END] = c.contact_begin[r], c.fact_begin[r]


def _know(c: Columns, r: int, i: int, ends: list[int]) -> None:
    """One more fact, the next."""
    for group in range(GROUPS):
        if ends[group] < c.begin[r * GROUPS + group + 1] and c.members[ends[group]] == i:
            ends[group] += 1
    if ends[CONTACTS_END] < c.contact_begin[r + 1] and c.contact[ends[CONTACTS_END]] == i:
        ends[CONTACTS_END] += 1
    ends[FACTS_END] = i + 1
