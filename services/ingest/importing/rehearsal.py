"""A dry run: every message is judged as the gateway would judge it, and nothing is sent."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from services.ingest.domain.admission import admit
from services.ingest.domain.any_scope import any_pseudonym, any_scope
from services.ingest.domain.clock import Clock
from services.ingest.domain.identity import content, identity
from services.ingest.domain.people.handed_in_people import read_participant
from services.ingest.domain.strict_json import Parsed, read_json
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.importing.entry import Answer, refusal
from services.ingest.importing.sender import PARTICIPANTS, Endpoint

# As many as the gateway remembers; beyond, a repeat counts as new, as it would there.
REMEMBERED = 100_000
# Whose they are says the token, which is not asked in a dry run.
TENANT = "dry-run"
NEW, AGAIN = Answer(202, "recorded"), Answer(202, "duplicate")


class Rehearsal:
    """A recipient that keeps what it needs to tell repeats, and nothing else."""

    def __init__(self, clock: Callable[[], Clock]) -> None:
        self._clock = clock
        self._recent: OrderedDict[bytes, bytes] = OrderedDict()

    def send(self, messages: Sequence[bytes], endpoint: Endpoint) -> list[Answer]:
        judge = self._participant if endpoint is PARTICIPANTS else self._event
        return [self._judged(message, judge) for message in messages]

    def _judged(self, message: bytes, judge: Callable[[object], Answer]) -> Answer:
        parsed = read_json(message)
        return judge(parsed.value) if isinstance(parsed, Parsed) else refusal(parsed)

    def _participant(self, value: object) -> Answer:
        found = read_participant(value, TENANT, self._clock().now)
        return refusal(found) if isinstance(found, Rejected) else NEW

    def _event(self, value: object) -> Answer:
        verdict = admit(value, any_scope(value, TENANT), self._clock(), pseudonym=any_pseudonym)
        if isinstance(verdict, Rejected):
            return refusal(verdict)
        key, said = identity(verdict.event), content(verdict.event)
        known = self._recent.setdefault(key, said)
        self._recent.move_to_end(key)
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)
        return self._answer(known, said)

    def _answer(self, known: bytes, said: bytes) -> Answer:
        if known is said:
            return NEW
        return (
            AGAIN if known == said else refusal(rejected("conflict", "id", "this id was used above for another event"))
        )
