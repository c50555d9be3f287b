"""The main loop: polls score events and commands, commits one transaction per round, and sends deliveries."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from schemas.alert_commands import AlertSilence
from schemas.alerts import Delivery, DeliveryChanged, InputOffset
from schemas.events import partition_key
from services.notify.domain.decisions import delivery_changed
from services.notify.domain.deliveries import has_ended
from services.notify.domain.hold import Hold
from services.notify.domain.name_book import Erased
from services.notify.domain.notices import is_notice
from services.notify.domain.pipeline import Decision
from services.notify.domain.preferences import AddressOff
from services.notify.domain.routing import Addressing
from services.notify.flow.command_processor import CommandProcessor, DeliveryRequests
from services.notify.flow.destinations import DestinationsFile
from services.notify.flow.dispatch import Dispatch
from services.notify.flow.escalation import EscalationPlanner
from services.notify.flow.inputs import PeopleRecords, SubjectInputs
from services.notify.flow.journal import Entry, Journal
from services.notify.flow.leadership import Leadership
from services.notify.flow.notice_planner import NoticePlanner
from services.notify.flow.report import Report
from services.notify.flow.score_processor import ScoreProcessor
from services.notify.topics import NotifyTopics
from services.runtime.following import Follower
from services.runtime.kafka import Committed, Partition, Reader, Record
from services.runtime.progress import note_progress
from services.runtime.settings import Settings

MAX_RECORDS = 1_000
"""Deciding on so many takes some tenths of a second, which somebody who has just acknowledged an alert waits for, twice
as long while a round is under way. A transaction costs as much as some fifty records."""
BATCH_SECONDS = 0.5
"""A transaction costs as much as many records: while many keep coming, a batch waits for more."""
LARGE_POLL = 100
"""A poll that returns more records than this means that more are on their way."""
LINGER_SECONDS = 0.005
"""How long a smaller batch waits for more: it may hold a request for support."""
BUSY_SECONDS = 0.05
"""How long to wait for the next records within a batch, or while a delivery is in flight."""
IDLE_SECONDS = 0.5
COMMANDS_POLL_SECONDS = 0.1
"""How often a wait for scores polls the commands."""

PolledRecords = Mapping[Partition, Sequence[Record]]


class RoundReader:
    """Two consumers of one group, for one thread. Commands have a consumer of their own: kafka-python returns fetched
    records in fetch order, a megabyte per partition of the scores, so that a command would wait for seconds, and up to
    a quarter of a minute, while history is imported."""

    def __init__(self, settings: Settings, topics: NotifyTopics) -> None:
        self._commands = Reader(settings, topics.identity)
        for partition in self._commands.assign([topics.commands]):
            # A poll without a timeout fetches nothing before the position is resolved.
            self._commands.position(partition)
        self.main = Reader(settings, topics.identity, isolation_level="read_committed")
        assigned = self.main.assign([topics.scores, topics.programs, topics.sources, topics.rules])
        self.numbers = [partition.number for partition in assigned if partition.topic == topics.scores]

    def poll_batch(self, first_wait: float) -> PolledRecords:
        """Return up to MAX_RECORDS, or what arrives within the linger time of a batch of this size, or what there is
        when no more arrives."""
        batch: dict[Partition, list[Record]] = {}
        began: float | None = None
        wait, left = first_wait, MAX_RECORDS
        while left > 0 and (polled := self._poll(wait, left)):
            for partition, records in polled.items():
                batch.setdefault(partition, []).extend(records)
            count = sum(map(len, polled.values()))
            left -= count
            now = time.monotonic()
            began = now if began is None else began
            remaining = began + (BATCH_SECONDS if count >= LARGE_POLL else LINGER_SECONDS) - now
            if remaining <= 0:
                break
            wait = min(BUSY_SECONDS, remaining)
        return batch

    def committed_scores(self, scores: str) -> dict[int, InputOffset]:
        """Return the last record of each partition that the last round before the start has applied."""
        found = {number: self.main.committed(Partition(scores, number)) for number in self.numbers}
        return {
            number: InputOffset(topic=scores, partition=number, offset=committed.offset - 1)
            for number, committed in found.items()
            if committed is not None and committed.offset > 0
        }

    def lag(self) -> int:
        """Return the number of records not read yet, without commands."""
        return self.main.lag()

    def close(self) -> None:
        self._commands.close()
        self.main.close()

    def _poll(self, wait: float, max_records: int) -> PolledRecords:
        until = time.monotonic() + wait
        while True:
            if commands := self._commands.poll(0, max_records):
                return commands
            left = until - time.monotonic()
            polled = self.main.poll(max(0.0, min(COMMANDS_POLL_SECONDS, left)), max_records)
            if polled or left <= COMMANDS_POLL_SECONDS:
                return polled


@dataclass(frozen=True)
class SideInputs:
    """The inputs beside scores and commands. A failure of one of the `followers` ends the process: its projection would
    otherwise grow stale silently."""

    addressing: Addressing
    destinations: DestinationsFile
    requests: DeliveryRequests
    people: PeopleRecords
    followers: tuple[Follower, ...]

    def apply(self, dispatch: Dispatch) -> tuple[list[Erased], list[tuple[str, str]]]:
        """Return who was erased, and who is away, by tenant and id, since the last call. Raises the failure of a
        follower."""
        for follower in self.followers:
            follower.check()
        changed = self.destinations.poll_changes()
        if changed is not None:
            dispatch.configure(changed.destinations)
            self.addressing.routing = changed
        for requested in self.requests.drain():
            if requested.replay is None:
                dispatch.discard(requested.delivery_id)
            else:
                dispatch.replay(requested.replay)
        erased = self.people.drain_erased()
        dispatch.forget(erased)
        return erased, self.people.drain_away()


@dataclass
class _ErasureChanges:
    """The records that erasures change in one round."""

    gone: list[str]
    silences: dict[str, AlertSilence | None] = field(default_factory=dict)
    addresses: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Flow:
    """One thread decides and writes; sender tasks send; followers project names and delivery requests. `scores`: the
    topic of the score events; `inputs`: programmes, sources and rules; every other polled record is a command."""

    scores: str
    reader: RoundReader
    inputs: SubjectInputs
    leadership: Leadership
    command_processor: CommandProcessor
    score_processor: ScoreProcessor
    journal: Journal
    hold: Hold
    notice_planner: NoticePlanner
    escalation: EscalationPlanner
    dispatch: Dispatch
    side_inputs: SideInputs
    report: Report

    def run(self, stop: threading.Event, unfinished: Sequence[Delivery]) -> None:
        """Run until `stop` is set and the outcomes of deliveries in flight are written. `unfinished`: deliveries of the
        previous run without an outcome. Raises whatever goes wrong, LeadershipLostError when another instance has taken
        over."""
        left_over = self.hold.restore_held(unfinished)
        try:
            while not stop.is_set():
                note_progress()
                self.leadership.check()
                self._round(left_over)
                left_over = []
        finally:
            step = self.dispatch.stop()
        entry = Entry(
            events=_ended_events(step.outcomes),
            addresses=self._address_changes(step.off),
            deliveries=_last_by_id([*step.planned, *step.outcomes]),
            gone=step.gone,
        )
        if entry:
            self.journal.write(entry)
        self.report.outcomes(step.outcomes)

    def _round(self, left_over: list[Delivery]) -> None:
        polled = self.reader.poll_batch(BUSY_SECONDS if self.dispatch.in_flight or left_over else IDLE_SECONDS)
        began, record_count = time.monotonic(), sum(map(len, polled.values()))
        if record_count:
            # A round may take a while: a readiness check must see the records in progress.
            self._report_backlog(record_count)
        erased, away = self.side_inputs.apply(self.dispatch)
        # 1. Apply rules, programmes, sources and commands first: they were written before the scores polled with them.
        scores = {partition: records for partition, records in polled.items() if partition.topic == self.scores}
        input_topics = self.inputs.topics
        for record in chain.from_iterable(records for part, records in polled.items() if part.topic in input_topics):
            self.inputs.apply(record)
        score_and_rule_topics = {self.scores, *input_topics}
        commands = [records for partition, records in polled.items() if partition.topic not in score_and_rule_topics]
        results = self.command_processor.apply(list(chain.from_iterable(commands)))
        erasures = _ErasureChanges(self.hold.forget(erased))
        # 2. Decide, settle completed attempts and start due deliveries in one entry. A delivery planned for now is
        # started in the same entry, so that it waits no extra round.
        silences = self.command_processor.silences
        decisions = [
            *self.score_processor.hand_over([*away, *_erased_people(erased)], silences),
            *self._forget(erased, erasures),
            *self.score_processor.unmute(results.ended, silences),
            *self.score_processor.decide(scores, silences),
            *(self.score_processor.stale(silences) if not scores and self.reader.lag() == 0 else ()),
            *self.score_processor.settle(silences),
        ]
        alerts = [decision.event for decision in decisions]
        planned = [delivery for decision in decisions for delivery in decision.deliveries]
        released = self.hold.release(planned, silences)
        self.dispatch.record_ended(released.ended)
        self.escalation.observe(planned)
        for notice in (
            *self.notice_planner.plan(silences, self.dispatch.parked),
            *self.notice_planner.support_closed(self.score_processor.drain_closed_calls()),
            *self.escalation.plan(results.assigned),
        ):
            self.dispatch.plan(notice)
        step = self.dispatch.step([*left_over, *released.messages])
        # 3. Write the entry before anything is sent.
        entry = Entry(
            events=[*results.events, *alerts, *_ended_events([*released.ended, *step.outcomes])],
            silences={**results.silences, **erasures.silences},
            addresses={**self._address_changes(step.off), **dict.fromkeys(erasures.addresses)},
            settings={**results.settings, **dict.fromkeys(erasures.settings)},
            deliveries=_last_by_id([*released.written, *step.planned, *step.outcomes, *step.starting]),
            gone=[*erasures.gone, *released.gone, *step.gone],
            state_changes=self.score_processor.drain_changes(),
            subjects=self.score_processor.drain_subject_changes(),
            rules=self.score_processor.drain_shadow_results(),
            offsets={partition: Committed(records[-1].offset + 1) for partition, records in polled.items()},
        )
        if entry:
            self.journal.write(entry)
        self.dispatch.send(step.starting)
        self.report.outcomes(step.outcomes)
        if scores or alerts:
            self.report.batch(scores, alerts, time.monotonic() - began)
        self._report_backlog()

    def _report_backlog(self, record_count: int = 0) -> None:
        waiting = self.dispatch.waiting + len(self.hold)
        self.report.backlog(self.reader.lag() + record_count, waiting, len(self.hold), self.dispatch.parked)

    def _forget(self, erased: Sequence[Erased], erasures: _ErasureChanges) -> list[Decision]:
        """End the alerts of erased relationships, and remove erased persons from everything that names them."""
        ends: list[Decision] = []
        for one in erased:
            if one.kind == "relationship":
                ends += self.score_processor.erase(partition_key(one.tenant, one.id))
            else:
                erasures.silences.update(self.command_processor.forget_author(one.tenant, one.id))
                erasures.addresses += self.notice_planner.off.forget(one.tenant, one.id)
                erasures.settings += self.command_processor.forget_settings(one.tenant, one.id)
        self.score_processor.forget_people(_erased_people(erased))
        return ends

    def _address_changes(self, refused: Sequence[AddressOff]) -> dict[str, AddressOff | None]:
        """Return the addresses that servers have refused for good, and those that are tried again (None)."""
        for one in refused:
            self.notice_planner.switch_off(one)
        self.report.addresses_off(refused)
        return {**dict.fromkeys(self.notice_planner.expired()), **{one.key: one for one in refused}}


def _erased_people(erased: Sequence[Erased]) -> list[tuple[str, str]]:
    return [(one.tenant, one.id) for one in erased if one.kind == "person"]


def _last_by_id(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Return the last record of each delivery."""
    return list({delivery.delivery_id: delivery for delivery in deliveries}.values())


def _ended_events(outcomes: Sequence[Delivery]) -> list[DeliveryChanged]:
    return [delivery_changed(delivery) for delivery in outcomes if has_ended(delivery) and not is_notice(delivery)]
