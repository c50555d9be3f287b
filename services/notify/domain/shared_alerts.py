"""The alerts of programmes and sources: expectations, watermarks, and the health of all pairs over all partitions. They
run on the lowest clock of all partitions; relationships do not."""

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
    """Return the lowest clock of the partitions that have relationships or a clock; None while one of them has no clock
    yet."""
    clocks = [alerts.clock for alerts in partitions if alerts.clock is not None or not alerts.is_empty]
    set_clocks = [clock for clock in clocks if clock is not None]
    return min(set_clocks) if set_clocks and len(set_clocks) == len(clocks) else None


def tallies(
    partitions: Iterable[PartitionAlerts], programs: Collection[ProgrammeKey] | None = None
) -> dict[ProgrammeKey, Tally]:
    """Tally these programmes, or all."""
    by_partition = [(alerts.programme_health(), alerts.catching_up().keys()) for alerts in partitions]
    by_key = {program for of_partition, _ in by_partition for program in of_partition}
    return {
        program: _tally(
            [(of_partition[program], late) for of_partition, late in by_partition if program in of_partition]
        )
        for program in (by_key if programs is None else by_key & set(programs))
    }


def late_histories(
    caught_up: Sequence[CatchingUp], partitions: Mapping[int, PartitionAlerts]
) -> dict[ProgrammeKey, LateHistory]:
    """Count, by programme, the relationships that have caught up with their history."""
    found: dict[ProgrammeKey, LateHistory] = {}
    for one in caught_up:
        watch = partitions[one.partition].watch(one.key)
        if watch is not None:
            program = (watch.subject.tenant, watch.subject.program)
            before = found.get(program, LateHistory(0, one.catch_up.why))
            found[program] = replace(before, relationships=before.relationships + 1)
    return found


def _tally(of_partitions: Sequence[tuple[ProgrammeHealth, AbstractSet[str]]]) -> Tally:
    """Tally one programme from the health and the catching-up keys of each partition."""
    healths: list[float] = []
    for program_health, late in of_partitions:
        # Nearly always nobody catches up: all pairs are walked here every hour.
        by_key = program_health.healths
        healths += [health for key, health in by_key.items() if key not in late] if late else by_key.values()
    alerting = sum(len(program_health.alerting - late) for program_health, late in of_partitions)
    catching_up = sum(len(program_health.healths.keys() & late) for program_health, late in of_partitions)
    return Tally(
        healths,
        alerting,
        catching_up,
        [at for program_health, _ in of_partitions for at in program_health.rescored.values()],
    )


CHECK_EVERY = timedelta(minutes=5)
"""In time of the lowest clock: no source is expected more often."""
MEASURE_EVERY = timedelta(hours=1)
"""In time of the lowest clock: a median over all pairs of a programme moves no faster."""
SWITCHED_OFF = "the rule is off"
SHIFT, SILENT, STALE = "programme_shift", "source_silent", "score_stale"


class SharedAlerts(AlertStore[SubjectWatch]):
    """For one thread. The same watermarks, programmes and clocks in the same order give the same transitions, wherever
    it is restored from the stored watches and the lowest clock."""

    def __init__(self, rules: RuleBook, watches: Mapping[str, SubjectWatch], clock: Instant | None = None) -> None:
        super().__init__(dict(watches))
        self._rules = rules
        self._programmes: dict[ProgrammeKey, Programme] = {}
        self._watermarks: dict[tuple[Id, str], Watermark] = {}
        self._expected: set[tuple[Id, str]] = set()
        # Up to which instant sources were checked, and programmes measured: everything up to the clock is stored.
        self._checked_at: Instant | None = None
        self._measured_at = clock
        self._changed_keys: set[str] = set()

    def upsert_programme(self, programme: Programme) -> None:
        self._programmes[programme.tenant, programme.id] = programme
        self._expected |= {(programme.tenant, one.source) for one in programme.sources}
        self._checked_at = None

    def remove_programme(self, tenant: Id, program: Id) -> None:
        self._programmes.pop((tenant, program), None)
        self._checked_at = None

    def apply_watermark(self, watermark: SourceWatermark) -> None:
        """Apply a watermark. Of several writers the latest counts. On the log's clock it is ignored: it is of recorded
        events, which may be years ahead of the scores."""
        if self._rules.clock == "wall":
            self._raise_watermark(watermark.tenant, watermark.source, Watermark(watermark.time, watermark.recordedtime))

    def apply_trigger(self, tenant: Id, trigger: Trigger) -> None:
        """Take the watermark of the event that triggered a score."""
        # Most sources are expected by no programme; this runs for every score.
        if (tenant, trigger.source) in self._expected:
            self._raise_watermark(tenant, trigger.source, Watermark(trigger.time, trigger.recordedtime))

    def _raise_watermark(self, tenant: Id, source: str, watermark: Watermark) -> None:
        before = self._watermarks.get((tenant, source), watermark)
        self._watermarks[tenant, source] = Watermark(
            max(before.time, watermark.time), max(before.recorded, watermark.recorded)
        )

    def remind(self, key: str, rule: str, at: Instant, why: str) -> list[SubjectTransitioned]:
        """Remind of an open alert, though nothing has changed."""
        watch = self._watches[key]
        rule_found = self._rule((watch.subject.tenant, watch.subject.program), rule, at)
        found = [] if rule_found is None else remind_subject(watch, rule_found, at, why)
        for one in found:
            self._put(watch, one.watch)
        return found

    def drain_changes(self) -> dict[str, SubjectWatch]:
        """Return the changes since the last call, by key."""
        changes = {key: self._watches[key] for key in sorted(self._changed_keys)}
        self._changed_keys = set()
        return changes

    def silent(self) -> dict[ProgrammeKey, dict[str, Frozen]]:
        """Return the silent sources, by the programme that expects them and their digest."""
        found: dict[ProgrammeKey, dict[str, Frozen]] = {}
        for watch in self._watches.values():
            state = watch.rules.get(SILENT)
            if watch.source is not None and state is not None and state.condition in OPEN and state.since is not None:
                by_digest = found.setdefault((watch.subject.tenant, watch.subject.program), {})
                by_digest[source_digest(watch.source)] = Frozen(watch.source, state.since)
        return found

    def advance(self, clock: Instant, tallies: Callable[[], Mapping[ProgrammeKey, Tally]]) -> list[SubjectTransitioned]:
        """Advance to the lowest clock. Sources come first: a programme whose source is silent is not measured."""
        found: list[SubjectTransitioned] = []
        if _is_due(self._checked_at, clock, CHECK_EVERY):
            self._checked_at = clock
            for key, programme in sorted(self._programmes.items()):
                for source in programme.sources:
                    found += self._check(source_subject(*key, source.source), SILENT, clock, source.source)
            found += list(self._close_unexpected(clock))
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
        """Measure programmes whose relationships have caught up with their history. What they show arrived late as
        well, and is marked so."""
        found: list[SubjectTransitioned] = []
        silent = self.silent()
        for key, late_history in late.items():
            tally, rule = tallies.get(key), self._rule(key, SHIFT, clock)
            if tally is None or rule is None or key in silent:
                continue
            subject = programme_subject(*key)
            before = self._watches.get(subject.key)
            if before is not None and tally.share(late_history.relationships) >= rule.tiers[0].level:
                # Earlier medians are of another set of pairs.
                self._put(before, replace(before, peaks=()))
            found += [
                one._replace(transition=replace(one.transition, late=late_history.why))
                for one in self._measure(key, tally, clock)
            ]
        return found

    def stale(self, clock: Instant) -> list[SubjectTransitioned]:
        """Decide whether scores lag behind the events, once all available scores have been read. On the log's clock
        that is unknown: the events of years may be recorded within a minute."""
        found: list[SubjectTransitioned] = []
        if self._rules.clock == "log":
            return found
        for key, programme in sorted(self._programmes.items()):
            if programme.sources:
                found += self._check(programme_subject(*key), STALE, clock, None)
        return found

    def _check(self, subject: AlertSubject, name: str, clock: Instant, uri: str | None) -> list[SubjectTransitioned]:
        key = (subject.tenant, subject.program)
        watch = self._watches.get(subject.key) or SubjectWatch(subject, source=uri)
        rule = self._rule(key, name, clock)
        if rule is None:
            return self._store(*close_subject_rule(watch, DEFAULTS[name], clock, SWITCHED_OFF))
        programme = self._programmes[key]
        if uri is None:
            interval = timedelta(hours=min(source.interval_hours for source in programme.sources))
            marks = [self._watermarks.get((subject.tenant, source.source)) for source in programme.sources]
            newest = max((watermark.recorded for watermark in marks if watermark is not None), default=None)
            observation = observe_lag(rule, interval, newest, clock)
            # It fires while the clock stands still: its transitions are dated by the events.
            clock = max(clock, newest or clock)
        else:
            source = next(one for one in programme.sources if one.source == uri)
            watermark = self._watermarks.get((subject.tenant, uri))
            # Earlier watermarks are unknown: at the first start of a version that checks sources, no source is late.
            watch = replace(watch, watched_from=watch.watched_from or clock)
            observation = observe_source(
                rule, source, watermark, max(programme.recordedtime, watch.watched_from or clock), clock
            )
        return self._store(*evaluate_subject(watch, rule, observation, clock))

    def _measure(self, key: ProgrammeKey, tally: Tally, clock: Instant) -> list[SubjectTransitioned]:
        subject, rule = programme_subject(*key), self._rule(key, SHIFT, clock)
        watch = self._watches.get(subject.key) or SubjectWatch(subject)
        if rule is None or rule.shift is None:
            return self._store(*close_subject_rule(watch, DEFAULTS[SHIFT], clock, SWITCHED_OFF))
        if tally.catching_up and tally.share(tally.catching_up) >= rule.tiers[0].level:
            # Half of a history shows a fall that never was.
            return []
        watch, observation = observe_shift(watch, rule.shift, rule, tally, clock)
        return self._store(*evaluate_subject(watch, rule, observation, clock))

    def _close_unexpected(self, clock: Instant) -> Iterator[SubjectTransitioned]:
        """Close alerts of sources that no programme expects any more, and of score lag where a programme expects
        none."""
        for watch in list(self._watches.values()):
            programme = self._programmes.get((watch.subject.tenant, watch.subject.program))
            expected = {one.source for one in programme.sources} if programme else set()
            name = STALE if watch.source is None else SILENT
            if (watch.source in expected) or (watch.source is None and expected) or name not in watch.rules:
                continue
            yield from self._store(*close_subject_rule(watch, DEFAULTS[name], clock))

    def _rule(self, key: ProgrammeKey, name: str, clock: Instant) -> Rule | None:
        return self._rules.in_force(key, clock).of_subjects.get(name)

    def _store(self, watch: SubjectWatch, found: list[SubjectTransitioned]) -> list[SubjectTransitioned]:
        self._put(self._watches.get(watch.subject.key), watch)
        return found

    def _put(self, before: SubjectWatch | None, after: SubjectWatch) -> None:
        key = after.subject.key
        if before == after:
            return
        self._watches[key] = after
        # An empty state is not worth a record.
        is_pending = any(state.condition != "ok" for state in after.rules.values())
        if before is not None or is_pending or after.peaks or after.watched_from is not None:
            self._changed_keys.add(key)


def _is_due(last: Instant | None, clock: Instant, every: timedelta) -> bool:
    """Return whether a new span of that length has begun, counted from fixed instants."""
    if last is None or clock < last:
        return last is None
    return (clock.timestamp() // every.total_seconds()) > (last.timestamp() // every.total_seconds())
