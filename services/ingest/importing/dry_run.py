"""The recipient of a dry run, and the count of rows that arrive too late for scoring to correct past scores."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.cloudevents import Parsed, read_json
from services.ingest.domain.ids import any_pseudonym
from services.ingest.domain.people.participants import read_participant
from services.ingest.domain.scope import any_scope
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.event_writer import prepare
from services.ingest.importing.entry import rejection_answer
from services.ingest.importing.sender import PARTICIPANTS_ENDPOINT, Endpoint, ImportAnswer

# A running scoring service keeps enough state to correct scores of this period.
CORRECTION_WINDOW = timedelta(days=30)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class LateRows:
    """`late` counts lines whose time is further back than scoring can correct by itself: behind now or, on the log's
    clock, behind the latest time of the lines before."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now if clock.mode == "wall" else BEGINNING
        self._is_log_clock = clock.mode == "log"
        self.late = 0

    def add(self, times: Iterable[str]) -> None:
        """Takes the times of one recorded line."""
        parsed = [time for text in times if (time := _parse_time(text))]
        self.late += any(time < self._now - CORRECTION_WINDOW for time in parsed if self._now > BEGINNING)
        if self._is_log_clock:
            self._now = max([self._now, *parsed])


def _parse_time(text: str) -> datetime | None:
    """Return None for a text that is no valid event time."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None


# The gateway's own limit: beyond it a duplicate counts as new, as it would there.
MAX_REMEMBERED = 100_000
# The token would determine the tenant; a dry run does not read it.
TENANT = "dry-run"
RECORDED, DUPLICATE = ImportAnswer(202, "recorded"), ImportAnswer(202, "duplicate")


class DryRunRecipient:
    """Answers as the gateway would, keeping only what it needs to detect duplicates."""

    def __init__(self, clock: Callable[[], Clock]) -> None:
        self._clock = clock
        self._recent: OrderedDict[bytes, bytes] = OrderedDict()

    def send(self, messages: Sequence[bytes], endpoint: Endpoint) -> list[ImportAnswer]:
        parsed = [one.value if isinstance(one, Parsed) else one for one in map(read_json, messages)]
        if endpoint is not PARTICIPANTS_ENDPOINT:
            return [rejection_answer(one) if isinstance(one, Rejected) else self._event(one) for one in parsed]
        now = self._clock().now
        read = (one if isinstance(one, Rejected) else read_participant(one, TENANT, now) for one in parsed)
        return [rejection_answer(one) if isinstance(one, Rejected) else RECORDED for one in read]

    def _event(self, value: object) -> ImportAnswer:
        verdict = admit(value, any_scope(value, TENANT), self._clock(), pseudonym=any_pseudonym)
        if isinstance(verdict, Rejected):
            return rejection_answer(verdict)
        prepared_event = prepare(verdict.event)
        earlier = self._recent.setdefault(prepared_event.identity, prepared_event.content)
        self._recent.move_to_end(prepared_event.identity)
        if len(self._recent) > MAX_REMEMBERED:
            self._recent.popitem(last=False)
        if earlier is prepared_event.content:
            return RECORDED
        conflict = rejected("conflict", "id", "this id was used above for another event")
        return DUPLICATE if earlier == prepared_event.content else rejection_answer(conflict)
