"""Acts on the board: each is a command on the log, as the command line writes them, with an id that a repeated form
repeats; then its result, and for ten seconds an undo."""

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
from services.notify.board.alert_commands import ActInvalidError, PreparedCommand, undo_command
from services.notify.board.meetings import Gateway, GatewayAnswer, ReportedMeeting
from services.notify.board.state import BoardState
from services.notify.domain.deliveries import reset_for_replay
from services.notify.flow.command_processor import DISCARD, HEADER, REPLAY
from services.notify.topics import NotifyTopics
from services.runtime.kafka import Producer, await_acknowledged

UNDO_SECONDS = 10
UNDO_GRACE_SECONDS = 3
"""For the way from the click to here."""
ANSWER_SECONDS = 3.0
"""Notify answers within a round, some hundred milliseconds; without a leader no answer comes."""
CLOSE_SECONDS = 1.0
MAX_NOTICES = 1_000
MAX_SENT = 20_000
"""Commands remembered to recognise repeats: those of a hundred large bulk acts."""
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
    """The result of one row: its subject, and whether it was `done`, `refused`, or not answered yet (`sent`)."""

    about: str
    state: str
    words: str


@dataclass(frozen=True)
class ActNotice:
    """The notice on the next page. `undo`: the commands that undo the act, valid until `undo_until`, or the `meeting`
    to retract."""

    id: str
    person: BoardPerson
    words: str
    results: Sequence[ActResult]
    undo: Sequence[PreparedCommand] = ()
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
    """Recent notices, for the next page. Each process has its own."""

    _kept: OrderedDict[str, ActNotice] = field(default_factory=OrderedDict)

    def keep(self, notice: ActNotice) -> str:
        self._kept[notice.id] = notice
        while len(self._kept) > MAX_NOTICES:
            self._kept.popitem(last=False)
        return notice.id

    def find(self, notice_id: str, person: BoardPerson) -> ActNotice | None:
        found = self._kept.get(notice_id)
        return found if found is not None and found.person == person else None

    def remove(self, notice_id: str) -> None:
        self._kept.pop(notice_id, None)


class CommandSender:
    """Sends commands and waits for their results, on one event loop. The producer is opened with the first act: viewers
    need none."""

    def __init__(
        self,
        open_producer: Callable[[], Producer],
        topics: NotifyTopics,
        state: BoardState,
        now: Callable[[], Instant],
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._open_producer, self._topics, self._state, self._now = open_producer, topics, state, now
        self._answer_seconds = answer_seconds
        self._producer: Producer | None = None
        self._opening = threading.Lock()
        self._sent: OrderedDict[str, None] = OrderedDict()

    def close(self) -> None:
        if self._producer is not None:
            self._producer.close(CLOSE_SECONDS)

    async def do(self, commands: Sequence[PreparedCommand], person: BoardPerson) -> ActNotice:
        """Send the commands and return their results. A command that was sent already is not sent again. Raises
        KafkaError where the broker refuses them."""
        unsent = [one for one in commands if one.command.id not in self._sent]
        # Mark them before they are written: a double click arrives during the write.
        for one in unsent:
            self._sent[one.command.id] = None
        while len(self._sent) > MAX_SENT:
            self._sent.popitem(last=False)
        try:
            await asyncio.to_thread(self._write, unsent)
        except Exception:
            for one in unsent:
                self._sent.pop(one.command.id, None)
            raise
        await self._await_answers(commands)
        results = [self._result(one) for one in commands]
        done = [one for one, result in zip(commands, results, strict=True) if result.state == "done"]
        undo = [undo_ for one in done if (undo_ := undo_command(one, self._now())) is not None]
        return ActNotice(
            id=secrets.token_hex(12),
            person=person,
            words=_words(commands[0].command.act.kind, results),
            results=results,
            undo=undo,
            undo_until=self._now() + timedelta(seconds=UNDO_SECONDS) if undo else None,
        )

    async def undo(self, notice: ActNotice, person: BoardPerson) -> ActNotice:
        """Raises ActInvalidError after ten seconds."""
        check_in_time(notice, self._now())
        done = await self.do(notice.undo, person)
        return ActNotice(done.id, person, "Undone", done.results)

    async def act_on_delivery(
        self, what: Literal["replay", "discard"], delivery: Delivery, person: BoardPerson
    ) -> ActNotice:
        """Replay or discard a dead letter under its id. Raises KafkaError."""
        value = reset_for_replay(delivery, self._now()).model_dump_json().encode() if what == "replay" else None
        headers = [(HEADER, REPLAY if what == "replay" else DISCARD)]

        def write() -> None:
            key = delivery.delivery_id.encode()
            await_acknowledged([self._writer().send(self._topics.deliveries, key, value, headers=headers)])

        await asyncio.to_thread(write)
        results = [ActResult(delivery.delivery_id, "done", DONE[what])]
        return ActNotice(secrets.token_hex(12), person, _words(what, results), results)

    def _write(self, commands: Sequence[PreparedCommand]) -> None:
        producer = self._writer()
        await_acknowledged(
            producer.send(self._topics.commands, one.key.encode(), one.command.model_dump_json().encode())
            for one in commands
        )

    def _writer(self) -> Producer:
        """Raises KafkaError where the broker is down."""
        with self._opening:
            self._producer = self._producer or self._open_producer()
            return self._producer

    async def _await_answers(self, commands: Sequence[PreparedCommand]) -> None:
        """Return when notify has answered every command, or after the timeout."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            if not changed.is_set():
                loop.call_soon_threadsafe(changed.set)

        self._state.add_listener(wake)
        try:
            async with asyncio.timeout(self._answer_seconds):
                while not all(self._is_answered(one) for one in commands):
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            return
        finally:
            self._state.remove_listener(wake)

    def _is_answered(self, one: PreparedCommand) -> bool:
        match one.command.act.kind:
            case "silence":
                return self._state.silence(one.key) is not None
            case "unsilence":
                return self._state.silence(one.key) is None
            case "switch_off" | "switch_on" | "digest_at" | "opens_with":
                return self._state.settings_match(one.key, one.command.act)
            case _:
                return self._state.outcome(one.command.id) is not None

    def _result(self, one: PreparedCommand) -> ActResult:
        kind = one.command.act.kind
        if not self._is_answered(one):
            return ActResult(one.about, "sent", "sent; notify has not answered yet")
        outcome = self._state.outcome(one.command.id)
        if outcome is not None and outcome.refused:
            return ActResult(one.about, "refused", outcome.refused)
        return ActResult(one.about, "done", DONE[kind])


class MeetingActs:
    """Meetings that people report, submitted to the gateway."""

    def __init__(self, gateway: Gateway, now: Callable[[], Instant]) -> None:
        self.gateway, self._now = gateway, now

    async def note(self, meeting: ReportedMeeting, who: str, person: BoardPerson) -> ActNotice:
        """Report a meeting. `who`: how the next page names the pair."""
        answer = await self.gateway.submit(meeting, meeting.held(), person)
        words = f"Noted: {who} met on {meeting.day:%a} {meeting.day.day} {meeting.day:%b}. The score follows"
        done = _meeting_notice(who, answer, words, person)
        if not answer.is_accepted:
            return done
        return replace(done, undo_until=self._now() + timedelta(seconds=UNDO_SECONDS), meeting=meeting)

    async def retract(self, meeting: ReportedMeeting, notice: ActNotice, person: BoardPerson) -> ActNotice:
        """Raises ActInvalidError after ten seconds."""
        check_in_time(notice, self._now())
        answer = await self.gateway.submit(meeting, meeting.retracted(self._now()), person)
        return _meeting_notice(notice.results[0].about, answer, "Undone", person)


def check_in_time(notice: ActNotice, now: Instant) -> None:
    """Raise ActInvalidError where there is no undo, or its time has passed."""
    if notice.undo_until is None or now > notice.undo_until + timedelta(seconds=UNDO_GRACE_SECONDS):
        raise ActInvalidError(f"it is longer ago than {UNDO_SECONDS} seconds: change it on the page of the alert")


def act_notice(
    person: BoardPerson, words: str, results: Sequence[ActResult], done: ActNotice | None = None
) -> ActNotice:
    """`done`: the notice whose undo it keeps."""
    more = len(results) - len(done.results) if done else 0
    kind = "; ".join(filter(None, (words, f"{more} could not be done" if more else "")))
    undo, until = (done.undo, done.undo_until) if done else ((), None)
    return ActNotice(secrets.token_hex(12), person, kind, results, undo, until)


def _meeting_notice(who: str, answer: GatewayAnswer, words: str, person: BoardPerson) -> ActNotice:
    result = ActResult(who, "done", words) if answer.is_accepted else ActResult(who, "refused", answer.reason)
    return ActNotice(secrets.token_hex(12), person, words if answer.is_accepted else "Not noted", [result])


def may_resolve_again(delivery: Delivery) -> bool:
    """Return whether it is a PagerDuty resolve. PagerDuty silently drops events in a maintenance window: the incident
    may still be open."""
    return (delivery.channel, delivery.transition, delivery.state) == ("pagerduty", "resolved", "delivered")


def _words(kind: str, results: Sequence[ActResult]) -> str:
    done = sum(result.state == "done" for result in results)
    refused = sum(result.state == "refused" for result in results)
    sent = len(results) - done - refused
    parts = [DONE[kind] + (f": {done} of {len(results)}" if len(results) > 1 else "")] if done else []
    parts += [f"{refused} refused"] if refused else []
    parts += [f"{sent} sent, not answered yet"] if sent else []
    return "; ".join(parts)
