"""The history of one relationship: which instants have a row, and what each row says. A pure function of the facts:
all of them give the truth, the kept ones give the same above the floor."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from services.scoring.domain import bounds
from services.scoring.domain.bounds import DAY, NONE, SECOND
from services.scoring.domain.causes import (
    BOOKING_STARTS,
    GOAL_STALLED,
    MIDNIGHT,
    NAMING,
    PAUSE_BOUNDARY,
    PROFILE_CHANGED,
    cause_of,
    named_by,
)
from services.scoring.domain.crossings import Crossing, crossing, passed
from services.scoring.domain.evaluation import Evaluation, Moment, evaluation_of, scores_at, scores_of
from services.scoring.domain.facts import Fact, Facts, Key, adds_nothing, merged
from services.scoring.domain.kinds import Kind
from services.scoring.domain.levels import Level
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.row import Before, Row
from services.scoring.domain.score import Scores
from services.scoring.domain.snapshots.snapshot import Snapshot
from services.scoring.domain.snapshots.timeline import Timeline
from services.scoring.domain.trend import midnights, trend

REMEMBERED = 4
"""Scores and evaluations kept for a relationship: the next row is measured against the last."""
REMEMBERED_HEALTHS = 40
"""Midnights whose health is kept: a trend looks back on four of the last 28, and some rows may have to be computed
again."""

WINDOW = 60 * DAY
"""Of a history, whose rows are computed at once."""


class Instant(NamedTuple):
    at: int
    causes: tuple[str, ...]


class Span(NamedTuple):
    """Time in which silence alone changes the score. A level may be crossed at whole seconds in (begin, last]; at
    `edge`, which is `last` or just behind it, whoever has crossed one in between is past it."""

    snapshot: Snapshot
    begin: int
    last: int
    edge: int


class Quiet(NamedTuple):
    """No row lies in (newest, until]; the one at `newest` is the last before them, None: there is none."""

    newest: int | None
    until: int


class History:
    def __init__(self, facts: Facts, profiles: Profiles) -> None:
        # An erasure is absorbing: it takes the whole history with it, whenever it comes.
        self.is_erased = any(key.kind == Kind.ERASED for key in facts)
        self.facts = dict(facts)
        self._facts = {} if self.is_erased else self.facts
        self._profiles = profiles
        self._timeline = Timeline(self._facts, profiles)
        self._index = self._timeline.index
        self._scores: dict[Moment, Scores] = {}
        self._crossed: dict[tuple[Snapshot, Level], int] = {}
        self._evaluations: dict[int, Evaluation | None] = {}
        self._healths: dict[int, int | None] = {}
        self._quiet: Quiet | None = None

    def grown(self, facts: Facts) -> "History":
        """The history with one more fact, or mark: this one, changed, where that is the newest; else another one."""
        if adds_nothing(self.facts, facts):
            return self
        key = next(iter(facts))
        if self.is_erased or key.kind == Kind.ERASED or (self._index.keys and key <= self._index.keys[-1]):
            return self.of(merged(self.facts, facts), key.time)
        self._append(key, facts[key])
        return self

    def of(self, facts: Facts, since: int) -> "History":
        """The history of facts that differ at and after `since`, or by what trimming took away."""
        new = History(facts, self._profiles)
        new._timeline.inherit(self._timeline, since)
        return new

    def floor(self, clock: int) -> int:
        """The earliest instant whose row is exact, where older facts were trimmed away: FLOOR before now, but where a
        group is full, as far after its oldest kept fact as a trend looks back."""
        if not self._facts:
            return clock - bounds.FLOOR
        newest = self._index.times[-1]
        low = max(newest, clock) - bounds.FLOOR
        for group in self._index.groups.values():
            if len(group) >= bounds.KEPT_WHOLE and (time := group[-bounds.KEPT_WHOLE].time) > newest - bounds.HORIZON:
                low = max(low, time + bounds.LOOKBACK + DAY)
        return low

    def fits_memory(self) -> bool:
        """Whether the bounded memory keeps all facts for sure."""
        return not self.is_erased and self._index.fits_memory()

    def rows(self, after: int, upto: int) -> dict[int, Row]:
        """{as_of: row} of all instants in (after, upto], in order. Computed window by window, so that a long history
        needs no more memory than a short one, beside its rows."""
        if not self._facts or self._is_quiet(after, upto):
            return {}
        out: dict[int, Row] = {}
        begin, least = after, max(after, self._index.times[0] - 1)
        for end in (*range(least + WINDOW, upto, WINDOW), upto):
            out |= self._rows_in(begin, end)
            begin = end
        return out

    def _rows_in(self, after: int, upto: int) -> dict[int, Row]:
        instants = list(self.instants(after, upto))
        out, known = self._rows(after, instants), self._quiet
        if after < self._index.times[0] or (known is not None and after <= known.until <= upto):
            earlier = known.newest if known is not None and after >= self._index.times[0] else None
            newest = instants[-1].at if instants else earlier
            self._quiet = Quiet(newest, upto)
        return out

    def score(self, at: int) -> Evaluation | None:
        """At any instant, whether or not it has a row; None where nothing stands."""
        if not self._facts:
            return None
        self._evaluate([at])
        return self._evaluations[at]

    def newest(self, upto: int, after: int = NONE) -> int | None:
        """The newest instant in (after, upto] that has a row."""
        found = self._newest(upto, after)
        return found if found is not None and found > after else None

    def due(self, after: int) -> int | None:
        """No row comes between `after` and this instant; None: none comes without a further fact."""
        if not self._facts:
            return None
        due = self._due(after)
        if self._quiet is not None and self._quiet.until >= after:
            quiet = bounds.FOREVER if due is None else due - 1
            self._quiet = self._quiet._replace(until=max(self._quiet.until, quiet))
        self._forget()
        return due

    def instants(self, after: int, upto: int) -> Iterator[Instant]:
        """The instants in (after, upto] that have a row, in order, each judged from the facts up to it."""
        if not self._facts:
            return
        found, spans = self._walk(max(after, self._index.times[0] - 1), upto)
        spans = [span for span in spans if span.last // SECOND * SECOND > span.begin]
        self._compute(moment for span in spans for moment in _ends(span))
        together: dict[int, list[str]] = {}
        for span in spans:
            for at, cause in self._crossings(span):
                together.setdefault(at, []).append(cause)
        yield from sorted([*found, *(Instant(at, tuple(causes)) for at, causes in together.items())])

    def _append(self, key: Key, fact: Fact) -> None:
        self.facts[key] = fact
        self._timeline.append(key, fact)
        self._crossed.clear()
        for at in {key.time, *named_by(key, fact)}:
            place = bisect_left(self._named_instants, at)
            if self._named_instants[place : place + 1] != [at]:
                self._named_instants.insert(place, at)
        self._facts_at[key.time] = tuple(sorted({*self._facts_at.get(key.time, ()), cause_of(key, fact)}))
        # What was before the fact stays as it is.
        self._evaluations = {at: known for at, known in self._evaluations.items() if at < key.time}
        self._healths = {at: health for at, health in self._healths.items() if at < key.time}
        if self._quiet is not None:
            newest, until = self._quiet
            is_before = newest is None or newest < key.time
            self._quiet = Quiet(newest, min(until, key.time - 1)) if is_before else None

    # --- Instants ---

    def _walk(self, after: int, upto: int) -> tuple[list[Instant], list[Span]]:
        """The instants in (after, upto] that have a row for another reason than a crossing, and the time in between."""
        found: list[Instant] = []
        spans: list[Span] = []
        at = after
        for point in self._points(after, upto):
            causes = self._causes(point)
            for span in self._spans(at, point, point - 1 if causes else point):
                spans.append(span)
                if span.edge < point and (stalled := self._causes(span.edge)):
                    found.append(Instant(span.edge, stalled))
            if causes:
                found.append(Instant(point, causes))
            at = point
        return found, spans

    def _spans(self, after: int, edge: int, last: int) -> Iterator[Span]:
        """From `after` to `edge`, between which no fact lies, and no time that one names: one span, or two with the
        instant in between at which the open goals stall."""
        snapshot = self._timeline.at(after)
        if after >= edge or not snapshot.is_open(after) or snapshot.is_paused(after):
            return
        stalls = snapshot.stalls
        if stalls is not None and after < stalls < edge:
            yield Span(snapshot, self._left(after), stalls - 1, stalls)
            after = stalls
        yield Span(snapshot, self._left(after), last, edge)

    def _points(self, after: int, upto: int) -> list[int]:
        """Where a row may exist for another reason than a crossing, and the end."""
        points = set(range((after // DAY + 1) * DAY, upto + 1, DAY))
        named = self._named_instants
        points.update(named[bisect_right(named, after) : bisect_right(named, upto)])
        return sorted({*points, upto} if upto > after else points)

    @cached_property
    def _named_instants(self) -> list[int]:
        """Times of facts, retracted or not, and the times that facts name."""
        found = {*self._index.times, *self._profiles.changes}
        for key, fact in self._facts.items():
            if key.kind in NAMING:
                found.update(named_by(key, fact))
        return sorted(found)

    def _causes(self, at: int) -> tuple[str, ...]:
        """Why a row exists at an instant other than a crossing; empty: there is none."""
        snapshot = self._timeline.at(at)
        if not snapshot.exists or (snapshot.ended is not None and snapshot.ended < at):
            return ()
        out = list(self._facts_at.get(at, ()))
        if at % DAY == 0 and not snapshot.is_paused(at):
            out.append(MIDNIGHT)
        if at in snapshot.meetings.bookings:
            out.append(BOOKING_STARTS)
        if at in snapshot.frame.boundaries:
            out.append(PAUSE_BOUNDARY)
        if at == snapshot.stalls:
            out.append(GOAL_STALLED)
        if at in self._profiles.changes:
            out.append(PROFILE_CHANGED)
        return tuple(out)

    @cached_property
    def _facts_at(self) -> dict[int, tuple[str, ...]]:
        found: dict[int, set[str]] = {}
        for key, fact in self._facts.items():
            found.setdefault(key.time, set()).add(cause_of(key, fact))
        return {at: tuple(sorted(causes)) for at, causes in found.items()}

    def _left(self, after: int) -> int:
        """Where a search for crossings begins: the whole second before, but no earlier than the last point, so that
        what is found does not depend on where the search began. The next whole second is beyond `after`."""
        whole = after // SECOND * SECOND
        last = bisect_right(self._named_instants, after) - 1
        return whole if last < 0 else max(whole, self._named_instants[last])

    def _is_quiet(self, after: int, upto: int) -> bool:
        known = self._quiet
        return known is not None and upto <= known.until and (known.newest is None or known.newest <= after)

    def _newest(self, upto: int, after: int) -> int | None:
        """The newest instant up to `upto` that has a row; those up to `after` need not be found."""
        if not self._facts:
            return None
        known = self._quiet
        if known is not None and upto <= known.until and (known.newest is None or known.newest <= upto):
            return known.newest
        low, reach, step = max(after, self._index.times[0] - 1), upto, DAY
        while reach > low:
            begin = max(low, reach - step)
            if found := list(self.instants(begin, reach)):
                self._quiet = Quiet(found[-1].at, upto)
                return found[-1].at
            reach, step = begin, step * 4
        if after < self._index.times[0]:
            self._quiet = Quiet(None, upto)
        return None

    def _due(self, after: int) -> int | None:
        snapshot = self._timeline.at(after)
        upcoming = bisect_right(self._named_instants, after)
        named = self._named_instants[upcoming] if upcoming < len(self._named_instants) else None
        if not snapshot.is_open(after) or snapshot.is_paused(after):
            return named
        stalls = snapshot.stalls if snapshot.stalls is not None and snapshot.stalls > after else None
        point = min(at for at in ((after // DAY + 1) * DAY, named, stalls) if at is not None)
        span = Span(snapshot, self._left(after), point, point)
        return min((at for at, _ in self._crossings(span)), default=point)

    def _crossings(self, span: Span) -> list[Crossing]:
        if span.last // SECOND * SECOND <= span.begin:
            return []
        begin, end = _ends(span)
        levels = self._profiles.levels[self._profiles.number(span.begin)]
        found = []
        for level in passed(levels, self._scores_at(begin), self._scores_at(end)):
            # Under one snapshot a level is crossed once, wherever the search begins.
            at = self._crossed.get((span.snapshot, level))
            if at is None or not span.begin < at <= span.last:
                at = crossing(begin, span.last, level)
            if at is not None:
                self._crossed[span.snapshot, level] = at
                found.append(Crossing(at, level.cause))
        return sorted(found)

    # --- Rows ---

    def _rows(self, after: int, instants: Sequence[Instant]) -> dict[int, Row]:
        if not instants:
            return {}
        previous = self.newest(after, instants[0].at - bounds.LOOKBACK)
        before: list[int] = []
        for at, _ in instants:
            low = at - bounds.LOOKBACK
            before.append(low if previous is None else max(previous, low))
            previous = at
        looked_at = {midnight for at, _ in instants for midnight in midnights(at)} - self._healths.keys()
        self._evaluate({*before, *(at for at, _ in instants)})
        self._read_healths(looked_at - self._healths.keys())
        rows = {at: self._row(at, causes, then) for (at, causes), then in zip(instants, before, strict=True)}
        self._forget()
        return rows

    def _row(self, at: int, causes: tuple[str, ...], previous: int) -> Row:
        snapshot, evaluation = self._timeline.at(at), self._evaluations[at]
        assert evaluation is not None, "a row needs a fact that stands"
        status = "ended" if snapshot.ended is not None else "paused" if snapshot.is_paused(at) else "active"
        earlier, profile = self._evaluations[previous], self._profiles.at(at)
        healths = [(midnight, self._healths[midnight]) for midnight in midnights(at)]
        return Row(
            causes=causes,
            evaluation=evaluation,
            before=None if earlier is None else Before(previous, earlier),
            trend=trend([*((then, health) for then, health in healths if health is not None), (at, evaluation.health)]),
            status=status,
            started=snapshot.started,
            cadence=snapshot.cadence,
            last_contact=snapshot.last_contact,
            next_session=snapshot.next_session(at),
            open_requests=snapshot.voices.requests,
            sources=snapshot.sources,
            profile=profile.version,
            calibration=profile.calibration,
        )

    def _evaluate(self, instants: Iterable[int]) -> None:
        missing = [Moment(self._timeline.at(at), at) for at in sorted(instants) if at not in self._evaluations]
        self._compute([moment for moment in missing if moment.snapshot.exists])
        for moment in missing:
            snapshot, at = moment
            found = evaluation_of(snapshot, self._scores[moment]) if snapshot.exists else None
            self._evaluations[at] = found
            if at % DAY == 0:
                self._healths[at] = None if found is None else found.health

    def _read_healths(self, instants: Iterable[int]) -> None:
        moments = [Moment(self._timeline.at(at), at) for at in sorted(instants)]
        self._compute([moment for moment in moments if moment.snapshot.exists])
        for moment in moments:
            self._healths[moment.at] = int(self._scores[moment].health) if moment.snapshot.exists else None

    def _compute(self, moments: Iterable[Moment]) -> None:
        missing = [moment for moment in dict.fromkeys(moments) if moment not in self._scores]
        if missing:
            self._scores.update(zip(missing, scores_of(missing), strict=True))

    def _scores_at(self, moment: Moment) -> Scores:
        found = self._scores.get(moment)
        if found is None:
            found = self._scores[moment] = scores_at(moment)
        return found

    def _forget(self) -> None:
        """What the next row does not need."""
        self._timeline.forget()
        if len(self._scores) > 2 * REMEMBERED:
            self._scores = dict(list(self._scores.items())[-REMEMBERED:])
        if len(self._crossed) > 2 * REMEMBERED:
            self._crossed = dict(list(self._crossed.items())[-REMEMBERED:])
        if len(self._evaluations) > 2 * REMEMBERED:
            self._evaluations = dict(sorted(self._evaluations.items())[-REMEMBERED:])
        if len(self._healths) > 2 * REMEMBERED_HEALTHS:
            self._healths = dict(sorted(self._healths.items())[-REMEMBERED_HEALTHS:])


def _ends(span: Span) -> tuple[Moment, Moment]:
    return Moment(span.snapshot, span.begin), Moment(span.snapshot, span.edge)
