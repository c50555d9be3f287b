"""Time zones by whichever of their names a calendar uses: IANA's, or the one that Windows gives them."""

from zoneinfo import ZoneInfo

from tzlocal.windows_tz import win_tz

from schemas.directory import known_zone
from services.ingest.domain.pseudonym import Pseudonym
from services.ingest.domain.tools.leaves import CUT, Leaf

# No zone has a longer name; what is longer would only make a long message.
LONGEST_NAME = 64
# Exchange's own name; its `tzone://Microsoft/Custom` stands for rules that it does not tell.
EXCHANGE = {"tzone://Microsoft/Utc": "UTC"}


def zone_named(name: str) -> ZoneInfo:
    """The Windows names are those of Unicode's CLDR. Raises ValueError."""
    if len(name) > LONGEST_NAME:
        raise ValueError("is no time zone")
    return ZoneInfo(known_zone(win_tz.get(name) or EXCHANGE.get(name) or name))


def _if_known(name: str, _: Pseudonym) -> str:
    try:
        zone_named(name)
    except ValueError:
        return CUT
    return name


ZONE = Leaf("a time zone", _if_known)
