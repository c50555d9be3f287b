"""The alerts of one partition: its watched relationships, its clock, the order of their deadlines, and open support
requests."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from typing import NamedTuple, Protocol, assert_never

from schemas.alerts import InputOffset
from schemas.events import partition_key
from schemas.primitives import Id, Instant, Side
from schemas.scores import ScoreChanged, ScoreCorrected, ScoreEvent, ScoreRow, SupportCall
from services.notify.domain.alert_store import AlertStore
from services.notify.domain.evaluation import Evaluator, Transitioned
from services.notify.domain.guards import CatchUp, Frozen, frozen_by, source_digests
from services.notify.domain.ids import AlertSubject, ProgrammeKey
from services.notify.domain.programme_health import ProgrammeHealth, ProgrammeHealthIndex
from services.notify.domain.watch import Watch

MAX_CALLS = 16
"""Per relationship, as many as scoring tracks: older requests that were never closed are dropped."""
SUPPORT_RESOLVED = "mentoring.support.resolved.v1"


class ClosedCall(NamedTuple):
    tenant: Id
    program: Id
    relationship: Id
    request: Id
    by: Side


@dataclass(frozen=True)
class StateChanges:
    """The changes since the last drain: watches by tenant/relationship, the clock if it moved, and the keys of removed
    watches."""

    watches: Mapping[str, Watch] = field(default_factory=dict)
    clock: Instant | None = None
    gone: Collection[str] = ()

    def __bool__(self) -> bool:
        return bool(self.watches or self.clock or self.gone)


Decided = tuple[Watch, list[Transitioned]]


class WatchReset(NamedTuple):
    """A watch that could not be evaluated: it begins anew with the next score."""

    key: str
    failure: Exception


class Evaluators(Protocol):
    """Returns the rules for a programme at an instant; an Evaluator returns itself."""

    def evaluator_for(self, tenant: Id, program: Id, at: Instant) -> Evaluator: ...


class PartitionAlerts(AlertStore[Watch]):
    """Applies the events of a partition in log order. The same events give the same transitions, however they are
    batched and wherever the state is saved and restored in between."""

    def __init__(self, evaluators: Evaluators, watches: Mapping[str, Watch], clock: Instant | None) -> None:
        super().__init__(dict(watches))
        self._evaluators = evaluators
        self.clock = clock
        self.applied: InputOffset | None = None
        """The last record that was applied: acts of people are journaled with it."""
        self._changed_keys: set[str] = set()
        self._clock_moved = False
        self._resets: list[WatchReset] = []
        # The soonest deadline of every watch, and a heap of them. Heap entries of deadlines that have moved are skipped
        # when popped.
        self._due_by_key = {key: watch.due for key, watch in watches.items()}
        self._deadlines = [(due, key) for key, due in self._due_by_key.items() if due is not None]
        heapify(self._deadlines)
        self._catching_up = {key for key, watch in watches.items() if watch.catch_up is not None}
        self._silent: Mapping[ProgrammeKey, Mapping[str, Frozen]] = {}
        self._stuck: set[ProgrammeKey] = set()
        self._programme_health = ProgrammeHealthIndex()
        for key, watch in watches.items():
            self._programme_health.track(key, watch)
        self._closed_calls: list[ClosedCall] = []
        # Later scores of erased relationships are ignored.
        self._erased: set[str] = set()

    def apply(self, event: ScoreEvent) -> list[Transitioned]:
        if event.type == "mentoring.clock.advanced.v1":
            return self._advance_clock(event.data.clock)
        if self._erased and partition_key(event.tenant, event.subject) in self._erased:
            return []
        match event.type:
            case "mentoring.score.changed.v1":
                return self._apply_changed(event)
            case "mentoring.score.corrected.v1":
                watch = self._watch(event)
                self._put(watch, self._rules(watch, event.data.as_of).correct(watch, event.data))
                return []
            case _:
                assert_never(event)

    def drain_changes(self) -> StateChanges:
        """Return the changes since the last call; write them before the next batch is applied."""
        watches = {key: self._watches[key] for key in sorted(self._changed_keys) if key in self._watches}
        gone = sorted(self._changed_keys - watches.keys())
        found = StateChanges(watches, self.clock if self._clock_moved else None, gone)
        self._changed_keys, self._clock_moved = set(), False
        return found

    @property
    def is_empty(self) -> bool:
        return not self._watches

    def remind(self, key: str, rule: str, at: Instant, why: str) -> list[Transitioned]:
        """Remind of an open alert, though nothing has changed."""
        watch = self._watches[key]
        after, transitioned = self._rules(watch, self.clock or at).remind(watch, rule, self.clock or at, why)
        self._put(watch, after)
        return transitioned

    def erase(self, key: str, at: Instant) -> list[Transitioned]:
        """Erase a relationship: ignore its later scores, and return the ends of open alerts."""
        self._erased.add(key)
        watch = self._watches.get(key)
        if watch is None:
            return []
        _, ends = self._rules(watch, at).erase(watch, max(at, watch.reached or at))
        return ends

    def remove_erased(self, key: str) -> None:
        """Remove the watch after the ends of its alerts were decided."""
        if self._watches.pop(key, None) is not None:
            self._unwatch(key)

    def active(self, tenant: str, program: str) -> int:
        """Return how many relationships of a programme are active, by their newest rows."""
        return self._programme_health.active((tenant, program))

    def catching_up(self) -> Mapping[str, CatchUp]:
        """Return the relationships whose history is arriving, by key."""
        found = ((key, self._watches[key].catch_up) for key in sorted(self._catching_up) if key in self._watches)
        return {key: catch_up for key, catch_up in found if catch_up is not None}

    def settle(self, key: str) -> list[Transitioned]:
        """Evaluate a relationship whose history is complete, up to the clock of the partition."""
        watch = self._watches[key]
        assert self.clock is not None, "history settles by the clock"
        after, transitioned = self._rules(watch, self.clock).settle(watch, self.clock)
        self._put(watch, after)
        return transitioned

    def programme_health(self) -> Mapping[ProgrammeKey, ProgrammeHealth]:
        """Return the health of every programme, by the newest rows."""
        return self._programme_health.by_program

    def watches_of_program(self, program: ProgrammeKey) -> list[Watch]:
        return self.watches_of(program[0], {program[1]})

    def restore_silent(self, silent: Mapping[ProgrammeKey, Mapping[str, Frozen]]) -> None:
        """Restore the silent sources from the stored states. A relationship frozen by a source without a state thaws
        with the next `freeze`."""
        self._silent = silent
        frozen = [watch.subject for watch in self._watches.values() if watch.frozen is not None]
        self._stuck = {(one.tenant, one.program) for one in frozen} - silent.keys()

    def freeze(self, silent: Mapping[ProgrammeKey, Mapping[str, Frozen]]) -> list[Transitioned]:
        """Replace the silent sources: freeze relationships that depend on one of them, and evaluate those that no
        longer do."""
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
        """Reset the watch of this tenant/relationship: its state is unusable."""
        self._watches.pop(key, None)
        self._unwatch(key)
        self._resets.append(WatchReset(key, failure))

    def drain_resets(self) -> list[WatchReset]:
        """Return the watches reset since the last call."""
        found, self._resets = self._resets, []
        return found

    def drain_closed_calls(self) -> list[ClosedCall]:
        """Return the support requests closed since the last call."""
        found, self._closed_calls = self._closed_calls, []
        return found

    def _unwatch(self, key: str) -> None:
        self._catching_up.discard(key)
        self._due_by_key.pop(key, None)
        self._programme_health.drop(key)
        self._changed_keys.add(key)

    def _apply_changed(self, event: ScoreChanged) -> list[Transitioned]:
        watch = self._watch(event)
        if event.data.call is not None:
            watch = self._track_support_call(watch, event.data, event.data.call)
        silent = self._silent.get((event.tenant, event.program)) if self._silent else None
        if silent and event.data.score is not None:
            frozen = watch.frozen or frozen_by(source_digests(event.data.score.sources), silent)
            watch = replace(watch, frozen=frozen)
        try:
            after, transitioned = self._rules(watch, event.data.as_of).apply_row(watch, event.data, self.clock)
        except Exception as failure:
            # With a new watch the event itself cannot be evaluated.
            if watch == _new_watch(event):
                raise
            self.forget(partition_key(event.tenant, event.subject), failure)
            watch = _new_watch(event)
            after, transitioned = self._rules(watch, event.data.as_of).apply_row(watch, event.data, self.clock)
        self._put(watch, after)
        return transitioned

    def _track_support_call(self, watch: Watch, row: ScoreRow, call: SupportCall) -> Watch:
        """Track support requests, so that whoever asked is notified when they are closed; of imported history nobody
        waits for that."""
        is_history = (
            row.trigger is not None
            and row.trigger.type != SUPPORT_RESOLVED
            and self._rules(watch, row.as_of).is_history(row)
        )
        calls, subject = dict(watch.calls), watch.subject
        if row.trigger is not None and row.trigger.type == SUPPORT_RESOLVED:
            if (by := calls.pop(call.request_id, None)) is not None:
                self._closed_calls.append(ClosedCall(subject.tenant, subject.program, subject.id, call.request_id, by))
        elif call.by is not None and not is_history:
            calls = dict(list({**calls, call.request_id: call.by}.items())[-MAX_CALLS:])
        noted = replace(watch, calls=calls)
        self._put(watch, noted)
        return noted

    def _advance_clock(self, clock: Instant) -> list[Transitioned]:
        if self.clock is not None and clock <= self.clock:
            return []
        transitioned: list[Transitioned] = []
        while self._deadlines and self._deadlines[0][0] <= clock:
            due, key = heappop(self._deadlines)
            if self._due_by_key.get(key) == due:
                # Up to this deadline only: deadlines of all pairs apply in time order.
                watch = self._watches[key]
                transitioned += self._decide(key, watch, due, Evaluator.advance)
        self.clock, self._clock_moved = clock, True
        return transitioned

    def _freeze(self, key: str, watch: Watch) -> list[Transitioned]:
        frozen = frozen_by(watch.sources, self._silent.get((watch.subject.tenant, watch.subject.program), {}))
        if frozen is not None:
            # The source that fell silent first stays the reason for as long as any is silent.
            self._put(watch, replace(watch, frozen=watch.frozen or frozen, revised=True))
            return []
        if watch.frozen is None:
            return []
        now = self.clock or watch.frozen.since
        return self._decide(key, watch, now, Evaluator.thaw)

    def _decide(
        self, key: str, watch: Watch, at: Instant, decide: Callable[[Evaluator, Watch, Instant], Decided]
    ) -> list[Transitioned]:
        try:
            after, transitioned = decide(self._rules(watch, at), watch, at)
        except Exception as failure:  # noqa: BLE001 (logged by the caller of `drain_resets`)
            self.forget(key, failure)
            return []
        self._put(watch, after)
        return transitioned

    def _rules(self, watch: Watch, at: Instant) -> Evaluator:
        """Return the rules at the partition's clock: a row of the past is evaluated by today's rules."""
        subject = watch.subject
        return self._evaluators.evaluator_for(subject.tenant, subject.program, max(at, self.clock or at))

    def _watch(self, event: ScoreChanged | ScoreCorrected) -> Watch:
        return self._watches.get(partition_key(event.tenant, event.subject)) or _new_watch(event)

    def _put(self, before: Watch, after: Watch) -> None:
        if after is before or after == before:
            return
        key = after.subject.key
        self._watches[key] = after
        self._changed_keys.add(key)
        self._programme_health.track(key, after)
        if after.catch_up is not None:
            self._catching_up.add(key)
        elif before.catch_up is not None:
            self._catching_up.discard(key)
        due = after.due
        if due != self._due_by_key.get(key):
            self._due_by_key[key] = due
            if due is not None:
                heappush(self._deadlines, (due, key))


def _new_watch(event: ScoreChanged | ScoreCorrected) -> Watch:
    return Watch(AlertSubject(event.tenant, "relationship", event.subject, event.program))
