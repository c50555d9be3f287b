"""Notices beside alerts: a destination is down, a silence ends, a support request was closed, and a monthly test for
chats that are switched off when idle."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from hashlib import sha256

from schemas.alert_commands import AlertSilence
from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.domain.guards import Clock
from services.notify.domain.ids import Destination
from services.notify.domain.notices import OURS, NoticeContent, notice
from services.notify.domain.outbox import Parked
from services.notify.domain.partition_alerts import ClosedCall
from services.notify.domain.preferences import AddressesOff, AddressOff
from services.notify.domain.routing import Addressee, Addressing, RoutingKey
from services.notify.domain.wording import format_instant

SILENCE_ENDS_IN = timedelta(days=1)
DOWN, SUPPORT_CLOSED = "destination_down", "support_closed"
TEST_HOUR, TEST_DAYS = 10, 7
"""The monthly test is sent on the first working day, from that hour on; a week later it is skipped."""
TEST_SUMMARY = "Test message of Rapport: this destination is reached, nothing is wrong."
ALIVE_NEXT = "Nothing: chats that nothing is posted to are switched off, and this is the post of the month."


class NoticePlanner:
    """Called each round; a notice planned twice is recognised by its id."""

    def __init__(self, addressing: Addressing, off: AddressesOff, clock: Clock, now: Callable[[], Instant]) -> None:
        self._addressing, self.off, self._clock, self._now = addressing, off, clock, now
        self._refused: list[AddressOff] = []
        # By destination of which admins were notified: since when it is down.
        self._down: dict[str, int] = {}

    def remember(self, deliveries: Sequence[Delivery]) -> None:
        """Restore from deliveries before the start, so that admins hear when a destination is up again."""
        notices = [one for one in deliveries if one.alert.rule == DOWN]
        over = {one.dedup_key for one in notices if one.transition == "resolved"}
        self._down = {one.relationship: one.alert.episode for one in notices if one.dedup_key not in over}

    def plan(self, silences: Sequence[AlertSilence], parked: Mapping[str, Parked]) -> list[Delivery]:
        now = self._now()
        monthly = self._of_idle_chats(now) if self._clock == "wall" else ()
        refused, self._refused = self._refused, []
        return [
            *self._of_silences(silences, now),
            *self._of_destinations(parked, now),
            *(delivery for one in refused for delivery in self._of_address(one, now)),
            *monthly,
        ]

    def support_closed(self, calls: Sequence[ClosedCall]) -> list[Delivery]:
        """Return notices to whoever asked for support, by name, that the request was closed, without its content.
        Nobody else is notified where that person is unknown (a group, or a pair missing in the directory) or cannot be
        reached."""
        found, now = list[Delivery](), self._now()
        for call in calls:
            person = self._addressing.people.single_person(call.tenant, call.relationship, call.by)
            about = RoutingKey(call.tenant, call.program, SUPPORT_CLOSED, "P2")
            to = None if person is None else self._addressing.to_person(person, about)
            if to is None or to.person is None:
                continue
            occasion = int(sha256(call.request.encode()).hexdigest()[:12], 16)
            content = NoticeContent(
                SUPPORT_CLOSED,
                call.relationship,
                occasion,
                "P2",
                "What you asked for support with was closed by whoever looks after your programme.",
                "Nothing. If it is not settled, ask again: it is looked at anew.",
                call.tenant,
                call.program,
            )
            found.append(notice(content, to, now))
        return found

    def switch_off(self, one: AddressOff) -> None:
        """Switch off an address that a server has refused for good; an admin is notified with the next `planned`."""
        self.off.switch_off(one)
        self._refused.append(one)

    def expired(self) -> list[str]:
        """Return the keys of addresses that are tried again."""
        return self.off.expired(self._now())

    def _of_silences(self, silences: Sequence[AlertSilence], now: Instant) -> Iterator[Delivery]:
        """Notify the author a day before the silence ends; a silence shorter than that needs no notice."""
        for silence in silences:
            is_short = silence.until - silence.since <= SILENCE_ENDS_IN
            if is_short or not silence.until - SILENCE_ENDS_IN <= now < silence.until:
                continue
            about = RoutingKey(silence.tenant, silence.program or OURS, "silence_ends", "P3")
            to = self._addressing.to_person(silence.by, about)
            if to is not None:
                what = " ".join(filter(None, (silence.program, silence.relationship, silence.rule))) or "everything"
                yield notice(
                    NoticeContent(
                        "silence_ends",
                        silence.id,
                        int(silence.until.timestamp()),
                        "P3",
                        f"The silence {silence.id[:64]} of {what[:60]} ends at {format_instant(silence.until)}.",
                        "Nothing, or silence it anew: what is at risk then is told after its end.",
                        silence.tenant,
                        silence.program or OURS,
                    ),
                    to,
                    now,
                )

    def _of_destinations(self, parked: Mapping[str, Parked], now: Instant) -> Iterator[Delivery]:
        for name, found in parked.items():
            if name not in self._down:
                self._down[name] = int(found.since.timestamp())
                reason = f"{name} takes no messages since {format_instant(found.since)}: {found.reason[:90]}."
                yield from self._to_admins(name, reason, now)
        for name in [one for one in self._down if one not in parked and one in self._addressing.routing.by_name]:
            yield from self._to_admins(name, f"{name} takes messages again.", now, is_over=True)
            del self._down[name]

    def _to_admins(self, name: str, summary: str, now: Instant, *, is_over: bool = False) -> Iterator[Delivery]:
        """Notify admins by another destination than the one that fails."""
        about = NoticeContent(
            DOWN,
            name,
            self._down[name],
            "P2",
            summary,
            "Nothing." if is_over else "Look at its address and credentials: what waits is sent when it is back.",
        )
        for admin in self._addressing.admins(excluding=name):
            yield notice(about, admin, now, "resolved" if is_over else "fired")

    def _of_address(self, one: AddressOff, now: Instant) -> Iterator[Delivery]:
        """Name the person only to admins of the same tenant. Names are looked up when the mail is rendered."""
        for admin in self._addressing.admins(excluding=one.destination):
            receiver = self._addressing.routing.by_name[admin.destination.recipient]
            person = one.person if receiver.tenant in {None, one.tenant} else None
            about = NoticeContent(
                "address_off",
                person or one.destination,
                int(one.since.timestamp() * 1000),
                "P3",
                f"{one.destination}: an address is switched off, its server has refused it for good ({one.status}).",
                "Correct it in the directory, or in the file of destinations: another address is written to at once.",
                (one.tenant if person else None) or OURS,
            )
            # The ids let an erasure find the notice.
            yield notice(about, admin, now).model_copy(update={"people": (person,) if person else ()})

    def _of_idle_chats(self, now: Instant) -> Iterator[Delivery]:
        for receiver in self._addressing.routing.by_name.values():
            if receiver.destination.channel != "teams":
                continue
            addressee = Addressee(receiver.destination)
            calendar = self._addressing.calendar(receiver.tenant or OURS, OURS)
            local = calendar.local(now)
            first = calendar.working_day_from(date(local.year, local.month, 1))
            is_late_enough = local.date() > first or local.hour >= TEST_HOUR
            if first <= local.date() < first + timedelta(days=TEST_DAYS) and is_late_enough:
                month = local.year * 12 + local.month
                about = NoticeContent("test", receiver.destination.recipient, month, "P3", TEST_SUMMARY, ALIVE_NEXT)
                yield notice(about, addressee, now)


def trial_deliveries(destination: Destination, now: Instant) -> list[Delivery]:
    """Return a manual test message; for a channel that keeps incidents open (PagerDuty) also the one that resolves
    it."""
    next_step = "Nothing: it was sent by hand, to see whether it arrives."
    about = NoticeContent("test", destination.recipient, int(now.timestamp() * 1000), "P3", TEST_SUMMARY, next_step)
    opening = notice(about, Addressee(destination), now)
    is_kept_open = destination.channel == "pagerduty"
    return [opening, notice(about, Addressee(destination), now, "resolved")] if is_kept_open else [opening]
