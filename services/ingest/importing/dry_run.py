"""`--dry-run`: what an import would send, and whether scores that are out already would need a heal."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from services.ingest.domain.admission import Clock, admit, any_pseudonym, any_scope
from services.ingest.domain.ids import content, identity
from services.ingest.domain.people.participants import read_participant
from services.ingest.domain.strict_json import Parsed, read_json
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.importing.entry import refusal
from services.ingest.importing.sender import PARTICIPANTS_ENDPOINT, Endpoint, ImportAnswer

# So late a running scoring service no longer remembers enough to correct its rows of the past.
LATE_ROWS_REMEMBERED = timedelta(days=30)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class LateRows:
    """`late`: lines whose time lies further back than scoring remembers: behind now or, on the log's clock, behind what
    was told before."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now if clock.mode == "wall" else BEGINNING
        self._follows = clock.mode == "log"
        self.late = 0

    def told(self, times: Iterable[str]) -> None:
        """Of one line that is recorded."""
        known = [time for text in times if (time := _read(text))]
        self.late += any(time < self._now - LATE_ROWS_REMEMBERED for time in known if self._now > BEGINNING)
        if self._follows:
            self._now = max([self._now, *known])


def _read(text: str) -> datetime | None:
    """None: no time that could have been recorded."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None


# As many as the gateway remembers; beyond, a repeat counts as new, as it would there.
REMEMBERED = 100_000
# Whose they are says the token, which is not asked in a dry run.
TENANT = "dry-run"
NEW, AGAIN = ImportAnswer(202, "recorded"), ImportAnswer(202, "duplicate")


class Rehearsal:
    """A recipient that keeps what it needs to tell repeats, and nothing else."""

    def __init__(self, clock: Callable[[], Clock]) -> None:
        self._clock = clock
        self._recent: OrderedDict[bytes, bytes] = OrderedDict()

    def send(self, messages: Sequence[bytes], endpoint: Endpoint) -> list[ImportAnswer]:
        judge = self._participant if endpoint is PARTICIPANTS_ENDPOINT else self._event
        return [self._judged(message, judge) for message in messages]

    def _judged(self, message: bytes, judge: Callable[[object], ImportAnswer]) -> ImportAnswer:
        parsed = read_json(message)
        return judge(parsed.value) if isinstance(parsed, Parsed) else refusal(parsed)

    def _participant(self, value: object) -> ImportAnswer:
        found = read_participant(value, TENANT, self._clock().now)
        return refusal(found) if isinstance(found, Rejected) else NEW

    def _event(self, value: object) -> ImportAnswer:
        verdict = admit(value, any_scope(value, TENANT), self._clock(), pseudonym=any_pseudonym)
        if isinstance(verdict, Rejected):
            return refusal(verdict)
        key, said = identity(verdict.event), content(verdict.event)
        known = self._recent.setdefault(key, said)
        self._recent.move_to_end(key)
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)
        return self._answer(known, said)

    def _answer(self, known: bytes, said: bytes) -> ImportAnswer:
        if known is said:
            return NEW
        return (
            AGAIN if known == said else refusal(rejected("conflict", "id", "this id was used above for another event"))
        )
