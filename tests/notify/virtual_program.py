"""A programme of so many pairs over so many days on a virtual clock, its messages to people, and the invariants."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

from schemas.alerts import Delivery
from schemas.events import to_json
from services.notify.domain.deliveries import listed_alerts
from services.notify.domain.destinations import DestinationsConfig
from services.notify.domain.working_hours import DeliveryWindow, WorkCalendar
from tests.notify.building import Pair, clock
from tests.notify.harness import HOURS, NotifyHarness, lines, machine, mailed, mailing
from tests.notify.naming import participant, programme

START = datetime(2024, 3, 4, tzinfo=UTC)
"""Before summer time begins in Berlin, and with Easter's holidays ahead."""
ZONE = "Europe/Berlin"
HOLIDAYS = (date(2024, 3, 29), date(2024, 4, 1), date(2024, 5, 1), date(2024, 5, 9), date(2024, 5, 20))
RECEIVING = DeliveryWindow(HOURS, WorkCalendar(ZONE, frozenset(HOLIDAYS)))
ROUND = timedelta(minutes=30)
SPREAD = 48
"""Rounds of a day."""


@dataclass(frozen=True)
class Ran:
    """`rows`: scores that were decided on; `spent`: CPU seconds of the rounds, without the making of what came in."""

    office: NotifyHarness
    rows: int
    spent: float


def ran(pairs: int, days: int, seed: int = 7) -> Ran:
    """Each pair has a score a day, at an hour of its own, which goes up and down; a restart every tenth day."""
    office, spent = _office(), 0.0
    for number, rounds in enumerate(_days(pairs, days, seed)):
        if number % 10 == 5:
            office.restart()
        began = time.process_time()
        for moment, values in rounds:
            office.now = moment
            office.read(*values)
        spent += time.process_time() - began
    return Ran(office, pairs * days, spent)


def _days(pairs: int, days: int, seed: int) -> Iterator[list[tuple[datetime, list[bytes]]]]:
    """The rounds of each day: when, and the score events as they lie on the topic."""
    chance, made = Random(seed), [Pair(f"pair-{number:04}") for number in range(pairs)]
    health = [chance.uniform(45, 95) for _ in made]
    for day in range(days):
        rounds = []
        for number in range(SPREAD):
            now, version = START + timedelta(days=day) + number * ROUND, day * SPREAD + number + 1
            events = [to_json(clock(now))]
            for at in range(number, pairs, SPREAD):
                health[at] = min(98.0, max(2.0, health[at] + chance.gauss(0.3, 7)))
                last = now - timedelta(days=chance.randrange(12))
                changed = made[at].changed(now, version, health=round(health[at], 6), last_contact=last)
                events.append(to_json(changed))
            rounds.append((now, events))
        yield rounds


def check(office: NotifyHarness) -> None:
    """Raises AssertionError where an invariant is broken."""
    for moment, message in office.sent:
        urgencies = {alert.urgency for alert in listed_alerts(message)}
        assert message.recipient == "hook" or "P1" in urgencies or not RECEIVING.is_quiet(moment)
        assert len(listed_alerts(message)) <= 10
    sent = [message for _, message in office.sent]
    assert max(Counter(message.delivery_id for message in sent).values()) == 1
    hooked = Counter((m.dedup_key, m.alert.seq) for m in sent if m.recipient == "hook")
    assert max(hooked.values()) == 1
    known = {(d.dedup_key, d.alert.seq) for d in office.written.values()}
    assert all(alert.not_sent or (alert.dedup_key, alert.seq) in known for alert in office.alerts)
    for message in (message for message in sent if message.recipient != "hook"):
        assert _folded(office, message) == lines(message)


def _folded(office: NotifyHarness, message: Delivery) -> int:
    told = f"told in {message.delivery_id[:16]}"
    episodes = {d.dedup_key for d in office.written.values() if d.status.startswith(told)}
    return len(episodes | {alert.dedup_key for alert in listed_alerts(message)})


def _office() -> NotifyHarness:
    office = NotifyHarness(DestinationsConfig((mailed(), mailing(), machine()), otherwise="team"), START)
    office.people.upsert_programme(programme(coordinator="p-3", deputy=None, time_zone=ZONE, holidays=HOLIDAYS))
    office.people.upsert(participant("p-3", "Ana", addresses=("ana@acme.example",), time_zone=ZONE))
    return office
