"""The score of a window at an instant: valid until the next fact."""

import math
from collections.abc import Sequence

from services.scoring.domain.bounds import UNSET
from tests.scoring.before.kernel.arithmetic import (
    DAY,
    GOALS_SHARE,
    RECENT_SHARE,
    SILENCE_CADENCES,
    STALLED_REVIEWS,
    expectations,
    fresh,
    probability,
    rounded,
    silence,
)
from tests.scoring.before.kernel.pauses import active
from tests.scoring.before.kernel.places import (
    BASE,
    CONTACTS,
    COUNTS,
    E_DAYS,
    EXPECTATIONS,
    EXPECTED,
    FACTORS,
    GOALS,
    GOALS_OPEN,
    GOALS_SEEN,
    GROWN_MENTEE,
    GROWN_MENTOR,
    GROWTH,
    HORIZON,
    LAST_CONTACT,
    LAST_GOAL_CHANGE,
    LAST_HELD,
    LATE_SINCE,
    MEDIAN,
    MISSED_SINCE,
    OF_BOOKED,
    OF_DROP,
    OF_HISTORY,
    OF_LATE,
    OF_MISSED,
    OF_PACE,
    OF_SILENCE,
    OF_STALLED,
    OTHERS,
    PAUSES,
    RATING_DROP,
    RELIABILITY,
    REVIEW,
    RHYTHM,
    SHAPE,
    SILENCE,
    SILENT,
    START,
    STARTS,
    STEADY,
    Window,
)


def settle(w: Window, profile: Sequence[float]) -> None:
    """Writes what time does not change: weights, the points of the steady factors, the steady part of the predictor."""
    total = 0.0
    for k in range(FACTORS):
        w.weight[k] = profile[k] if has_data(w, k) else 0.0
        total += w.weight[k]
    w.real[STEADY] = 0.0
    for k in range(FACTORS):
        w.weight[k] = 100.0 * w.weight[k] / total if total > 0.0 else 0.0
        w.value[k] = w.share[k] = 0.0
        if w.weight[k] > 0.0 and k not in (RHYTHM, GOALS, GROWTH, EXPECTATIONS):
            w.value[k] = w.real[k]
            w.share[k] = w.weight[k] * w.real[k]
            w.real[STEADY] += w.share[k]
    w.feature[OF_PACE] = math.log(w.real[MEDIAN] / profile[HORIZON])
    w.feature[OF_HISTORY] = math.log1p(w.whole[CONTACTS])
    w.feature[OF_MISSED], w.feature[OF_LATE] = w.whole[MISSED_SINCE], w.whole[LATE_SINCE]
    w.feature[OF_DROP] = w.real[RATING_DROP]
    w.real[OTHERS] = profile[BASE]
    for k in (OF_PACE, OF_HISTORY, OF_MISSED, OF_LATE, OF_DROP):
        w.real[OTHERS] += signed(k) * profile[SILENT + k] * w.feature[k]


def score(w: Window, profile: Sequence[float], at: int) -> tuple[int, int]:
    """Health and risk in millionths; writes the values and points of the factors and the features of the model."""
    since = days_since(w, w.whole[LAST_CONTACT], at)
    core = w.real[STEADY] + _aging(w, profile, at)
    w.value[SILENCE] = 1.0 - fresh(since / (SILENCE_CADENCES * w.real[E_DAYS]))
    w.share[SILENCE] = -w.value[SILENCE] * core
    w.feature[OF_SILENCE] = silence(since, w.real[MEDIAN], w.real[SHAPE])
    w.feature[OF_STALLED] = 1.0 if is_stalled(w, profile, at) else 0.0
    w.feature[OF_BOOKED] = 1.0 if w.whole[STARTS] > 0 and w.starts[w.whole[STARTS] - 1] > at else 0.0
    return rounded(core + w.share[SILENCE]), rounded(probability(predictor(w, profile)))


def days_since(w: Window, last: int, at: int) -> float:
    """Active days since an instant, since the start where it is unset."""
    begin = w.whole[START] if last == UNSET else last
    if begin >= at:
        return 0.0
    if w.whole[PAUSES] == 0:
        return (at - begin) / DAY
    return active(w, w.whole[PAUSES], begin, at) / DAY


def is_stalled(w: Window, profile: Sequence[float], at: int) -> bool:
    if w.whole[GOALS_OPEN] == 0:
        return False
    return active(w, w.whole[PAUSES], w.whole[LAST_GOAL_CHANGE], at) >= stalled_after(profile)


def stalled_after(profile: Sequence[float]) -> int:
    """Microseconds of active time."""
    return math.floor(STALLED_REVIEWS * profile[REVIEW] * DAY + 0.5)


def predictor(w: Window, profile: Sequence[float]) -> float:
    """The linear predictor L; history and a booking ahead lower it, everything else raises it."""
    aging = profile[SILENT] * w.feature[OF_SILENCE] + profile[SILENT + OF_STALLED] * w.feature[OF_STALLED]
    return w.real[OTHERS] + aging - profile[SILENT + OF_BOOKED] * w.feature[OF_BOOKED]


def signed(k: int) -> float:
    """The sign of a feature."""
    return -1.0 if k in (OF_HISTORY, OF_BOOKED) else 1.0


def has_data(w: Window, k: int) -> bool:
    """Time and attendance say something from the beginning on."""
    return k in (RHYTHM, RELIABILITY, GROWTH, EXPECTATIONS) or w.whole[COUNTS + k] > 0


def _aging(w: Window, profile: Sequence[float], at: int) -> float:
    """The points of the factors that time changes."""
    review = profile[REVIEW]
    w.value[RHYTHM] = fresh(days_since(w, w.whole[LAST_HELD], at) / w.real[E_DAYS])
    points = w.share[RHYTHM] = w.weight[RHYTHM] * w.value[RHYTHM]
    if w.weight[GOALS] > 0.0:
        w.value[GOALS] = _goals(w, review, at)
        w.share[GOALS] = w.weight[GOALS] * w.value[GOALS]
        points += w.share[GOALS]
    if w.weight[GROWTH] > 0.0:
        mentor = days_since(w, w.whole[GROWN_MENTOR], at) / (2.0 * review)
        mentee = days_since(w, w.whole[GROWN_MENTEE], at) / (2.0 * review)
        w.value[GROWTH] = 0.5 * fresh(mentor) + 0.5 * fresh(mentee)
        w.share[GROWTH] = w.weight[GROWTH] * w.value[GROWTH]
        points += w.share[GROWTH]
    if w.weight[EXPECTATIONS] > 0.0:
        w.value[EXPECTATIONS] = expectations(w.whole[EXPECTED], days_since(w, UNSET, at))
        w.share[EXPECTATIONS] = w.weight[EXPECTATIONS] * w.value[EXPECTATIONS]
        points += w.share[EXPECTATIONS]
    return points


def _goals(w: Window, review: float, at: int) -> float:
    recent = fresh(days_since(w, w.whole[LAST_GOAL_CHANGE], at) / review)
    count, total = w.whole[GOALS_SEEN], 0.0
    if count == 0:
        return RECENT_SHARE * recent
    for k in range(count):
        done = w.goal_done[k]
        if w.goal_open[k] != 0:
            done = max(done, fresh(days_since(w, w.goal_since[k], at) / review))
        total += w.goal_smart[k] * done
    return RECENT_SHARE * recent + GOALS_SHARE * total / count
