"""The desk of one partition: all its relationships under watch, its clock, and the order of their deadlines."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import NamedTuple, assert_never

from schemas.events import partition_key
from schemas.primitives import Instant
from schemas.scores import ScoreChanged, ScoreCorrected, ScoreEvent
from services.notify.domain.evaluation import Evaluator, Transitioned, Watch


@dataclass(frozen=True)
class Touched:
    """What has changed since it was last taken: watches by tenant/relationship, the clock if it moved, and whose watch
    is no more."""

    watches: Mapping[str, Watch] = field(default_factory=dict)
    clock: Instant | None = None
    gone: Collection[str] = ()


class Forgotten(NamedTuple):
    """A watch that nothing could be decided on: it begins anew with what the scores say next."""

    key: str
    failure: Exception


class PartitionAlerts:
    """Takes the events of a partition in log order; the same events give the same happenings, however they are cut
    into batches and wherever the state is saved and restored in between."""

    def __init__(self, evaluator: Evaluator, watches: Mapping[str, Watch], clock: Instant | None) -> None:
        self._judge = evaluator
        self._watches = dict(watches)
        self.clock = clock
        self._touched: set[str] = set()
        self._clock_moved = False
        self._forgotten: list[Forgotten] = []
        # The soonest deadline of every watch. Entries of deadlines that were moved since are skipped when they come up.
        self._deadlines = [(watch.due, key) for key, watch in watches.items() if watch.due is not None]
        heapify(self._deadlines)

    def take(self, event: ScoreEvent) -> list[Transitioned]:
        match event.type:
            case "mentoring.score.changed.v1":
                return self._changed(event)
            case "mentoring.score.corrected.v1":
                watch = self._watch(event)
                self._put(watch, self._judge.corrected(watch, event.data))
                return []
            case "mentoring.clock.advanced.v1":
                return self._advanced(event.data.clock)
            case _:
                assert_never(event)

    def touched(self) -> Touched:
        """To be written down before the next batch is taken."""
        watches = {key: self._watches[key] for key in sorted(self._touched) if key in self._watches}
        gone = sorted(self._touched - watches.keys())
        found = Touched(watches, self.clock if self._clock_moved else None, gone)
        self._touched, self._clock_moved = set(), False
        return found

    def watches(self, tenant: str, relationship: str) -> bool:
        return partition_key(tenant, relationship) in self._watches

    def forget(self, key: str, failure: Exception) -> None:
        """The watch of this tenant/relationship begins anew: its state, whoever wrote it, is of no use."""
        self._watches.pop(key, None)
        self._touched.add(key)
        self._forgotten.append(Forgotten(key, failure))

    def forgotten(self) -> list[Forgotten]:
        """Since it was last asked for."""
        found, self._forgotten = self._forgotten, []
        return found

    def _changed(self, event: ScoreChanged) -> list[Transitioned]:
        watch = self._watch(event)
        try:
            after, transitioned = self._judge.changed(watch, event.data, self.clock)
        except Exception as failure:
            # Of a watch that is new already it is the event that nobody can judge.
            if watch == _new_watch(event):
                raise
            self.forget(partition_key(event.tenant, event.subject), failure)
            watch = _new_watch(event)
            after, transitioned = self._judge.changed(watch, event.data, self.clock)
        self._put(watch, after)
        return transitioned

    def _advanced(self, clock: Instant) -> list[Transitioned]:
        if self.clock is not None and clock <= self.clock:
            return []
        transitioned: list[Transitioned] = []
        while self._deadlines and self._deadlines[0][0] <= clock:
            due, key = heappop(self._deadlines)
            watch = self._watches.get(key)
            if watch is not None and watch.due == due:
                transitioned += self._turned(key, watch, due)
        self.clock, self._clock_moved = clock, True
        return transitioned

    def _turned(self, key: str, watch: Watch, due: Instant) -> list[Transitioned]:
        """Up to this deadline only: those of all pairs take effect in the order of time."""
        try:
            after, turned = self._judge.until(watch, due)
        except Exception as failure:  # noqa: BLE001 (told by whoever asks for what was forgotten)
            self.forget(key, failure)
            return []
        self._put(watch, after)
        return turned

    def _watch(self, event: ScoreChanged | ScoreCorrected) -> Watch:
        return self._watches.get(partition_key(event.tenant, event.subject)) or _new_watch(event)

    def _put(self, before: Watch, after: Watch) -> None:
        if after == before:
            return
        key = partition_key(after.tenant, after.relationship)
        self._watches[key] = after
        self._touched.add(key)
        if after.due is not None and after.due != before.due:
            heappush(self._deadlines, (after.due, key))


def _new_watch(event: ScoreChanged | ScoreCorrected) -> Watch:
    return Watch(event.tenant, event.subject, event.program)
