"""A programme of so many pairs over so many days on a virtual clock, with what it tells people, and what must hold."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

from schemas.alerts import Delivery
from services.notify.channels.destinations import DestinationsConfig
from services.notify.domain.digests import alerts_of
from services.notify.domain.working_hours import Receiving, WorkCalendar
from tests.notify.building import Pair, clock
from tests.notify.naming import participant, programme
from tests.notify.office import HOURS, Office, lines, machine, mailed, mailing

START = datetime(2024, 3, 4, tzinfo=UTC)
"""Before summer time begins in Berlin, and with Easter's holidays ahead."""
ZONE = "Europe/Berlin"
HOLIDAYS = (date(2024, 3, 29), date(2024, 4, 1), date(2024, 5, 1), date(2024, 5, 9), date(2024, 5, 20))
RECEIVING = Receiving(HOURS, WorkCalendar(ZONE, frozenset(HOLIDAYS)))
ROUND = timedelta(minutes=30)
SPREAD = 48
"""Rounds of a day."""


@dataclass(frozen=True)
class Ran:
    """`rows`: scores that were decided on."""

    office: Office
    rows: int


def ran(pairs: int, days: int, seed: int = 7) -> Ran:
    """Each pair has a score a day, at an hour of its own, which goes up and down; a restart every tenth day."""
    chance, office, rows = Random(seed), _office(), 0
    made = [Pair(f"pair-{number:04}") for number in range(pairs)]
    health = [chance.uniform(45, 95) for _ in made]
    for number in range(days * SPREAD):
        office.now = START + number * ROUND
        events = []
        for at in range(number % SPREAD, pairs, SPREAD):
            health[at] = min(98.0, max(2.0, health[at] + chance.gauss(0.3, 7)))
            last = office.now - timedelta(days=chance.randrange(12))
            events.append(made[at].changed(office.now, number + 1, health=round(health[at], 6), last_contact=last))
        office.take(clock(office.now), *events)
        rows += len(events)
        if number % (10 * SPREAD) == 5 * SPREAD:
            office.restart()
    return Ran(office, rows)


def check(office: Office) -> None:
    """Raises AssertionError for what must not be, whatever is told."""
    for moment, message in office.sent:
        urgencies = {alert.urgency for alert in alerts_of(message)}
        assert message.recipient == "hook" or "P1" in urgencies or not RECEIVING.is_quiet(moment)
        assert len(alerts_of(message)) <= 10
    sent = [message for _, message in office.sent]
    assert max(Counter(message.delivery_id for message in sent).values()) == 1
    hooked = Counter((m.dedup_key, m.alert.seq) for m in sent if m.recipient == "hook")
    assert max(hooked.values()) == 1
    known = {(d.dedup_key, d.alert.seq) for d in office.written.values()}
    assert all(alert.not_sent or (alert.dedup_key, alert.seq) in known for alert in office.alerts)
    for message in (message for message in sent if message.recipient != "hook"):
        assert _folded(office, message) == lines(message)


def _folded(office: Office, message: Delivery) -> int:
    told = f"told in {message.delivery_id[:16]}"
    episodes = {d.dedup_key for d in office.written.values() if d.status.startswith(told)}
    return len(episodes | {alert.dedup_key for alert in alerts_of(message)})


def _office() -> Office:
    office = Office(DestinationsConfig((mailed(), mailing(), machine()), otherwise="team"), START)
    office.people.describe(programme(coordinator="p-3", deputy=None, time_zone=ZONE, holidays=HOLIDAYS))
    office.people.upsert(participant("p-3", "Ana", addresses=("ana@acme.example",), time_zone=ZONE))
    return office
