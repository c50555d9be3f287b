"""Lead times: how long before a pair counts as faded its risk reaches a level, and how often that was right."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from services.scoring.domain.backtesting.cases import CasePlan, CaseRule, HistorySpan, Pair, ScoringView
from services.scoring.domain.backtesting.measures import Floats, Ints
from services.scoring.domain.bounds import DAY

QUARTILES = (0.25, 0.5, 0.75)

Predict = Callable[[Floats, Ints], Floats]
"""From unit features, a row per instant, and the instants to probabilities."""


@dataclass(frozen=True)
class LeadTime:
    """Of `silences`, the times after each contact day, `reached` reached the level. Of those whose outcome is known,
    the share `right` had no contact in the horizon after it. `fades` lasted as long as a pair counts as active; of
    them, the share `never` did not reach the level. `days`: quartiles of how long before the fade the others did. NaN
    or None without data."""

    level: float
    silences: int
    reached: int
    right: float
    fades: int
    never: float
    days: tuple[float, ...] | None


class ContactGap(NamedTuple):
    """From a contact, the last of its day, to the next one (None: there is none), observed up to `until`."""

    begin: int
    following: int | None
    until: int


class WatchedGap(NamedTuple):
    """`risks` at intervals of a day, the first at the contact. `fades` None: the history ends too early to decide."""

    silence: ContactGap
    risks: Floats
    fades: bool | None


def watched_gaps(
    pairs: Iterable[Pair], plan: CasePlan, span: HistorySpan, since: int, predict: Predict
) -> list[WatchedGap]:
    """The silences that begin at `since` or later."""
    gaps: list[WatchedGap] = []
    for pair in pairs:
        silences = [silence for silence in _gaps_of(pair, plan.rule, span) if silence.begin >= since]
        if not silences:
            continue
        scoring_view = ScoringView(pair.facts, plan.profiles)
        silences = [silence for silence in silences if scoring_view.is_watched(silence.begin, silence.until)]
        days = [range(silence.begin, silence.until + 1, DAY) for silence in silences]
        every = [at for instants in days for at in instants]
        risks = predict(scoring_view.scores(every)[0], np.array(every, dtype=np.int64))
        for silence, instants, stop in zip(silences, days, np.cumsum([*map(len, days)], dtype=int), strict=True):
            fade = silence.begin + plan.rule.active_days * DAY
            gaps.append(WatchedGap(silence, risks[stop - len(instants) : stop], _is_silent(silence, fade, span)))
    return gaps


def lead_time(level: float, gaps: Sequence[WatchedGap], rule: CaseRule, span: HistorySpan) -> LeadTime:
    days = [next(map(int, np.flatnonzero(one.risks >= level)), None) for one in gaps]
    reached = [(one.silence, day) for one, day in zip(gaps, days, strict=True) if day is not None]
    outcomes = [_is_silent(silence, silence.begin + day * DAY + rule.horizon, span) for silence, day in reached]
    decided = [outcome for outcome in outcomes if outcome is not None]
    fades = [day for one, day in zip(gaps, days, strict=True) if one.fades]
    leads = [rule.active_days - day for day in fades if day is not None]
    return LeadTime(
        level=level,
        silences=len(gaps),
        reached=len(reached),
        right=sum(decided) / len(decided) if decided else np.nan,
        fades=len(fades),
        never=(len(fades) - len(leads)) / len(fades) if fades else np.nan,
        days=tuple(map(float, np.quantile(leads, QUARTILES))) if leads else None,
    )


def _gaps_of(pair: Pair, rule: CaseRule, span: HistorySpan) -> Iterator[ContactGap]:
    """After the last contact of each contact day, from the day on that makes the pair a watched one."""
    for day in pair.days[rule.least_contact_days - 1 :]:
        begin = pair.contacts[pair.contacts_upto((day + 1) * DAY - 1) - 1]
        following = pair.next_contact(begin)
        until = min(begin + rule.active_days * DAY, span.end)
        yield ContactGap(begin, following, until if following is None else min(until, following - 1))


def _is_silent(silence: ContactGap, upto: int, span: HistorySpan) -> bool | None:
    """Whether the silence lasts beyond `upto`; None: the history ends before it."""
    if silence.following is not None and silence.following <= upto:
        return False
    return True if upto <= span.end else None
