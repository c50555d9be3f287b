"""Contacts. Meetings: one outcome each, however many tools report it, decided by the strongest evidence; and the
bookings. Messages: how balanced the conversation is, and how soon the other side answers. Both: the usual gap between
contact days, its variance, and how many contact days are recent."""

import math
from collections.abc import Mapping, Sequence
from itertools import islice, pairwise
from operator import sub
from typing import NamedTuple

from services.scoring.domain import bounds
from services.scoring.domain.bounds import DAY, HOUR, MINUTE, UNSET
from services.scoring.domain.kinds import MENTOR, FactKind
from services.scoring.domain.memory import SELECTED_PER_GROUP
from services.scoring.domain.snapshots.frame import Frame, Pauses
from services.scoring.domain.snapshots.index import IndexedFact, View

MEETING_GROUPS = ("outcomes", "held", "missed_by_mentor", "missed_by_mentee", "cancelled_late", "bookings")
REPLACED_WITHIN = 10 * MINUTE
"""A cancellation with another booking this close is a reschedule: tools report it as a cancellation plus a new booking.
"""
RATED_OUTCOMES = 8
HELD_PRIOR = 1.7
"""Held meetings credited to a new relationship, of OUTCOME_PRIOR: 85 %, the usual attendance."""
OUTCOME_PRIOR = 2.0
CANCELLED_SHARE = 0.5
"""A cancellation counts as half a missed meeting: the other side was notified."""
# Plain numbers: looking up an enum member takes longer than comparing it, and meetings are compared often.
_HELD, _MISSED, _CANCELLED = FactKind.HELD.value, FactKind.MISSED.value, FactKind.CANCELLED.value
_SCHEDULED = FactKind.SCHEDULED.value
_BETTER: Mapping[int, int] = {_HELD: 2, _MISSED: 1, _CANCELLED: 0}


class Meetings(NamedTuple):
    """`outcomes` and `sessions`: how many meetings reliability and rhythm rest on. `held`: the last held session.
    `missed`: how many sides' missed sessions came since then; `cancelled_late`: 1 if a late cancellation did.
    `bookings`: starts of booked sessions, ascending, past ones included."""

    reliability: float
    outcomes: int
    held: IndexedFact | None
    sessions: int
    missed: int
    cancelled_late: int
    bookings: tuple[int, ...]


def meetings(view: View) -> Meetings:
    booked, outcomes = view.standing("bookings"), view.standing("outcomes")
    decided = _decided(outcomes, booked)
    # The deciding facts of the newest meetings; a reschedule counts as nothing.
    deciding = (
        outcome.kind
        for outcome in reversed(outcomes)
        if decided[outcome.ordinal] is outcome and not (outcome.kind == _CANCELLED and _is_replaced(outcome, booked))
    )
    kinds = list(islice(deciding, RATED_OUTCOMES))
    held, sessions = _held(view, outcomes)
    last = -1 if held is None else held.ordinal
    missed = [
        entry
        for side in ("missed_by_mentor", "missed_by_mentee")
        for entry in view.standing(side)
        # Stronger evidence that the meeting took place overrides a missed one.
        if entry.ordinal > last and decided.get(entry.ordinal, entry).kind == _MISSED
    ]
    late = [e for e in view.standing("cancelled_late") if e.ordinal > last and not _is_replaced(e, booked)]
    # The newest report on each session counts; a cancelled session is not booked.
    newest = {booking.ref: booking for booking in booked}
    called_off = {outcome.ref: outcome.ordinal for outcome in outcomes if outcome.kind == _CANCELLED}
    return Meetings(
        reliability=reliability(kinds.count(_HELD), kinds.count(_MISSED), kinds.count(_CANCELLED)),
        outcomes=len(kinds),
        held=held,
        sessions=sessions,
        missed=len(missed),
        cancelled_late=1 if late else 0,
        bookings=tuple(sorted([one.first for one in newest.values() if called_off.get(one.ref, -1) < one.ordinal])),
    )


def reliability(held: int, missed: int, cancelled: int) -> float:
    return (HELD_PRIOR + held) / (OUTCOME_PRIOR + held + missed + CANCELLED_SHARE * cancelled)


def _held(view: View, outcomes: Sequence[IndexedFact]) -> tuple[IndexedFact | None, int]:
    """The last held session, and how many there are: those among the outcomes, and the newest one if it is older."""
    found = [outcome for outcome in outcomes if outcome.kind == _HELD]
    selected = view.selected("outcomes")
    # If not all outcomes are selected, the session held last may be older than all of them.
    alone = view.newest("held") if not found or len(selected) == SELECTED_PER_GROUP["outcomes"] else None
    if alone is not None and (not selected or alone.ordinal < selected[0].ordinal):
        return (found[-1] if found else alone), len(found) + 1
    return (found[-1] if found else None), len(found)


def _decided(outcomes: Sequence[IndexedFact], booked: Sequence[IndexedFact]) -> dict[int, IndexedFact]:
    """By the ordinal of each outcome, the fact that decides its meeting: the strongest evidence, then the better
    outcome, then the later fact."""
    meeting_of = _joined(outcomes, booked)
    if len(set(meeting_of)) == len(outcomes):
        # The usual case: one tool reports each meeting.
        return {outcome.ordinal: outcome for outcome in outcomes}
    best: dict[int, tuple[int, int, IndexedFact]] = {}
    for outcome, meeting in zip(outcomes, meeting_of, strict=True):
        # A later fact compares greater.
        strength = outcome.evidence, _BETTER[outcome.kind], outcome
        best[meeting] = max(strength, best.get(meeting, strength))
    return {outcome.ordinal: best[meeting][-1] for outcome, meeting in zip(outcomes, meeting_of, strict=True)}


def _joined(outcomes: Sequence[IndexedFact], booked: Sequence[IndexedFact]) -> list[int]:
    """A meeting number per outcome, equal for outcomes of one meeting. Outcomes with one session id are one meeting,
    and so are those whose times overlap, directly or through a third. Two that begin at the same instant overlap, even
    if their length is unknown."""
    meeting_of = list(range(len(outcomes)))
    by_name: dict[int, int] = {}
    spans: list[tuple[int, int, int]] = []
    for k, (ordinal, _, kind, _, _, first, second, ref, _, _, _, _) in enumerate(outcomes):
        if ref and by_name.setdefault(ref, k) != k:
            meeting_of = _with_joined(meeting_of, by_name[ref], k)
        # The time that a meeting took, or was booked for when it was cancelled or missed: a later rebooking does not
        # make it another meeting.
        if kind == _HELD:
            spans.append((first, second, k))
            continue
        for booking in reversed(booked):
            if booking.ref == ref and booking.ordinal < ordinal:
                spans.append((booking.first, booking.second, k))
                break
    spans.sort()
    last_begin, last_end, last = UNSET, UNSET, 0
    for begin, end, k in spans:
        if begin < last_end or begin == last_begin:
            meeting_of = _with_joined(meeting_of, last, k)
        if end >= last_end:
            last_begin, last_end, last = begin, end, k
    return meeting_of


def _with_joined(meeting_of: list[int], one: int, another: int) -> list[int]:
    """Merge two meetings into one."""
    to, gone = meeting_of[one], meeting_of[another]
    return [to if meeting == gone else meeting for meeting in meeting_of]


def _is_replaced(cancelled: IndexedFact, booked: Sequence[IndexedFact]) -> bool:
    return any(
        booking.kind == _SCHEDULED
        and abs(booking.time - cancelled.time) <= REPLACED_WITHIN
        and booking.ref != cancelled.ref
        for booking in booked
    )


MESSAGE_GROUPS = ("messages_by_mentor", "messages_by_mentee")

RATED_MESSAGES = 24
MIN_MESSAGES = 4
"""Fewer messages do not show how balanced the conversation is."""
REPLY_HOURS = 24.0
"""A reply within a day is as good as an immediate one."""
REPLY_SLACK_HOURS = 72.0
REPLY_PRIOR = 2.0
"""Replies within a day credited to a new relationship."""


class Messages(NamedTuple):
    """`newest`: from either side. `rated` and `replies`: how many messages `mutual` and `responsiveness` rest on, 0 for
    too few."""

    newest: IndexedFact | None
    mutual: float
    rated: int
    responsiveness: float
    replies: int


def messages(view: View, pauses: Pauses) -> Messages:
    by_side = [view.standing(name) for name in MESSAGE_GROUPS]
    rated = sorted([*by_side[0], *by_side[1]])[-RATED_MESSAGES:]
    sides = [entry.slot for entry in rated]
    by_mentor, log_hours = sides.count(MENTOR), 0.0
    # The other side answers the first message of each turn with the first of its own.
    turns = [entry.time for entry, side, before in zip(rated, sides, [0, *sides], strict=False) if side != before]
    for asked, answered in pairwise(map(pauses.active, turns) if pauses.union else turns):
        log_hours += math.log1p((answered - asked) / HOUR)
    replies = max(0, len(turns) - 1)
    return Messages(
        newest=rated[-1] if rated else None,
        mutual=mutual(by_mentor, len(rated) - by_mentor),
        rated=len(rated) if len(rated) >= MIN_MESSAGES else 0,
        responsiveness=responsiveness(replies, log_hours),
        replies=replies,
    )


def mutual(by_mentor: int, by_mentee: int) -> float:
    return 2.0 * (1 + min(by_mentor, by_mentee)) / (2 + by_mentor + by_mentee)


def responsiveness(replies: int, log_hours: float) -> float:
    """`log_hours`: the sum of ln(1 + reply hours) over the replies."""
    typical = math.expm1((REPLY_PRIOR * math.log(1.0 + REPLY_HOURS) + log_hours) / (REPLY_PRIOR + replies))
    return 1.0 / (1.0 + max(0.0, typical - REPLY_HOURS) / REPLY_SLACK_HOURS)


PACE_GROUPS = ("held", *MESSAGE_GROUPS)

CADENCE_WEIGHT = 1.0
"""k0: the expected cadence counts like one observed gap."""
SPREAD = 0.8
"""s0: the spread of log gaps expected before any was observed."""
SPREAD_WEIGHT = 4.0
"""nu: how many observed gaps that expectation counts for."""
RECENT_HALVED_DAYS = 30.0
"""A contact day counts half as recent for every this many days between it and the newest one."""
_LOGS = tuple(math.log(max(1, days)) for days in range(400))
"""Most gaps are whole days, and no longer than the window."""
_RECENT = tuple(math.exp2(-days / RECENT_HALVED_DAYS) for days in range(400))


class Pace(NamedTuple):
    """`median` of future silences, in days, and the `shape` of their log-logistic. Two features of the model:
    `history`, ln(1 + contact days, at least 1), and `activity`, ln(1 + contact days weighted by their age relative to
    the newest one). `days`: the contact days, from which all of it is computed."""

    median: float
    shape: float
    history: float
    activity: float
    days: Sequence[int]


def pace(view: View, frame: Frame, before: Pace | None) -> Pace:
    """`before`: an earlier one under the same frame, which a second contact on the same day does not change."""
    days = view.contact_days(bounds.CONTACT_DAYS, bounds.CONTACT_WINDOW_DAYS)
    if before is not None and before.days == days:
        return before
    if frame.pauses.union or (days and days[-1] - days[0] >= len(_LOGS)):
        gaps = [math.log(max(1.0, _active_days(frame, a, b))) for a, b in pairwise(days)]
        recent = [math.exp2(-_active_days(frame, day, days[-1]) / RECENT_HALVED_DAYS) for day in days]
    else:
        gaps = list(map(_LOGS.__getitem__, map(sub, days[1:], days)))
        recent = [_RECENT[days[-1] - day] for day in days]
    # mu: mean of the log gaps, the expected cadence counting as one of them.
    mu = (CADENCE_WEIGHT * math.log(frame.cadence) + math.fsum(gaps)) / (CADENCE_WEIGHT + len(gaps))
    # The shape c of the log-logistic: pi / sqrt(3 var), var the predictive variance of the next log gap.
    squares = math.fsum([(gap - mu) * (gap - mu) for gap in gaps])
    variance = (SPREAD_WEIGHT * SPREAD * SPREAD + squares) / (SPREAD_WEIGHT + len(gaps))
    variance *= 1.0 + 1.0 / (CADENCE_WEIGHT + len(gaps))
    shape = math.pi / math.sqrt(3.0 * variance)
    return Pace(math.exp(mu), shape, math.log1p(max(1, len(days))), math.log1p(math.fsum(recent)), days)


def _active_days(frame: Frame, a: int, b: int) -> float:
    """Between two days."""
    return (frame.pauses.active(b * DAY) - frame.pauses.active(a * DAY)) / DAY
