"""The history of one relationship: which instants have a row, and each row's content. A pure function of the facts: all
facts give the truth, the kept facts give the same rows above the floor."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from schemas.programs import Profile
from services.scoring.domain import bounds
from services.scoring.domain.bounds import DAY, FOREVER, NONE, UNSET
from services.scoring.domain.crossings import CrossingSearch, Instant, SilentSpan
from services.scoring.domain.evaluation import (
    Moment,
    evaluation_of,
    evaluations_of,
    midnights,
    scores_of,
    trend_of,
    trends,
)
from services.scoring.domain.facts import Fact, Facts, Key
from services.scoring.domain.kinds import FactKind
from services.scoring.domain.layout import PackedFacts, facts_bytes
from services.scoring.domain.memory import trimmed
from services.scoring.domain.outlook import NO_OUTLOOK, Outlook, outlook_of
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.row import Evaluation, HistoryRow, PrecedingRow
from services.scoring.domain.score import FEW, passed
from services.scoring.domain.timeline import MIDNIGHT, Timeline

CACHED_EVALUATIONS = 4
"""Evaluations cached per relationship: the next row is measured against the last."""
CACHED_HEALTHS = 40
"""Midnights whose health is cached: a trend looks back over the last 28, and some rows may be computed again."""
WINDOW = 1_000 * DAY
"""Time span whose rows are computed at once: the snapshots of 100,000 facts are never in memory together."""


class QuietSpan(NamedTuple):
    """No row lies in (newest, until]. `newest` is the instant of the last row before, None if there is none."""

    newest: int | None
    until: int


class NewestRow(NamedTuple):
    """The row of the newest fact; when the next row is due (None: never without a fact); the outlook from then on."""

    row: HistoryRow
    due: int | None
    outlook: Outlook


class ScoreHistory:
    def __init__(self, facts: Facts, profiles: Profiles) -> None:
        # An erasure is absorbing: it removes the whole history, whenever it arrives.
        self.is_erased = any(key.kind == FactKind.ERASED for key in facts)
        self.facts = dict(facts.items())
        self._facts = {} if self.is_erased else self.facts
        self._profiles = profiles
        self._timeline = Timeline(self._facts, profiles)
        self.index = self._timeline.index
        self._search = CrossingSearch(profiles)
        self._evaluations: dict[int, Evaluation | None] = {}
        self._healths: dict[int, int | None] = {}
        self._quiet: QuietSpan | None = None
        # Facts beyond the bounded memory at the last packing.
        self.surplus = 0

    def is_newer(self, key: Key) -> bool:
        """Whether a fact with this key comes after all others."""
        keys = self.index.keys
        return not (self.is_erased or key.kind == FactKind.ERASED or (keys and key <= keys[-1]))

    def with_facts(self, facts: Facts, since: int) -> "ScoreHistory":
        """The history of other facts, which differ at and after `since`, or by what trimming removed."""
        new = ScoreHistory(facts, self._profiles)
        new._timeline.inherit(self._timeline, since)
        return new

    def packed(self) -> PackedFacts:
        """The facts that the bounded memory keeps, as bytes; the same facts as memory.trimmed."""
        if self.is_erased:
            kept = trimmed(self.facts)
            self.surplus = len(self.facts) - len(kept)
            return PackedFacts(facts_bytes(kept))
        surplus = self.index.surplus()
        self.surplus = len(surplus)
        return self.index.bytes.packed_without(surplus)

    def rows(self, after: int, upto: int) -> dict[int, HistoryRow]:
        """{as_of: row} of all instants in (after, upto], in order; computed window by window."""
        quiet = self._quiet
        is_quiet = quiet is not None and upto <= quiet.until and (quiet.newest is None or quiet.newest <= after)
        if not self._facts or is_quiet:
            return {}
        out, first = dict[int, HistoryRow](), self.index.times[0]
        for begin, end in pairwise((after, *range(max(after, first - 1) + WINDOW, upto, WINDOW), upto)):
            instants = self.instants(begin, end)
            out |= self._rows(begin, instants)
            quiet = self._quiet
            if begin < first or (quiet is not None and begin <= quiet.until <= end):
                earlier = quiet.newest if quiet is not None and begin >= first else None
                self._quiet = QuietSpan(instants[-1].at if instants else earlier, end)
        return out

    def append_in_order(
        self, entry: tuple[Key, Fact], previous: int, healths: Sequence[tuple[int, int | None]], clock: int
    ) -> NewestRow | None:
        """Append a fact that is newer than all others and than the newest row, which is at `previous`. No earlier row
        changes, so only its own is computed. `healths`: those at the midnights of its trend. Returns None if the fact
        has no row.

        Every in-order event takes this path: nothing is computed twice, and the general search for instants and
        crossings runs only where a level is passed."""
        # 1. What its row is measured against.
        at, timeline, profiles = entry[0].time, self._timeline, self._profiles
        low = max(previous, at - bounds.LOOKBACK)
        earlier = self.score(low)
        # 2. The row.
        self.append(*entry)
        snapshot = timeline.at(at)
        causes = timeline.causes(snapshot, at)
        if not causes:
            return None
        version, scores = bisect_right(profiles.changes, at), snapshot.scores(at)
        evaluation = evaluation_of(snapshot, scores)
        before = None if earlier is None else PrecedingRow(low, earlier)
        slope = trend_of([*healths, (at, evaluation.health)])
        row = _row(Instant(at, causes, snapshot), (evaluation, before, slope), profiles.versions[version])
        # 3. When the next one is due.
        lookahead, midnight = timeline.lookahead(snapshot, at), (at // DAY + 1) * DAY
        due: int | None = min(midnight, lookahead.upcoming)
        if row.status != "active":
            named = timeline.next_breakpoint(at)
            due = None if named == FOREVER else named
        elif due is not None and passed(profiles.levels[version], scores, snapshot.scores(due)):
            due = self.due(at)
        # 4. Keep only what the next fact needs of this history.
        timeline.trim_cache()
        self._evaluations = {at: evaluation}
        self._quiet = QuietSpan(at, FOREVER if due is None else due - 1)
        if due is not None and due <= clock:
            return NewestRow(row, due, NO_OUTLOOK)
        if clock >= midnight or lookahead.upcoming <= clock:
            return NewestRow(row, due, self.compute_outlook(clock, at, due))
        return NewestRow(row, due, outlook_of(snapshot, clock, (at, snapshot, due), lookahead, profiles))

    def healths(self, instants: Sequence[int]) -> list[int | None]:
        self._compute_healths(instants)
        found = [self._healths[at] for at in instants]
        self._trim_caches()
        return found

    def compute_outlook(self, after: int, newest: int, due: int | None) -> Outlook:
        """The outlook at an instant. `newest`: the instant of the newest row up to it, NONE if there is none; `due`:
        when the next row is due."""
        if not self._facts:
            return NO_OUTLOOK
        snapshot = self._timeline.at(after)
        scored = snapshot if newest == NONE else self._timeline.at(newest)
        lookahead = self._timeline.lookahead(snapshot, after)
        return outlook_of(snapshot, after, (newest, scored, due), lookahead, self._profiles)

    def cache_newest(self, at: int, evaluation: Evaluation) -> None:
        """Cache the newest row, which was computed elsewhere."""
        self._evaluations[at] = evaluation
        self._trim_caches()

    def score(self, at: int) -> Evaluation | None:
        """At any instant, with or without a row; None where no fact stands."""
        if at not in self._evaluations:
            self._evaluate([Moment(self._timeline.at(at), at)])
        return self._evaluations[at]

    def newest(self, upto: int, after: int = NONE) -> int | None:
        """The newest instant in (after, upto] that has a row."""
        if not self._facts:
            return None
        quiet = self._quiet
        if quiet is not None and upto <= quiet.until and (quiet.newest is None or quiet.newest <= upto):
            return None if quiet.newest is None or quiet.newest <= after else quiet.newest
        low, reach, step = max(after, self.index.times[0] - 1), upto, DAY
        while reach > low:
            begin = max(low, reach - step)
            if found := self.instants(begin, reach):
                self._quiet = QuietSpan(found[-1].at, upto)
                return found[-1].at
            reach, step = begin, step * 4
        if after < self.index.times[0]:
            self._quiet = QuietSpan(None, upto)
        return None

    def due(self, after: int) -> int | None:
        """No row comes after `after` and before this instant. None: no row comes without another fact."""
        if not self._facts:
            return None
        timeline = self._timeline
        snapshot = timeline.at(after)
        if snapshot.is_running(after):
            due = min((after // DAY + 1) * DAY, timeline.lookahead(snapshot, after).upcoming)
            crossed = self._search.instants([SilentSpan(snapshot, timeline.search_begin(snapshot, after), due, due)])
            due = crossed[0].at if crossed else due
        else:
            due = timeline.next_breakpoint(after)
        if self._quiet is not None and self._quiet.until >= after:
            quiet = FOREVER if due == FOREVER else due - 1
            self._quiet = self._quiet._replace(until=max(self._quiet.until, quiet))
        self._trim_caches()
        return None if due == FOREVER else due

    def instants(self, after: int, upto: int) -> list[Instant]:
        """The instants in (after, upto] that have a row, in order. Each is evaluated from the facts up to it."""
        if not self._facts:
            return []
        found, spans = self._timeline.between(max(after, self.index.times[0] - 1), upto)
        found += [Instant(midnight, (MIDNIGHT,), span.snapshot) for span in spans for midnight in span.midnights]
        return sorted([*found, *self._search.instants(spans)])

    def append(self, key: Key, fact: Fact) -> None:
        """Append a fact that is newer than all others: earlier rows stay valid."""
        time = key.time
        self.facts[key] = fact
        self._timeline.append(key, fact)
        self._search.cached.clear()
        if self._evaluations and max(self._evaluations) >= time:
            self._evaluations = {at: found for at, found in self._evaluations.items() if at < time}
        if self._healths and max(self._healths) >= time:
            self._healths = {at: found for at, found in self._healths.items() if at < time}
        if self._quiet is not None:
            newest, until = self._quiet
            self._quiet = QuietSpan(newest, min(until, time - 1)) if newest is None or newest < time else None

    def _rows(self, after: int, instants: Sequence[Instant]) -> dict[int, HistoryRow]:
        if not instants:
            return {}
        times = [at for at, _, _ in instants]
        # 1. The rows that the deltas are measured against.
        newest = self.newest(after, times[0] - bounds.LOOKBACK)
        preceding = [UNSET if newest is None else newest, *times[:-1]]
        before = [max(then, at - bounds.LOOKBACK) for then, at in zip(preceding, times, strict=True)]
        # 2. Evaluate everything needed in one call.
        moments = [Moment(snapshot, at) for at, _, snapshot in instants]
        others = set(before).difference(self._evaluations, times)
        self._evaluate([*moments, *(Moment(self._timeline.at(at), at) for at in sorted(others))])
        found = [self._evaluations[at] for at in times]
        # 3. The rows.
        rows: dict[int, HistoryRow] = {}
        slopes = self._trends(times, [evaluation.health for evaluation in found if evaluation is not None])
        for instant, evaluation, then, slope in zip(instants, found, before, slopes, strict=True):
            assert evaluation is not None, "a row needs a fact that stands"
            earlier = self._evaluations[then]
            scored = (evaluation, None if earlier is None else PrecedingRow(then, earlier), slope)
            rows[instant.at] = _row(instant, scored, self._profiles.at(instant.at))
        self._trim_caches()
        return rows

    def _trends(self, times: Sequence[int], healths: Sequence[int]) -> list[int]:
        """The trends of rows at these instants with these healths."""
        if len(times) <= FEW:
            trend_midnights = [midnights(at) for at in times]
            self._compute_healths(then for some in trend_midnights for then in some)
            quiet = [[(then, self._healths[then]) for then in some] for some in trend_midnights]
            return [
                trend_of([*points, now]) for points, now in zip(quiet, zip(times, healths, strict=True), strict=True)
            ]
        columns = midnights(np.array(times))
        instants = np.unique(np.concatenate(columns))
        self._compute_healths(instants.tolist())
        kept = np.array([self._healths[at] for at in instants.tolist()], dtype=np.float64)
        then = [kept[np.searchsorted(instants, column)] for column in columns]
        return trends([*columns, np.array(times)], [*then, np.array(healths, dtype=np.float64)])

    def _evaluate(self, moments: Iterable[Moment]) -> None:
        missing = [moment for moment in moments if moment.at not in self._evaluations]
        standing = [moment for moment in missing if moment.snapshot.exists]
        found = dict(zip([at for _, at in standing], evaluations_of(standing), strict=True))
        for _, at in missing:
            evaluation = self._evaluations[at] = found.get(at)
            if at % DAY == 0:
                self._healths[at] = None if evaluation is None else evaluation.health

    def _compute_healths(self, instants: Iterable[int]) -> None:
        moments = [Moment(self._timeline.at(at), at) for at in sorted(set(instants) - self._healths.keys())]
        standing = [moment for moment in moments if moment.snapshot.exists]
        found = dict(zip(standing, scores_of(standing), strict=True))
        self._healths |= {moment.at: int(found[moment].health) if moment in found else None for moment in moments}

    def _trim_caches(self) -> None:
        """Drop what the next row does not need."""
        self._timeline.trim_cache()
        self._search.trim_cache()
        if len(self._evaluations) > 2 * CACHED_EVALUATIONS:
            self._evaluations = dict(sorted(self._evaluations.items())[-CACHED_EVALUATIONS:])
        if len(self._healths) > 2 * CACHED_HEALTHS:
            self._healths = dict(sorted(self._healths.items())[-CACHED_HEALTHS:])


def _row(instant: Instant, scored: tuple[Evaluation, PrecedingRow | None, int], profile: Profile) -> HistoryRow:
    """`scored`: the evaluation, what its deltas are measured against, and the trend."""
    at, causes, snapshot = instant
    session = snapshot.next_session(at)
    # Positional: naming the fields takes twice as long, and many rows are made.
    return HistoryRow(
        causes,
        *scored,
        snapshot.status(at),
        snapshot.started,
        snapshot.frame.cadence,
        snapshot.last_contact,
        None if session == UNSET else session,
        snapshot.reports.requests,
        snapshot.sources,
        profile.version,
        profile.calibration,
        profile.evidence,
    )
