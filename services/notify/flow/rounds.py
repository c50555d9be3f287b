"""Moves: score events in, one transaction a round, deliveries out."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from schemas.alert_commands import AlertSilence
from schemas.alerts import Delivery, DeliveryChanged
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
from services.runtime.settings import Settings

MOST_RECORDS = 1_000
"""Deciding on so many takes some tenths of a second: that long somebody waits who has just acknowledged an alert, and
twice as long where a round is under way. A transaction costs as much as some fifty of them."""
BATCH_SECONDS = 0.5
"""A transaction costs as much as many records: while many keep coming, a batch waits for more."""
MANY = 100
"""Records in one answer of the broker, of more than which others are on their way."""
LINGER_SECONDS = 0.005
"""How long a batch of fewer waits for more: somebody may have asked for support."""
BUSY_SECONDS = 0.05
"""How long to wait for the next records within a batch, or while a delivery is on its way."""
IDLE_SECONDS = 0.5
ACTS_SECONDS = 0.1
"""How often whoever waits for scores looks whether somebody has asked for something."""

Polled = Mapping[Partition, Sequence[Record]]


class RoundReader:
    """Two consumers of one group, for one thread. What people ask has one of its own: kafka-python hands out what it
    has fetched in that order, a megabyte of each partition of the scores, so that an act would wait for seconds, and up
    to a quarter of a minute, while a history is told."""

    def __init__(self, settings: Settings, names: NotifyTopics) -> None:
        self._acts = Reader(settings, names.identity)
        for partition in self._acts.assign([names.commands]):
            # A poll that does not wait asks for nothing before this is known.
            self._acts.position(partition)
        self.rest = Reader(settings, names.identity, isolation_level="read_committed")
        assigned = self.rest.assign([names.scores, names.programs, names.sources, names.rules])
        self.numbers = [partition.number for partition in assigned if partition.topic == names.scores]

    def gathered(self, first_wait: float) -> Polled:
        """Up to MOST_RECORDS, or what comes within the time that a batch of its size waits, or what there is when no
        more comes."""
        found: dict[Partition, list[Record]] = {}
        began: float | None = None
        wait, left = first_wait, MOST_RECORDS
        while left > 0 and (polled := self._polled(wait, left)):
            for partition, records in polled.items():
                found.setdefault(partition, []).extend(records)
            count = sum(map(len, polled.values()))
            left -= count
            now = time.monotonic()
            began = now if began is None else began
            rest = began + (BATCH_SECONDS if count >= MANY else LINGER_SECONDS) - now
            if rest <= 0:
                break
            wait = min(BUSY_SECONDS, rest)
        return found

    def lag(self) -> int:
        """Records that are not read yet, but those of acts."""
        return self.rest.lag()

    def close(self) -> None:
        self._acts.close()
        self.rest.close()

    def _polled(self, wait: float, most: int) -> Polled:
        until = time.monotonic() + wait
        while True:
            if acts := self._acts.poll(0, most):
                return acts
            left = until - time.monotonic()
            polled = self.rest.poll(max(0.0, min(ACTS_SECONDS, left)), most)
            if polled or left <= ACTS_SECONDS:
                return polled


@dataclass(frozen=True)
class SideInputs:
    """`followers`: whatever ended one of them ends the process, for what it knows would grow old without a word."""

    addressing: Addressing
    destinations: DestinationsFile
    requests: DeliveryRequests
    people: PeopleRecords
    followers: tuple[Follower, ...]

    def apply(self, dispatch: Dispatch) -> tuple[list[Erased], list[tuple[str, str]]]:
        """Who was erased since, and who is away, by tenant and id. Raises what has ended a follower."""
        for follower in self.followers:
            follower.check()
        changed = self.destinations.changed()
        if changed is not None:
            dispatch.configure(changed.destinations)
            self.addressing.routing = changed
        for requested in self.requests.taken():
            if requested.replay is None:
                dispatch.discard(requested.delivery_id)
            else:
                dispatch.begin_anew(requested.replay)
        erased = self.people.erased()
        dispatch.forget(erased)
        return erased, self.people.away()


@dataclass
class _Forgotten:
    """What comes of erasures in one round."""

    gone: list[str]
    silences: dict[str, AlertSilence | None] = field(default_factory=dict)
    addresses: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Flow:
    """One thread decides and writes; senders send, followers learn who is called what and what people ask for.
    `scores`: the topic of what is decided on; `inputs`: what it is judged by; all else that is read are acts of
    people."""

    scores: str
    reader: RoundReader
    inputs: SubjectInputs
    leadership: Leadership
    commanding: CommandProcessor
    deciding: ScoreProcessor
    journal: Journal
    hold: Hold
    noticing: NoticePlanner
    asking: EscalationPlanner
    dispatch: Dispatch
    beside: SideInputs
    report: Report

    def run(self, stop: threading.Event, unfinished: Sequence[Delivery]) -> None:
        """`unfinished`: deliveries of the last run. Returns when `stop` is set and the outcomes of what was in hand are
        written down; raises whatever goes wrong, LeadershipLostError when another instance has taken over."""
        left_over = self.hold.left_over(unfinished)
        try:
            while not stop.is_set():
                self.leadership.check()
                self._round(left_over)
                left_over = []
        finally:
            step = self.dispatch.stop()
        entry = Entry(
            events=_endings(step.outcomes),
            addresses=self._switched_off(step.off),
            deliveries=_last([*step.planned, *step.outcomes]),
            gone=step.gone,
        )
        if entry:
            self.journal.write(entry)
        self.report.outcomes(step.outcomes)

    def _round(self, left_over: list[Delivery]) -> None:
        polled = self.reader.gathered(BUSY_SECONDS if self.dispatch.in_hands or left_over else IDLE_SECONDS)
        began, in_hand = time.monotonic(), sum(map(len, polled.values()))
        if in_hand:
            # A round may take a while: whoever waits until nothing is left to do has to see what is in hand.
            self._tell_backlog(in_hand)
        erased, away = self.beside.apply(self.dispatch)
        # 1. What people ask, and what is to be judged by, takes effect first: it was written before anybody knew what
        # comes now.
        scores = {partition: records for partition, records in polled.items() if partition.topic == self.scores}
        judged_by = self.inputs.topics
        for record in chain.from_iterable(records for part, records in polled.items() if part.topic in judged_by):
            self.inputs.apply(record)
        others = {self.scores, *judged_by}
        asked = [records for partition, records in polled.items() if partition.topic not in others]
        handled = self.commanding.take(list(chain.from_iterable(asked)))
        forgotten = _Forgotten(self.hold.forget(erased))
        # 2. Decide, settle what came back, start what is due: all of it one entry. What is planned for now is started
        # in the same entry, so that nothing waits for a round.
        silences = self.commanding.silences
        decisions = [
            *self.deciding.hand_over([*away, *_people(erased)], silences),
            *self._forget(erased, forgotten),
            *self.deciding.unmute(handled.over, silences),
            *self.deciding.decide(scores, silences),
            *(self.deciding.stale(silences) if not scores and self.reader.lag() == 0 else ()),
            *self.deciding.settle(silences),
        ]
        alerts = [decision.event for decision in decisions]
        planned = [delivery for decision in decisions for delivery in decision.deliveries]
        released = self.hold.released(planned, silences)
        self.dispatch.keep(released.ended)
        self.asking.observe(planned)
        for notice in (
            *self.noticing.planned(silences, self.dispatch.parked),
            *self.noticing.of_closed(self.deciding.closed_calls()),
            *self.asking.planned(handled.given),
        ):
            self.dispatch.plan(notice)
        step = self.dispatch.step([*left_over, *released.messages])
        # 3. Nothing is sent before it is written down.
        entry = Entry(
            events=[*handled.events, *alerts, *_endings([*released.ended, *step.outcomes])],
            silences={**handled.silences, **forgotten.silences},
            addresses={**self._switched_off(step.off), **dict.fromkeys(forgotten.addresses)},
            settings={**handled.settings, **dict.fromkeys(forgotten.settings)},
            deliveries=_last([*released.written, *step.planned, *step.outcomes, *step.starting]),
            gone=[*forgotten.gone, *released.gone, *step.gone],
            touched=self.deciding.touched(),
            subjects=self.deciding.touched_subjects(),
            rules=self.deciding.shadowed(),
            offsets={partition: Committed(records[-1].offset + 1) for partition, records in polled.items()},
        )
        if entry:
            self.journal.write(entry)
        # 4. Send.
        self.dispatch.send(step.starting)
        self.report.outcomes(step.outcomes)
        if scores or alerts:
            self.report.batch(scores, alerts, time.monotonic() - began)
        self._tell_backlog()

    def _tell_backlog(self, in_hand: int = 0) -> None:
        waiting = self.dispatch.waiting + len(self.hold)
        self.report.backlog(self.reader.lag() + in_hand, waiting, len(self.hold), self.dispatch.parked)

    def _forget(self, erased: Sequence[Erased], found: _Forgotten) -> list[Decision]:
        """Of relationships that were erased the alerts end; of persons nothing says any more that they did anything."""
        ends: list[Decision] = []
        for one in erased:
            if one.kind == "relationship":
                ends += self.deciding.erase(partition_key(one.tenant, one.id))
            else:
                found.silences.update(self.commanding.forget(one.tenant, one.id))
                found.addresses += self.noticing.off.forget(one.tenant, one.id)
                found.settings += self.commanding.forget_settings(one.tenant, one.id)
        self.deciding.forget_people(_people(erased))
        return ends

    def _switched_off(self, off: Sequence[AddressOff]) -> dict[str, AddressOff | None]:
        """Addresses that servers have refused for good, and those that are tried again."""
        for one in off:
            self.noticing.switch_off(one)
        self.report.off(off)
        return {**dict.fromkeys(self.noticing.expired()), **{one.key: one for one in off}}


def _people(erased: Sequence[Erased]) -> list[tuple[str, str]]:
    return [(one.tenant, one.id) for one in erased if one.kind == "person"]


def _last(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """The last that is said of each."""
    return list({delivery.delivery_id: delivery for delivery in deliveries}.values())


def _endings(outcomes: Sequence[Delivery]) -> list[DeliveryChanged]:
    return [delivery_changed(delivery) for delivery in outcomes if has_ended(delivery) and not is_notice(delivery)]
