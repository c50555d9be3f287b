"""What a payload says, told of relationships and written down."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from schemas.directory import Participant
from schemas.events import MentoringEvent
from services.ingest.domain.admission import admit
from services.ingest.domain.clock import Clock
from services.ingest.domain.tools.knowledge import Knowledge
from services.ingest.domain.tools.resolution import Resolved, resolve
from services.ingest.domain.tools.retraction import target_of
from services.ingest.domain.tools.said import Said, Voided
from services.ingest.domain.tools.speaker import Speaker
from services.ingest.domain.tools.spoken import Find, Spoken
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.flow.people.directory import Directory
from services.ingest.flow.recorder import Recorder
from services.ingest.flow.tools.outbox import Outbox


@dataclass(frozen=True)
class Written:
    """`repeat`: it was on the log before, as far as this process remembers."""

    repeat: bool


Result = Written | Ignored | Rejected


class Statements:
    """For one thread. What was written is heard at once, because what is said next may be about it."""

    def __init__(
        self, recorder: Recorder, directory: Directory, knowledge: Knowledge, clock: Callable[[], Clock], find: Find
    ) -> None:
        """`find` is asked for what a tool takes back and the memory has forgotten."""
        self._recorder, self._directory, self._clock, self._find = recorder, directory, clock, find
        self.knowledge = knowledge
        self.outbox = Outbox()

    def write(self, said: tuple[Said, ...], speaker: Speaker) -> Result:
        """One payload. The first that is rejected rejects it, and what was written of it before stands: it is a
        repeat when the payload is sent again. Raises KafkaError or TryLaterError; then it may be told again."""
        results: list[Result] = []
        for statement in said:
            result = self._one(statement, speaker)
            if isinstance(result, Rejected):
                return result
            results.append(result)
        return _whole(results)

    def _one(self, said: Said, speaker: Speaker) -> Result:
        resolved = resolve(said, speaker, self.knowledge, self._stored(said, speaker))
        self.knowledge.attend(said, speaker)
        return self._recorded(resolved, speaker) if isinstance(resolved, Resolved) else resolved

    def _stored(self, said: Said, speaker: Speaker) -> tuple[Spoken, ...]:
        if not isinstance(said, Voided):
            return ()
        target = target_of(said, speaker)
        return () if self.knowledge.memory.find(*target) else self._find(*target)

    def _recorded(self, resolved: Resolved, speaker: Speaker) -> Result:
        clock, repeats = self._clock(), []
        verdicts = [admit(raw, speaker.scope, clock) for raw in resolved.events]
        for verdict in verdicts:
            result = verdict if isinstance(verdict, Rejected) else self._event(verdict.event)
            if isinstance(result, Rejected):
                return result
            repeats.append(result.repeat)
        for participant in resolved.participants:
            if refused := self._participant(participant):
                return refused
        return Written(repeat=not resolved.participants and all(repeats))

    def _event(self, event: MentoringEvent) -> Written | Rejected:
        receipt = self._recorder.record(event)
        if isinstance(receipt, Rejected):
            return receipt
        self.outbox.owe(receipt.written, partial(self._again, event))
        self.knowledge.hear(event)
        return Written(receipt.repeat)

    def _again(self, event: MentoringEvent) -> Future[None] | Rejected:
        """What failed was forgotten, so that nothing contradicts it; it may have become too large for the log."""
        receipt = self._recorder.record(event)
        return receipt if isinstance(receipt, Rejected) else receipt.written

    def _participant(self, participant: Participant) -> Rejected | None:
        send = partial(self._directory.write, participant)
        sent = send()
        if isinstance(sent, Rejected):
            return sent
        self.outbox.owe(sent, send)
        self.knowledge.learn(participant)
        return None


def _whole(results: list[Result]) -> Result:
    """What is written counts, then what was there, then the first reason why nothing was."""
    written = [result for result in results if isinstance(result, Written)]
    if written:
        return Written(repeat=all(result.repeat for result in written))
    return results[0]
