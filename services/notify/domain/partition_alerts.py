"""The alerts of one partition: all its relationships under watch, its clock, the order of their deadlines, and who of
them has asked for support."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from typing import NamedTuple, Protocol, assert_never

from schemas.events import partition_key
from schemas.primitives import Id, Instant, Side
from schemas.scores import ScoreChanged, ScoreCorrected, ScoreEvent, ScoreRow, SupportCall
from services.notify.domain.alert_store import AlertStore
from services.notify.domain.evaluation import Evaluator, Transitioned
from services.notify.domain.guards import CatchUp, Frozen, frozen_by, source_digests
from services.notify.domain.ids import AlertSubject, ProgrammeKey
from services.notify.domain.programme_health import ProgrammeHealth, ProgrammeHealthIndex
from services.notify.domain.watch import Watch

MOST_CALLS = 16
"""Of one relationship, as many as scoring knows: of the oldest that were never closed nobody hears."""
CLOSED = "mentoring.support.resolved.v1"


class ClosedCall(NamedTuple):
    tenant: Id
    program: Id
    relationship: Id
    request: Id
    by: Side


@dataclass(frozen=True)
class StateChanges:
    """What has changed since it was last taken: watches by tenant/relationship, the clock if it moved, and whose watch
    is no more."""

    watches: Mapping[str, Watch] = field(default_factory=dict)
    clock: Instant | None = None
    gone: Collection[str] = ()

    def __bool__(self) -> bool:
        return bool(self.watches or self.clock or self.gone)


Decided = tuple[Watch, list[Transitioned]]


class WatchReset(NamedTuple):
    """A watch that nothing could be decided on: it begins anew with what the scores say next."""

    key: str
    failure: Exception


class Evaluators(Protocol):
    """Which rules hold for a programme at an instant; an Evaluator holds everywhere and always."""

    def evaluator_for(self, tenant: Id, program: Id, at: Instant) -> Evaluator: ...


class PartitionAlerts(AlertStore[Watch]):
    """Takes the events of a partition in log order; the same events give the same transitions, however they are cut
    into batches and wherever the state is saved and restored in between."""

    def __init__(self, evaluators: Evaluators, watches: Mapping[str, Watch], clock: Instant | None) -> None:
        super().__init__(dict(watches))
        self._evaluators = evaluators
        self.clock = clock
        self._touched: set[str] = set()
        self._clock_moved = False
        self._forgotten: list[WatchReset] = []
        # The soonest deadline of every watch, and all of them in the order of time. Entries of deadlines that were
        # moved since are skipped when they come up.
        self._dues = {key: watch.due for key, watch in watches.items()}
        self._deadlines = [(due, key) for key, due in self._dues.items() if due is not None]
        heapify(self._deadlines)
        self._catching_up = {key for key, watch in watches.items() if watch.catch_up is not None}
        self._silent: Mapping[ProgrammeKey, Mapping[str, Frozen]] = {}
        self._stuck: set[ProgrammeKey] = set()
        self._pulses = ProgrammeHealthIndex()
        for key, watch in watches.items():
            self._pulses.track(key, watch)
        self._closed: list[ClosedCall] = []
        # Nothing that still comes of them is watched.
        self._erased: set[str] = set()

    def apply(self, event: ScoreEvent) -> list[Transitioned]:
        if event.type == "mentoring.clock.advanced.v1":
            return self._advanced(event.data.clock)
        if self._erased and partition_key(event.tenant, event.subject) in self._erased:
            return []
        match event.type:
            case "mentoring.score.changed.v1":
                return self._changed(event)
            case "mentoring.score.corrected.v1":
                watch = self._watch(event)
                self._put(watch, self._rules(watch, event.data.as_of).correct(watch, event.data))
                return []
            case _:
                assert_never(event)

    def drain_changes(self) -> StateChanges:
        """To be written down before the next batch is taken."""
        watches = {key: self._watches[key] for key in sorted(self._touched) if key in self._watches}
        gone = sorted(self._touched - watches.keys())
        found = StateChanges(watches, self.clock if self._clock_moved else None, gone)
        self._touched, self._clock_moved = set(), False
        return found

    @property
    def is_empty(self) -> bool:
        return not self._watches

    def remind(self, key: str, rule: str, at: Instant, why: str) -> list[Transitioned]:
        """Of an alert that is open, though nothing has changed."""
        watch = self._watches[key]
        after, transitioned = self._rules(watch, self.clock or at).remind(watch, rule, self.clock or at, why)
        self._put(watch, after)
        return transitioned

    def erase(self, key: str, at: Instant) -> list[Transitioned]:
        """Nothing is kept of it, and nothing that still comes of it is watched. What was open ends."""
        self._erased.add(key)
        watch = self._watches.get(key)
        if watch is None:
            return []
        _, ends = self._rules(watch, at).erase(watch, max(at, watch.reached or at))
        return ends

    def remove_erased(self, key: str) -> None:
        """After the ends of an erased relationship have found their way."""
        if self._watches.pop(key, None) is not None:
            self._unwatch(key)

    def active(self, tenant: str, program: str) -> int:
        """How many relationships of a programme are active, by their newest rows."""
        return self._pulses.active((tenant, program))

    def catching_up(self) -> Mapping[str, CatchUp]:
        """The keys of those whose history is being told."""
        found = ((key, self._watches[key].catch_up) for key in sorted(self._catching_up) if key in self._watches)
        return {key: catch_up for key, catch_up in found if catch_up is not None}

    def settle(self, key: str) -> list[Transitioned]:
        """Its history has been told, up to the clock of the partition."""
        watch = self._watches[key]
        assert self.clock is not None, "history settles by the clock"
        after, transitioned = self._rules(watch, self.clock).settle(watch, self.clock)
        self._put(watch, after)
        return transitioned

    def pulses(self) -> Mapping[ProgrammeKey, ProgrammeHealth]:
        """Of every programme, by the newest rows."""
        return self._pulses.by_program

    def of_program(self, program: ProgrammeKey) -> list[Watch]:
        return self.watches_of(program[0], {program[1]})

    def restore_silent(self, silent: Mapping[ProgrammeKey, Mapping[str, Frozen]]) -> None:
        """These sources are silent, as the states that were restored say. Whoever is frozen by another, of which no
        state is left, thaws with the next `freeze`."""
        self._silent = silent
        frozen = [watch.subject for watch in self._watches.values() if watch.frozen is not None]
        self._stuck = {(one.tenant, one.program) for one in frozen} - silent.keys()

    def freeze(self, silent: Mapping[ProgrammeKey, Mapping[str, Frozen]]) -> list[Transitioned]:
        """From now on these sources are silent, and no others: who depends on one of them is frozen, and who was and
        does no longer is judged as of now."""
        concerned = {
            program for program in {*silent, *self._silent} if silent.get(program) != self._silent.get(program)
        }
        concerned |= self._stuck
        self._silent, self._stuck = silent, set()
        transitioned: list[Transitioned] = []
        for key, watch in list(self._watches.items()) if concerned else []:
            if (watch.subject.tenant, watch.subject.program) in concerned:
                transitioned += self._freeze(key, watch)
        return transitioned

    def forget(self, key: str, failure: Exception) -> None:
        """The watch of this tenant/relationship begins anew: its state, whoever wrote it, is of no use."""
        self._watches.pop(key, None)
        self._unwatch(key)
        self._forgotten.append(WatchReset(key, failure))

    def forgotten(self) -> list[WatchReset]:
        """Since it was last asked for."""
        found, self._forgotten = self._forgotten, []
        return found

    def drain_closed_calls(self) -> list[ClosedCall]:
        """Since it was last asked for."""
        found, self._closed = self._closed, []
        return found

    def _unwatch(self, key: str) -> None:
        self._catching_up.discard(key)
        self._dues.pop(key, None)
        self._pulses.drop(key)
        self._touched.add(key)

    def _changed(self, event: ScoreChanged) -> list[Transitioned]:
        watch = self._watch(event)
        if event.data.call is not None:
            watch = self._called(watch, event.data, event.data.call)
        silent = self._silent.get((event.tenant, event.program)) if self._silent else None
        if silent and event.data.score is not None:
            frozen = watch.frozen or frozen_by(source_digests(event.data.score.sources), silent)
            watch = replace(watch, frozen=frozen)
        try:
            after, transitioned = self._rules(watch, event.data.as_of).apply_row(watch, event.data, self.clock)
        except Exception as failure:
            # Of a watch that is new already it is the event that nobody can judge.
            if watch == _new_watch(event):
                raise
            self.forget(partition_key(event.tenant, event.subject), failure)
            watch = _new_watch(event)
            after, transitioned = self._rules(watch, event.data.as_of).apply_row(watch, event.data, self.clock)
        self._put(watch, after)
        return transitioned

    def _called(self, watch: Watch, row: ScoreRow, call: SupportCall) -> Watch:
        """Whoever asks for support shall hear when that is closed; of what is imported nobody waits for it."""
        is_history = (
            row.trigger is not None and row.trigger.type != CLOSED and self._rules(watch, row.as_of).is_history(row)
        )
        calls, subject = dict(watch.calls), watch.subject
        if row.trigger is not None and row.trigger.type == CLOSED:
            if (by := calls.pop(call.request_id, None)) is not None:
                self._closed.append(ClosedCall(subject.tenant, subject.program, subject.id, call.request_id, by))
        elif call.by is not None and not is_history:
            calls = dict(list({**calls, call.request_id: call.by}.items())[-MOST_CALLS:])
        noted = replace(watch, calls=calls)
        self._put(watch, noted)
        return noted

    def _advanced(self, clock: Instant) -> list[Transitioned]:
        if self.clock is not None and clock <= self.clock:
            return []
        transitioned: list[Transitioned] = []
        while self._deadlines and self._deadlines[0][0] <= clock:
            due, key = heappop(self._deadlines)
            if self._dues.get(key) == due:
                # Up to this deadline only: those of all pairs take effect in the order of time.
                watch = self._watches[key]
                transitioned += self._decided(key, watch, due, Evaluator.advance)
        self.clock, self._clock_moved = clock, True
        return transitioned

    def _freeze(self, key: str, watch: Watch) -> list[Transitioned]:
        frozen = frozen_by(watch.sources, self._silent.get((watch.subject.tenant, watch.subject.program), {}))
        if frozen is not None:
            # The one that was silent first is the reason, for as long as any is.
            self._put(watch, replace(watch, frozen=watch.frozen or frozen, revised=True))
            return []
        if watch.frozen is None:
            return []
        now = self.clock or watch.frozen.since
        return self._decided(key, watch, now, Evaluator.thaw)

    def _decided(
        self, key: str, watch: Watch, at: Instant, decide: Callable[[Evaluator, Watch, Instant], Decided]
    ) -> list[Transitioned]:
        try:
            after, transitioned = decide(self._rules(watch, at), watch, at)
        except Exception as failure:  # noqa: BLE001 (told by whoever asks for what was forgotten)
            self.forget(key, failure)
            return []
        self._put(watch, after)
        return transitioned

    def _rules(self, watch: Watch, at: Instant) -> Evaluator:
        """Those of the partition's time: a row of the past is judged as we judge now."""
        subject = watch.subject
        return self._evaluators.evaluator_for(subject.tenant, subject.program, max(at, self.clock or at))

    def _watch(self, event: ScoreChanged | ScoreCorrected) -> Watch:
        return self._watches.get(partition_key(event.tenant, event.subject)) or _new_watch(event)

    def _put(self, before: Watch, after: Watch) -> None:
        if after is before or after == before:
            return
        key = after.subject.key
        self._watches[key] = after
        self._touched.add(key)
        self._pulses.track(key, after)
        if after.catch_up is not None:
            self._catching_up.add(key)
        elif before.catch_up is not None:
            self._catching_up.discard(key)
        due = after.due
        if due != self._dues.get(key):
            self._dues[key] = due
            if due is not None:
                heappush(self._deadlines, (due, key))


def _new_watch(event: ScoreChanged | ScoreCorrected) -> Watch:
    return Watch(AlertSubject(event.tenant, "relationship", event.subject, event.program))
