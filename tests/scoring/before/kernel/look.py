"""Selection: the newest facts of each group, the retracted ones dropped afterwards, boiled down to a window."""

from collections.abc import Sequence

from services.scoring.domain.bounds import UNSET
from tests.scoring.before.kernel.arithmetic import DAY
from tests.scoring.before.kernel.goals import read_goals
from tests.scoring.before.kernel.meetings import read_bookings, read_late, read_meetings, read_missed
from tests.scoring.before.kernel.pace import read_pace
from tests.scoring.before.kernel.pauses import read_pauses
from tests.scoring.before.kernel.places import (
    AGREED,
    BOOKINGS,
    CADENCE,
    CANCELLED_LATE,
    CONTACTS_END,
    COUNTS,
    E_DAYS,
    ENDED,
    EXISTS,
    EXPECTATIONS,
    EXPECTED,
    FACTS_END,
    FIT_BY_MENTEE,
    FIT_BY_MENTOR,
    GOAL_FACTS,
    GOALS_ENDED,
    GOALS_SET,
    GROUPS,
    GROWN_MENTEE,
    GROWN_MENTOR,
    GROWTH,
    GROWTH_OF_MENTEE,
    GROWTH_OF_MENTOR,
    HELD,
    HELD_PLACE,
    LAST_CONTACT,
    LAST_HELD,
    LATE_SINCE,
    MESSAGES_BY_MENTEE,
    MESSAGES_BY_MENTOR,
    MISSED_BY_MENTEE,
    MISSED_BY_MENTOR,
    MISSED_SINCE,
    OUTCOMES,
    PAUSES,
    PREPARED_MENTEE,
    PREPARED_MENTOR,
    PULSES,
    RATINGS_BY_MENTEE,
    RATINGS_BY_MENTOR,
    RHYTHM,
    START,
    STARTED,
    STATUS,
    SUPPORT,
    TOLD_START,
    Columns,
    Window,
)
from tests.scoring.before.kernel.score import settle
from tests.scoring.before.kernel.talk import read_talk
from tests.scoring.before.kernel.voices import read_caps, read_feedback, read_pulses

HELD_KIND, ENDED_KIND = 8, 4

# What a window is made of: which groups a fact touches decides what has to be read again.
FRAME, MEETINGS, TALK, PACE, GOALS_READ, VOICES = 1, 2, 4, 8, 16, 32
EVERYTHING = 63
# Which parts a fact touches, by kind; whatever is not named changes the frame, and so everything.
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


def look(c: Columns, r: int, ends: Sequence[int], profile: Sequence[float], dirty: int, w: Window) -> None:
    """Writes the window of relationship r as of a number of its facts, told by `ends`. `dirty`: the parts to read
    again, EVERYTHING for a new window or a change of the frame: pauses and cadence are part of all that ages."""
    if dirty & FRAME:
        _frame(c, r, ends, profile, w)
    if dirty & (MEETINGS | TALK | FRAME):
        _contacts(c, r, ends, w)
    if dirty & MEETINGS:
        _meetings(c, r, ends, w)
    if dirty & TALK:
        a, a_end = _selected(c, r, ends, MESSAGES_BY_MENTOR)
        b, b_end = _selected(c, r, ends, MESSAGES_BY_MENTEE)
        read_talk(c, a, a_end, b, b_end, w)
    if dirty & PACE:
        read_pace(c, r, ends[CONTACTS_END], w)
    if dirty & GOALS_READ:
        read_goals(c, r, ends, w)
    if dirty & VOICES:
        _voices(c, r, ends, w)
    beginning = _beginning(c, r, ends, w)
    w.whole[EXISTS] = 0 if beginning == UNSET else 1
    w.whole[START] = beginning if w.whole[TOLD_START] == UNSET else w.whole[TOLD_START]
    settle(w, profile)


def _selected(c: Columns, r: int, ends: Sequence[int], group: int) -> tuple[int, int]:
    return max(c.begin[r * GROUPS + group], ends[group] - c.looked_at[group]), ends[group]


def _frame(c: Columns, r: int, ends: Sequence[int], profile: Sequence[float], w: Window) -> None:
    """Cadence, start, end and pauses."""
    low, high = _selected(c, r, ends, STARTED)
    w.whole[TOLD_START], w.real[E_DAYS] = UNSET, profile[CADENCE]
    for m in range(low, high):
        i = c.members[m]
        if c.stands[i] != 0:
            w.whole[TOLD_START] = c.time[i]
            w.real[E_DAYS] = profile[CADENCE] if c.first[i] == UNSET else c.first[i] / DAY
    low, high = _selected(c, r, ends, STATUS)
    w.whole[PAUSES] = read_pauses(c, low, high, w)
    w.whole[ENDED] = UNSET
    for m in range(high - 1, low - 1, -1):
        if c.kind[c.members[m]] == ENDED_KIND and c.stands[c.members[m]] != 0:
            w.whole[ENDED] = c.time[c.members[m]]


def _contacts(c: Columns, r: int, ends: Sequence[int], w: Window) -> None:
    """The last contact and the last held session, of all selected facts; and how many sessions rhythm rests on."""
    held, count = -1, 0
    low, high = _selected(c, r, ends, OUTCOMES)
    for m in range(low, high):
        if c.kind[c.members[m]] == HELD_KIND and c.stands[c.members[m]] != 0:
            held = c.members[m]
            count += 1
    alone = _newest(c, r, ends, HELD)
    if alone >= 0 and (low == high or alone < c.members[low]):
        held = max(held, alone)
        count += 1
    contact = max(held, _newest(c, r, ends, MESSAGES_BY_MENTOR), _newest(c, r, ends, MESSAGES_BY_MENTEE))
    w.whole[HELD_PLACE], w.whole[COUNTS + RHYTHM] = held, count
    w.whole[LAST_HELD] = UNSET if held < 0 else c.time[held]
    w.whole[LAST_CONTACT] = UNSET if contact < 0 else c.time[contact]


def _newest(c: Columns, r: int, ends: Sequence[int], group: int) -> int:
    """The place of the newest selected fact of a group that stands, -1: none."""
    low, high = _selected(c, r, ends, group)
    for m in range(high - 1, low - 1, -1):
        if c.stands[c.members[m]] != 0:
            return c.members[m]
    return -1


def _meetings(c: Columns, r: int, ends: Sequence[int], w: Window) -> None:
    low, high = _selected(c, r, ends, OUTCOMES)
    booked, booked_end = _selected(c, r, ends, BOOKINGS)
    told = read_meetings(c, low, high, booked, booked_end, w)
    w.whole[MISSED_SINCE] = w.whole[LATE_SINCE] = 0
    low, high = _selected(c, r, ends, MISSED_BY_MENTOR)
    read_missed(c, low, high, told, w)
    low, high = _selected(c, r, ends, MISSED_BY_MENTEE)
    read_missed(c, low, high, told, w)
    low, high = _selected(c, r, ends, CANCELLED_LATE)
    read_late(c, low, high, booked, booked_end, w)
    read_bookings(c, booked, booked_end, told, w)


def _voices(c: Columns, r: int, ends: Sequence[int], w: Window) -> None:
    a, a_end = _selected(c, r, ends, RATINGS_BY_MENTOR)
    b, b_end = _selected(c, r, ends, RATINGS_BY_MENTEE)
    read_feedback(c, a, a_end, b, b_end, w)
    low, high = _selected(c, r, ends, PULSES)
    read_pulses(c, low, high, w)
    low, high = _selected(c, r, ends, SUPPORT)
    a, a_end = _selected(c, r, ends, FIT_BY_MENTOR)
    b, b_end = _selected(c, r, ends, FIT_BY_MENTEE)
    read_caps(c, low, high, (a, a_end, b, b_end), w)
    mentor, mentee = _newest(c, r, ends, GROWTH_OF_MENTOR), _newest(c, r, ends, GROWTH_OF_MENTEE)
    w.whole[GROWN_MENTOR] = UNSET if mentor < 0 else c.time[mentor]
    w.whole[GROWN_MENTEE] = UNSET if mentee < 0 else c.time[mentee]
    w.whole[COUNTS + GROWTH] = (1 if mentor >= 0 else 0) + (1 if mentee >= 0 else 0)
    done = 0
    for group in (AGREED, PREPARED_MENTOR, PREPARED_MENTEE):
        done += 1 if _newest(c, r, ends, group) >= 0 else 0
    w.whole[EXPECTED] = w.whole[COUNTS + EXPECTATIONS] = done


def _beginning(c: Columns, r: int, ends: Sequence[int], w: Window) -> int:
    """The time of the first fact; where it is retracted, of the oldest selected one that stands. UNSET: none does."""
    first = c.fact_begin[r]
    if ends[FACTS_END] == first:
        return UNSET
    if c.stands[first] != 0:
        return c.time[first]
    oldest = -1
    for group in range(GROUPS):
        if GOALS_SET <= group <= GOALS_ENDED:
            continue
        low, high = _selected(c, r, ends, group)
        for m in range(low, high):
            if c.stands[c.members[m]] != 0 and (oldest < 0 or c.members[m] < oldest):
                oldest = c.members[m]
    for k in range(w.whole[GOAL_FACTS]):
        if c.stands[w.goal[k]] != 0 and (oldest < 0 or w.goal[k] < oldest):
            oldest = w.goal[k]
    return UNSET if oldest < 0 else c.time[oldest]
