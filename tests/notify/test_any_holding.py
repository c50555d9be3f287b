"""Whatever happens in whatever order: people are told when they work, nothing is told twice, and nothing is dropped."""

from collections import Counter
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from schemas.alert_commands import AlertSilence
from schemas.alerts import Alert, Delivery, Handling
from services.notify.domain.deliveries import listed_alerts
from services.notify.domain.destinations import DestinationsConfig
from services.notify.domain.handling import UNTOUCHED
from services.notify.domain.lifecycle import OPEN
from services.notify.domain.working_hours import DeliveryWindow, WorkCalendar
from tests.notify.building import Pair, day
from tests.notify.harness import HOURS, NotifyHarness, lines, machine, mailed, mailing
from tests.notify.naming import participant, programme

PAIRS = tuple(Pair(f"pair-{number}") for number in range(4))
ZONE = "Asia/Kolkata"
RECEIVING = DeliveryWindow(HOURS, WorkCalendar(ZONE))
PEOPLE = {"team", "owners"}
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Holding(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        config = DestinationsConfig((mailed(), mailing(), machine()), otherwise="team")
        self.office = NotifyHarness(config, day(0))
        self.office.people.upsert_programme(programme(coordinator="p-3", deputy="p-4", time_zone=ZONE))
        self.position, self.looked_at, self.handing_over = 1, 0, False
        for person in ("p-3", "p-4"):
            self._status(person, "active")
        self.office.at(day(0), *(pair.changed(day(0), health=90.0) for pair in PAIRS))

    @rule(
        pair=st.sampled_from(PAIRS), health=st.sampled_from([15.0, 38.0, 90.0, 90.0]), risk=st.sampled_from([0.1, 0.9])
    )
    def a_row(self, pair: Pair, health: float, risk: float) -> None:
        self.position += 1
        self._at(self.office.now, pair, health=health, risk=risk)

    @rule(pair=st.sampled_from(PAIRS), is_open=st.booleans())
    def a_request_for_support(self, pair: Pair, is_open: bool) -> None:  # noqa: FBT001 (drawn)
        self.position += 1
        self._at(self.office.now, pair, caps=("support_open",) if is_open else ())

    @rule(minutes=st.sampled_from([1, 5, 20, 60, 60 * 7, 60 * 25, 60 * 49, 60 * 70]))
    def time_goes_on(self, minutes: int) -> None:
        step = timedelta(minutes=minutes) if minutes < 60 else HOUR / 2
        self.office.until(self.office.now + timedelta(minutes=minutes), step)

    @rule(pair=st.sampled_from(PAIRS), state=st.sampled_from(["acknowledged", "snoozed"]), hours=st.integers(1, 60))
    def somebody_acts(self, pair: Pair, state: str, hours: int) -> None:
        watch = self.office.partition.watch(f"acme/{pair.relationship}")
        for name in [name for name, found in watch.rules.items() if found.condition in OPEN] if watch else []:
            until = self.office.now + hours * HOUR
            held = Handling.model_validate({"state": state, "by": "p-3", "until": until})
            self.office.partition.set_handling(f"acme/{pair.relationship}", name, held)

    @rule(pair=st.sampled_from(PAIRS))
    def a_silence(self, pair: Pair) -> None:
        now = self.office.now
        named = f"s{len(self.office.alerts)}-{pair.relationship}"
        self.office.silences.append(
            AlertSilence(id=named, tenant="acme", relationship=pair.relationship, by="p-3", since=now, until=now + DAY)
        )

    @precondition(lambda self: self.office.silences)
    @rule()
    def a_silence_is_over(self) -> None:
        self.office.unmute(self.office.silences.pop())

    @rule(person=st.sampled_from(["p-3", "p-4"]), status=st.sampled_from(["active", "leave"]))
    def somebody_leaves_or_is_back(self, person: str, status: str) -> None:
        self._status(person, status)
        if status == "leave":
            self.handing_over = True
            self.office.leave(person)

    @rule()
    def another_instance_takes_over(self) -> None:
        self.office.restart()

    @invariant()
    def people_are_told_of_nothing_but_p1_in_quiet_hours(self) -> None:
        for moment, message in self._sent():
            told = [alert.urgency for alert in listed_alerts(message)]
            assert message.recipient not in PEOPLE or "P1" in told or not RECEIVING.is_quiet(moment)

    @invariant()
    def people_hear_of_nothing_but_the_end_of_what_somebody_has_in_hand(self) -> None:
        """Nobody acts while time goes on: what is in hand now was so when this was sent."""
        new, self.looked_at = self._sent()[self.looked_at :], len(self._sent())
        for _, message in new if not self.handing_over else ():
            for told in ((message.relationship, message.alert), *((i.relationship, i.alert) for i in message.items)):
                relationship, alert = told
                watch = self.office.partition.watch(f"acme/{relationship}")
                handling = watch.handling.get(alert.rule, UNTOUCHED) if watch else UNTOUCHED
                assert message.recipient == "hook" or alert.transition == "resolved" or handling.state == "open"
        self.handing_over = False

    @invariant()
    def nothing_is_sent_twice(self) -> None:
        sent = [message for _, message in self._sent()]
        assert max(Counter(message.delivery_id for message in sent).values(), default=1) == 1
        for recipient in ("hook", *PEOPLE):
            told = [
                (a.dedup_key, a.seq)
                for message in sent
                if message.recipient == recipient
                for a in listed_alerts(message)
            ]
            assert len(told) == len(set(told))

    @invariant()
    def every_transition_has_a_send_or_a_reason(self) -> None:
        office = getattr(self, "office", None)
        if office is None:
            return
        known = {(d.dedup_key, d.alert.seq) for d in office.written.values()}
        for alert in office.alerts:
            assert bool(alert.not_sent) != ((alert.dedup_key, alert.seq) in known)
        for delivery in office.written.values():
            assert delivery.state in {"held", "delivered"} or (delivery.state == "superseded" and delivery.status)

    @invariant()
    def a_message_lists_as_many_as_were_folded_into_it(self) -> None:
        for _, message in self._sent():
            folded = self._folded_into(message)
            # The one that it is filed under has its own record only where it stands alone.
            episodes = {one.dedup_key for one in folded} | {alert.dedup_key for alert in listed_alerts(message)}
            assert len(episodes) == lines(message)

    @invariant()
    def what_is_told_of_an_episode_comes_in_its_order(self) -> None:
        seen: dict[tuple[str, str], int] = {}
        for _, message in self._sent():
            for alert in listed_alerts(message):
                key = (message.recipient, alert.dedup_key)
                assert seen.get(key, 0) < alert.seq
                seen[key] = alert.seq

    def teardown(self) -> None:
        """In the end whoever heard of an episode has heard of its end, once."""
        if not hasattr(self, "office"):
            return
        for silence in list(self.office.silences):
            self.office.silences.remove(silence)
            self.office.unmute(silence)
        for pair in PAIRS:
            self._at(self.office.now, pair, health=90.0, risk=0.1)
        self.office.until(self.office.now + 8 * DAY, HOUR)
        for recipient in ("hook", "team"):
            told = [a for _, m in self._sent() if m.recipient == recipient for a in listed_alerts(m)]
            self._check_ends(told)

    def _check_ends(self, told: list[Alert]) -> None:
        begun = {alert.dedup_key for alert in told if alert.transition != "resolved"}
        ended = Counter(alert.dedup_key for alert in told if alert.transition == "resolved")
        assert set(ended.values()) <= {1}
        assert begun <= set(ended)

    def _folded_into(self, message: Delivery) -> list[Delivery]:
        told = f"told in {message.delivery_id[:16]}"
        return [one for one in self.office.written.values() if one.status.startswith(told)]

    def _sent(self) -> list[tuple[datetime, Delivery]]:
        return self.office.sent if hasattr(self, "office") else []

    def _status(self, person: str, status: str) -> None:
        known = participant(person, person, addresses=(f"{person}@acme.example",), time_zone=ZONE, status=status)
        self.office.people.upsert(known)

    def _at(self, moment: datetime, pair: Pair, **told: object) -> None:
        self.position += 1
        last = moment + timedelta(microseconds=self.position)
        self.office.at(last, pair.changed(last, self.position, **told))


TestHolding = Holding.TestCase
TestHolding.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
