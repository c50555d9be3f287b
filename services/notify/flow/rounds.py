"""Moves: score events in, one transaction a round, deliveries out."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from schemas.alerts import Delivery, DeliveryChanged
from services.notify.domain.decisions import delivery_changed, planned
from services.notify.flow.deciding import Deciding
from services.notify.flow.dispatch import Dispatch
from services.notify.flow.hold import Hold
from services.notify.flow.intake import BUSY_SECONDS, IDLE_SECONDS, gathered
from services.notify.flow.journal import Entry, Journal
from services.notify.flow.report import Backlog, Report
from services.runtime.kafka import Committed, Reader


@dataclass(frozen=True)
class Flow:
    """One thread decides and writes; couriers send."""

    reader: Reader
    deciding: Deciding
    journal: Journal
    hold: Hold
    dispatch: Dispatch
    report: Report

    def run(self, stop: threading.Event, unfinished: Sequence[Delivery]) -> None:
        """`unfinished`: deliveries of the last run. Returns when `stop` is set and the outcomes of what was in hand are
        written down; raises whatever goes wrong."""
        planned_before = list(unfinished)
        while not stop.is_set():
            planned_before = self._round(planned_before)
        self._end(self.dispatch.stop())

    def _round(self, planned_before: Sequence[Delivery]) -> list[Delivery]:
        """Returns what it has planned, which the next round may start."""
        polled = gathered(self.reader, BUSY_SECONDS if self.dispatch.waiting or planned_before else IDLE_SECONDS)
        began = time.monotonic()
        # 1. Decide, settle what came back, start what is due: all of it one entry.
        alerts = self.deciding.decide(polled)
        news = list(chain.from_iterable(planned(alert, self.dispatch.destinations) for alert in alerts))
        outcomes = self.dispatch.settle() + self.dispatch.add(self.hold.released(planned_before))
        starting = self.dispatch.start()
        # 2. Nothing is sent before it is written down.
        entry = Entry(
            events=[*alerts, *_endings(outcomes)],
            deliveries=[*news, *outcomes, *starting],
            touched=self.deciding.touched(polled),
            offsets={partition: Committed(records[-1].offset + 1) for partition, records in polled.items()},
        )
        if entry:
            self.journal.write(entry)
        # 3. Send.
        self.dispatch.send(starting)
        self.report.outcomes(outcomes)
        if polled:
            self.report.batch(polled, alerts, time.monotonic() - began)
        self.report.backlog(Backlog(self.reader.lag(), self.dispatch.waiting + len(self.hold), len(self.hold)))
        return news

    def _end(self, outcomes: Sequence[Delivery]) -> None:
        if outcomes:
            self.journal.write(Entry(events=_endings(outcomes), deliveries=outcomes))
        self.report.outcomes(outcomes)


def _endings(outcomes: Sequence[Delivery]) -> list[DeliveryChanged]:
    return [delivery_changed(delivery) for delivery in outcomes if delivery.state in {"delivered", "dead"}]
