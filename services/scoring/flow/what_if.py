"""What `rapport scoring what-if` looks at: the whole log, and the profiles by which it is scored."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.runtime.settings import Settings
from services.scoring.domain.account import Account
from services.scoring.domain.profiles import Programmes
from services.scoring.flow.log_reading import accounts, stored
from services.scoring.flow.programmes import programmes
from services.scoring.names import Names


class NothingScoredError(Exception):
    """There is no history to try a profile on."""


@dataclass(frozen=True)
class Log:
    """`clock`: all that is known up to here has been scored everywhere."""

    accounts: Mapping[str, Account]
    programmes: Programmes
    clock: int

    @property
    def begin(self) -> int:
        """The time of the first fact of all."""
        return min(min(account.facts).time for account in self.accounts.values())


def read_log(settings: Settings, names: Names) -> Log:
    """Up to what the workers have acknowledged. Raises NothingScoredError, UnreadableProgrammeError, KafkaError."""
    known = stored(settings, names)
    found = accounts(settings, names, known.watermarks)
    if known.clock is None or not found:
        raise NothingScoredError("scoring has stored nothing yet; is `rapport scoring serve` running?")
    return Log(found, programmes(settings, names), known.clock)
