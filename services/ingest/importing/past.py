"""Whether an import told of times so long ago that scores which are out already need a heal."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from services.ingest.domain.clock import Clock

# So late a running scoring service no longer remembers enough to correct its rows of the past.
REMEMBERED = timedelta(days=30)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Past:
    """`late`: lines whose time lies further back than scoring remembers: behind now or, on the log's clock, behind what
    was told before."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now if clock.mode == "wall" else BEGINNING
        self._follows = clock.mode == "log"
        self.late = 0

    def told(self, times: Iterable[str]) -> None:
        """Of one line that is recorded."""
        known = [time for text in times if (time := _read(text))]
        self.late += any(time < self._now - REMEMBERED for time in known if self._now > BEGINNING)
        if self._follows:
            self._now = max([self._now, *known])


def _read(text: str) -> datetime | None:
    """None: no time that could have been recorded."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None
