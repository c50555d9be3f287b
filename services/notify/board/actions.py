"""What people do on the board: each act a command on the log, the same that the command line writes, with an id that a
repeat of the form repeats; then what came of it, and for ten seconds the way back."""

import asyncio
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.board.access import BoardPerson
from services.notify.board.meetings import Gateway, ReportedMeeting, Told
from services.notify.board.state import BoardState
from services.notify.board.wanted import ActInvalidError, WantedAct, way_back
from services.notify.domain.deliveries import replayed
from services.notify.flow.commanding import DISCARD, HEADER, REPLAY
from services.notify.names import Names
from services.runtime.kafka import Producer, await_acknowledged

UNDO_SECONDS = 10
UNDO_GRACE_SECONDS = 3
"""On the way from the click to here."""
ANSWER_SECONDS = 3.0
"""Notify answers within a round, some hundred milliseconds; where nobody leads, no answer comes."""
CLOSE_SECONDS = 1.0
MOST_NOTICES = 1_000
MOST_SENT = 20_000
"""Commands whose repeat is recognised: those of a hundred large bulks."""
DONE: Mapping[str, str] = {
    "acknowledge": "Acknowledged",
    "unacknowledge": "Taken back",
    "snooze": "Snoozed",
    "assign": "Assigned",
    "note": "Note left",
    "vote": "Thank you, counted",
    "silence": "Silenced",
    "unsilence": "Silence ended",
    "switch_off": "Switched off",
    "switch_on": "Switched on again",
    "digest_at": "Saved",
    "opens_with": "Saved",
    "replay": "Sent again",
    "discard": "Discarded",
}


@dataclass(frozen=True)
class ActResult:
    """Of one row: what it is about, and whether it was `done`, `refused`, or nobody has answered yet (`sent`)."""

    about: str
    state: str
    words: str


@dataclass(frozen=True)
class ActNotice:
    """What the next page says. `undo`: what leads back, good until `undo_until`, or the `meeting` to take back."""

    id: str
    person: BoardPerson
    words: str
    results: Sequence[ActResult]
    undo: Sequence[WantedAct] = ()
    undo_until: Instant | None = None
    meeting: ReportedMeeting | None = None

    @property
    def is_good(self) -> bool:
        return all(result.state == "done" for result in self.results)

    @property
    def failed(self) -> Sequence[ActResult]:
        return [result for result in self.results if result.state != "done"]


@dataclass
class ActNotices:
    """What was done of late, for the page that comes next. One process knows its own."""

    _kept: OrderedDict[str, ActNotice] = field(default_factory=OrderedDict)

    def keep(self, notice: ActNotice) -> str:
        self._kept[notice.id] = notice
        while len(self._kept) > MOST_NOTICES:
            self._kept.popitem(last=False)
        return notice.id

    def find(self, notice_id: str, person: BoardPerson) -> ActNotice | None:
        found = self._kept.get(notice_id)
        return found if found is not None and found.person == person else None

    def undone(self, notice_id: str) -> None:
        self._kept.pop(notice_id, None)


class Acting:
    """Writes commands and waits for what becomes of them, for one event loop. The producer is opened when somebody
    acts first: who only looks needs none."""

    def __init__(
        self,
        opened: Callable[[], Producer],
        names: Names,
        state: BoardState,
        now: Callable[[], Instant],
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._opened, self._names, self._state, self._now = opened, names, state, now
        self._answer_seconds = answer_seconds
        self._producer: Producer | None = None
        self._opening = threading.Lock()
        self._sent: OrderedDict[str, None] = OrderedDict()

    def close(self) -> None:
        if self._producer is not None:
            self._producer.close(CLOSE_SECONDS)

    async def do(self, wanted: Sequence[WantedAct], person: BoardPerson) -> ActNotice:
        """Of each what came of it. A command that was sent already is not sent again. Raises KafkaError where the
        broker takes none."""
        fresh = [one for one in wanted if one.command.id not in self._sent]
        # Before they are written: the second click of a double click comes while the first one is.
        for one in fresh:
            self._sent[one.command.id] = None
        while len(self._sent) > MOST_SENT:
            self._sent.popitem(last=False)
        try:
            await asyncio.to_thread(self._write, fresh)
        except Exception:
            for one in fresh:
                self._sent.pop(one.command.id, None)
            raise
        await self._answered(wanted)
        results = [self._result(one) for one in wanted]
        done = [one for one, result in zip(wanted, results, strict=True) if result.state == "done"]
        undo = [back for one in done if (back := way_back(one, self._now())) is not None]
        return ActNotice(
            id=secrets.token_hex(12),
            person=person,
            words=_words(wanted[0].command.act.kind, results),
            results=results,
            undo=undo,
            undo_until=self._now() + timedelta(seconds=UNDO_SECONDS) if undo else None,
        )

    async def undo(self, notice: ActNotice, person: BoardPerson) -> ActNotice:
        """Raises ActInvalidError when its ten seconds are over."""
        check_in_time(notice, self._now())
        done = await self.do(notice.undo, person)
        return ActNotice(done.id, person, "Undone", done.results)

    async def redo(self, what: Literal["replay", "discard"], letter: Delivery, person: BoardPerson) -> ActNotice:
        """A dead letter is sent again under its id, or seen no more. Raises KafkaError."""
        value = replayed(letter, self._now()).model_dump_json().encode() if what == "replay" else None
        headers = [(HEADER, REPLAY if what == "replay" else DISCARD)]

        def write() -> None:
            key = letter.delivery_id.encode()
            await_acknowledged([self._writer().send(self._names.deliveries, key, value, headers=headers)])

        await asyncio.to_thread(write)
        results = [ActResult(letter.delivery_id, "done", DONE[what])]
        return ActNotice(secrets.token_hex(12), person, _words(what, results), results)

    def _write(self, wanted: Sequence[WantedAct]) -> None:
        producer = self._writer()
        await_acknowledged(
            producer.send(self._names.commands, one.key.encode(), one.command.model_dump_json().encode())
            for one in wanted
        )

    def _writer(self) -> Producer:
        """Raises KafkaError where the broker is away."""
        with self._opening:
            self._producer = self._producer or self._opened()
            return self._producer

    async def _answered(self, wanted: Sequence[WantedAct]) -> None:
        """Returns when notify has said something of all, or nothing for too long."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            if not changed.is_set():
                loop.call_soon_threadsafe(changed.set)

        self._state.listen(wake)
        try:
            async with asyncio.timeout(self._answer_seconds):
                while not all(self._is_answered(one) for one in wanted):
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            return
        finally:
            self._state.ignore(wake)

    def _is_answered(self, one: WantedAct) -> bool:
        match one.command.act.kind:
            case "silence":
                return self._state.silence(one.key) is not None
            case "unsilence":
                return self._state.silence(one.key) is None
            case "switch_off" | "switch_on" | "digest_at" | "opens_with":
                return self._state.personal_has(one.key, one.command.act)
            case _:
                return self._state.outcome(one.command.id) is not None

    def _result(self, one: WantedAct) -> ActResult:
        kind = one.command.act.kind
        if not self._is_answered(one):
            return ActResult(one.about, "sent", "sent; notify has not answered yet")
        outcome = self._state.outcome(one.command.id)
        if outcome is not None and outcome.refused:
            return ActResult(one.about, "refused", outcome.refused)
        return ActResult(one.about, "done", DONE[kind])


class MeetingActs:
    """What people know of meetings, handed in at the gateway."""

    def __init__(self, gateway: Gateway, now: Callable[[], Instant]) -> None:
        self.gateway, self._now = gateway, now

    async def note(self, meeting: ReportedMeeting, who: str, person: BoardPerson) -> ActNotice:
        """`who`: how the next page calls the pair."""
        told = await self.gateway.hand_in(meeting, meeting.held(), person)
        words = f"Noted: {who} met on {meeting.day:%a} {meeting.day.day} {meeting.day:%b}. The score follows"
        done = _of_meeting(who, told, words, person)
        if not told.is_taken:
            return done
        return replace(done, undo_until=self._now() + timedelta(seconds=UNDO_SECONDS), meeting=meeting)

    async def take_back(self, meeting: ReportedMeeting, notice: ActNotice, person: BoardPerson) -> ActNotice:
        """Raises ActInvalidError when its ten seconds are over."""
        check_in_time(notice, self._now())
        told = await self.gateway.hand_in(meeting, meeting.retracted(self._now()), person)
        return _of_meeting(notice.results[0].about, told, "Undone", person)


def check_in_time(notice: ActNotice, now: Instant) -> None:
    """Raises ActInvalidError where there is no way back, or no more."""
    if notice.undo_until is None or now > notice.undo_until + timedelta(seconds=UNDO_GRACE_SECONDS):
        raise ActInvalidError(f"it is longer ago than {UNDO_SECONDS} seconds: change it on the page of the alert")


def noticed(person: BoardPerson, words: str, results: Sequence[ActResult], done: ActNotice | None = None) -> ActNotice:
    """`done`: whose undo it keeps."""
    more = len(results) - len(done.results) if done else 0
    kind = "; ".join(filter(None, (words, f"{more} could not be done" if more else "")))
    undo, until = (done.undo, done.undo_until) if done else ((), None)
    return ActNotice(secrets.token_hex(12), person, kind, results, undo, until)


def _of_meeting(who: str, told: Told, words: str, person: BoardPerson) -> ActNotice:
    result = ActResult(who, "done", words) if told.is_taken else ActResult(who, "refused", told.reason)
    return ActNotice(secrets.token_hex(12), person, words if told.is_taken else "Not noted", [result])


def may_resolve_again(delivery: Delivery) -> bool:
    """PagerDuty drops what comes in a maintenance window, and says nothing: the incident may still be open."""
    return (delivery.channel, delivery.transition, delivery.state) == ("pagerduty", "resolved", "delivered")


def _words(kind: str, results: Sequence[ActResult]) -> str:
    done = sum(result.state == "done" for result in results)
    refused = sum(result.state == "refused" for result in results)
    sent = len(results) - done - refused
    parts = [DONE[kind] + (f": {done} of {len(results)}" if len(results) > 1 else "")] if done else []
    parts += [f"{refused} refused"] if refused else []
    parts += [f"{sent} sent, not answered yet"] if sent else []
    return "; ".join(parts)
