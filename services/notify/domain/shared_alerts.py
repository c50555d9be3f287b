"""The alerts of programmes and sources: what is expected of them, how far they have spoken, what their pairs show
together over all partitions, and their order in time. They live by the lowest clock; relationships do not."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import timedelta

from schemas.primitives import Id, Instant
from schemas.programs import Programme, SourceWatermark
from schemas.rule_sets import DEFAULTS
from schemas.rules import Rule
from schemas.scores import Trigger
from services.notify.domain.alert_store import AlertStore
from services.notify.domain.guards import CatchingUp, Frozen, source_digest
from services.notify.domain.ids import AlertSubject, ProgrammeKey
from services.notify.domain.lifecycle import OPEN
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.programme_health import ProgrammeHealth
from services.notify.domain.rule_book import RuleBook
from services.notify.domain.subjects import (
    LateHistory,
    SubjectTransitioned,
    SubjectWatch,
    Tally,
    Watermark,
    close_subject_rule,
    evaluate_subject,
    observe_lag,
    observe_shift,
    observe_source,
    programme_subject,
    remind_subject,
    source_subject,
)


def lowest_clock(partitions: Iterable[PartitionAlerts]) -> Instant | None:
    """Of the partitions that have relationships or a clock; None while one of them has no clock yet."""
    clocks = [alerts.clock for alerts in partitions if alerts.clock is not None or not alerts.is_empty]
    known = [clock for clock in clocks if clock is not None]
    return min(known) if known and len(known) == len(clocks) else None


def tallies(
    partitions: Iterable[PartitionAlerts], programs: Collection[ProgrammeKey] | None = None
) -> dict[ProgrammeKey, Tally]:
    """Of these programmes, or of all."""
    pulses = [(alerts.pulses(), alerts.catching_up().keys()) for alerts in partitions]
    known = {program for of_partition, _ in pulses for program in of_partition}
    return {
        program: _tally([(of_partition[program], late) for of_partition, late in pulses if program in of_partition])
        for program in (known if programs is None else known & set(programs))
    }


def late_histories(
    caught_up: Sequence[CatchingUp], partitions: Mapping[int, PartitionAlerts]
) -> dict[ProgrammeKey, LateHistory]:
    """By programme, of relationships that have caught up with their history."""
    found: dict[ProgrammeKey, LateHistory] = {}
    for one in caught_up:
        watch = partitions[one.partition].watch(one.key)
        if watch is not None:
            program = (watch.subject.tenant, watch.subject.program)
            before = found.get(program, LateHistory(0, one.catch_up.why))
            found[program] = replace(before, relationships=before.relationships + 1)
    return found


def _tally(of_partitions: Sequence[tuple[ProgrammeHealth, AbstractSet[str]]]) -> Tally:
    """Of one programme: its pulses, and who is catching up, by partition."""
    healths: list[float] = []
    for pulse, late in of_partitions:
        # Nearly always nobody is: every hour all pairs are walked here.
        known = pulse.healths
        healths += [health for key, health in known.items() if key not in late] if late else known.values()
    alerting = sum(len(pulse.alerting - late) for pulse, late in of_partitions)
    catching_up = sum(len(pulse.healths.keys() & late) for pulse, late in of_partitions)
    return Tally(healths, alerting, catching_up, [at for pulse, _ in of_partitions for at in pulse.rescored.values()])


CHECK_EVERY = timedelta(minutes=5)
"""Of the lowest clock: nothing that is expected is expected more often."""
MEASURE_EVERY = timedelta(hours=1)
"""Of the lowest clock: a median over all pairs of a programme moves no faster."""
SWITCHED_OFF = "the rule is off"
SHIFT, SILENT, STALE = "programme_shift", "source_silent", "score_stale"


class SharedAlerts(AlertStore[SubjectWatch]):
    """For one thread. The same marks, programmes and clocks in the same order give the same transitions, whenever it
    begins anew with the watches and the lowest clock that were written down."""

    def __init__(self, rules: RuleBook, watches: Mapping[str, SubjectWatch], clock: Instant | None = None) -> None:
        super().__init__(dict(watches))
        self._rules = rules
        self._programmes: dict[ProgrammeKey, Programme] = {}
        self._marks: dict[tuple[Id, str], Watermark] = {}
        self._expected: set[tuple[Id, str]] = set()
        # Up to which instant sources were looked at, and programmes measured: up to the clock all is written down.
        self._looked_at: Instant | None = None
        self._measured_at = clock
        self._touched: set[str] = set()

    def upsert_programme(self, programme: Programme) -> None:
        self._programmes[programme.tenant, programme.id] = programme
        self._expected |= {(programme.tenant, one.source) for one in programme.sources}
        self._looked_at = None

    def remove_programme(self, tenant: Id, program: Id) -> None:
        self._programmes.pop((tenant, program), None)
        self._looked_at = None

    def apply_watermark(self, watermark: SourceWatermark) -> None:
        """Of several writers each knows a part: the latest counts. Where time is the log's, such a mark says nothing:
        it is of what was recorded, and that may be years ahead of the scores."""
        if self._rules.clock == "wall":
            self._mark(watermark.tenant, watermark.source, Watermark(watermark.time, watermark.recordedtime))

    def apply_trigger(self, tenant: Id, trigger: Trigger) -> None:
        """A score says which event brought it about."""
        # Most sources are expected by nobody; this is asked of every score.
        if (tenant, trigger.source) in self._expected:
            self._mark(tenant, trigger.source, Watermark(trigger.time, trigger.recordedtime))

    def _mark(self, tenant: Id, source: str, mark: Watermark) -> None:
        before = self._marks.get((tenant, source), mark)
        self._marks[tenant, source] = Watermark(max(before.time, mark.time), max(before.recorded, mark.recorded))

    def remind(self, key: str, rule: str, at: Instant, why: str) -> list[SubjectTransitioned]:
        """Of an alert that is open, though nothing has changed."""
        watch = self._watches[key]
        known = self._rule((watch.subject.tenant, watch.subject.program), rule, at)
        found = [] if known is None else remind_subject(watch, known, at, why)
        for one in found:
            self._put(watch, one.watch)
        return found

    def drain_changes(self) -> dict[str, SubjectWatch]:
        """What has changed since it was last taken, by key."""
        found = {key: self._watches[key] for key in sorted(self._touched)}
        self._touched = set()
        return found

    def silent(self) -> dict[ProgrammeKey, dict[str, Frozen]]:
        """The sources that are silent, by the programme that expects them and their digest."""
        found: dict[ProgrammeKey, dict[str, Frozen]] = {}
        for watch in self._watches.values():
            state = watch.rules.get(SILENT)
            if watch.source is not None and state is not None and state.condition in OPEN and state.since is not None:
                of = found.setdefault((watch.subject.tenant, watch.subject.program), {})
                of[source_digest(watch.source)] = Frozen(watch.source, state.since)
        return found

    def advance(self, clock: Instant, tallies: Callable[[], Mapping[ProgrammeKey, Tally]]) -> list[SubjectTransitioned]:
        """The lowest clock has come so far. Sources first: a programme whose source is silent is not measured."""
        found: list[SubjectTransitioned] = []
        if _is_due(self._looked_at, clock, CHECK_EVERY):
            self._looked_at = clock
            for key, programme in sorted(self._programmes.items()):
                for source in programme.sources:
                    found += self._look(source_subject(*key, source.source), SILENT, clock, source.source)
            found += list(self._no_longer_watched(clock))
        if _is_due(self._measured_at, clock, MEASURE_EVERY):
            self._measured_at = clock
            silent = self.silent()
            for key, tally in sorted(tallies().items()):
                if key not in silent:
                    found += self._measure(key, tally, clock)
        return found

    def caught_up(
        self, clock: Instant, late: Mapping[ProgrammeKey, LateHistory], tallies: Mapping[ProgrammeKey, Tally]
    ) -> list[SubjectTransitioned]:
        """The history of relationships of these programmes has been told. What they show since then came to light late
        as well: it is measured now, and is no news of its own."""
        found: list[SubjectTransitioned] = []
        silent = self.silent()
        for key, told in late.items():
            tally, rule = tallies.get(key), self._rule(key, SHIFT, clock)
            if tally is None or rule is None or key in silent:
                continue
            subject = programme_subject(*key)
            before = self._watches.get(subject.key)
            if before is not None and tally.share(told.relationships) >= rule.tiers[0].level:
                # The medians of before are of another programme.
                self._put(before, replace(before, peaks=()))
            found += [
                one._replace(transition=replace(one.transition, late=told.why))
                for one in self._measure(key, tally, clock)
            ]
        return found

    def stale(self, clock: Instant) -> list[SubjectTransitioned]:
        """Whether scores are behind the events, when all scores that there are have been read. Where time is the log's
        nobody knows: the events of years may be recorded within a minute."""
        found: list[SubjectTransitioned] = []
        if self._rules.clock == "log":
            return found
        for key, programme in sorted(self._programmes.items()):
            if programme.sources:
                found += self._look(programme_subject(*key), STALE, clock, None)
        return found

    def _look(self, subject: AlertSubject, name: str, clock: Instant, uri: str | None) -> list[SubjectTransitioned]:
        key = (subject.tenant, subject.program)
        watch = self._watches.get(subject.key) or SubjectWatch(subject, source=uri)
        rule = self._rule(key, name, clock)
        if rule is None:
            return self._keep(*close_subject_rule(watch, DEFAULTS[name], clock, SWITCHED_OFF))
        programme = self._programmes[key]
        if uri is None:
            interval = timedelta(hours=min(source.interval_hours for source in programme.sources))
            marks = [self._marks.get((subject.tenant, source.source)) for source in programme.sources]
            newest = max((mark.recorded for mark in marks if mark is not None), default=None)
            seen = observe_lag(rule, interval, newest, clock)
            # It fires while the clock stands: what happens to it is dated by the events.
            clock = max(clock, newest or clock)
        else:
            source = next(one for one in programme.sources if one.source == uri)
            mark = self._marks.get((subject.tenant, uri))
            # Whatever it said before is known to nobody: at the first start of a version that looks, no source is late.
            watch = replace(watch, watched_from=watch.watched_from or clock)
            seen = observe_source(rule, source, mark, max(programme.recordedtime, watch.watched_from or clock), clock)
        return self._keep(*evaluate_subject(watch, rule, seen, clock))

    def _measure(self, key: ProgrammeKey, tally: Tally, clock: Instant) -> list[SubjectTransitioned]:
        subject, rule = programme_subject(*key), self._rule(key, SHIFT, clock)
        watch = self._watches.get(subject.key) or SubjectWatch(subject)
        if rule is None or rule.shift is None:
            return self._keep(*close_subject_rule(watch, DEFAULTS[SHIFT], clock, SWITCHED_OFF))
        if tally.catching_up and tally.share(tally.catching_up) >= rule.tiers[0].level:
            # Half of a history shows a fall that never was.
            return []
        watch, seen = observe_shift(watch, rule.shift, rule, tally, clock)
        return self._keep(*evaluate_subject(watch, rule, seen, clock))

    def _no_longer_watched(self, clock: Instant) -> Iterator[SubjectTransitioned]:
        """A source that no programme expects any more; scores of a programme that expects none."""
        for watch in list(self._watches.values()):
            programme = self._programmes.get((watch.subject.tenant, watch.subject.program))
            expected = {one.source for one in programme.sources} if programme else set()
            name = STALE if watch.source is None else SILENT
            if (watch.source in expected) or (watch.source is None and expected) or name not in watch.rules:
                continue
            yield from self._keep(*close_subject_rule(watch, DEFAULTS[name], clock))

    def _rule(self, key: ProgrammeKey, name: str, clock: Instant) -> Rule | None:
        return self._rules.in_force(key, clock).of_subjects.get(name)

    def _keep(self, watch: SubjectWatch, found: list[SubjectTransitioned]) -> list[SubjectTransitioned]:
        self._put(self._watches.get(watch.subject.key), watch)
        return found

    def _put(self, before: SubjectWatch | None, after: SubjectWatch) -> None:
        key = after.subject.key
        if before == after:
            return
        self._watches[key] = after
        # What remembers nothing is not worth a record.
        is_pending = any(state.condition != "ok" for state in after.rules.values())
        if before is not None or is_pending or after.peaks or after.watched_from is not None:
            self._touched.add(key)


def _is_due(last: Instant | None, clock: Instant, every: timedelta) -> bool:
    """Once in every span of that length, counted from the same instants wherever it began."""
    if last is None or clock < last:
        return last is None
    return (clock.timestamp() // every.total_seconds()) > (last.timestamp() // every.total_seconds())
