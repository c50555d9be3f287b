"""An explanation as text. Whoever is called in the morning reads three lines: how it is, why, and what lifts it."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.scoring.commands import explain_tables
from services.scoring.commands.console import cells, section, table
from services.scoring.commands.figures import hundredths, minute, signed, tenths
from services.scoring.domain.bounds import DAY
from services.scoring.domain.explaining.cause_words import spell
from services.scoring.domain.explaining.explanation import Explanation
from services.scoring.domain.explaining.missing import capped_by
from services.scoring.domain.explaining.remedies import Remedies
from services.scoring.domain.explaining.shown import TENTH, shown_health, whole
from services.scoring.domain.millionths import ONE
from services.scoring.domain.row import Row

REASONS = 3
LOW_CONFIDENCE = ONE // 4
"""Below it a health rests on too few facts to call somebody for."""


def report(console: Console, found: Explanation, clock: int) -> None:
    """`clock`: up to which instant scores can be told."""
    lift, horizon = _lift(found.remedies), spell(found.profile.horizon_days)
    for line in (_how(found), f"Why:  {_why(found)}", f"Lift: {lift}"):
        console.print(Text(line, style="bold"))
    console.print()
    section(console, "", _facts(found, clock))
    section(console, "Health, in points", explain_tables.parts(found))
    section(console, f"Risk of no contact in the next {horizon}, in log-odds", explain_tables.terms(found))
    section(console, "The story", explain_tables.story(found, console.width))
    if found.remedies.singles:
        section(console, "What one act would do now", explain_tables.singles(found))
    console.print(Text(f"The smallest change that would lift the band: {lift}", style="bold"))


def _how(found: Explanation) -> str:
    row, now = found.row, found.row.evaluation
    status = "" if row.status == "active" else f"{row.status}, "
    health = f"health {tenths(shown_health(now))}, {now.band} ({_trend(row)})"
    return f"{found.known.relationship}: {status}{health}; risk {hundredths(now.risk)} ({_calibration(found)})"


def _why(found: Explanation) -> str:
    caps = [f"{cap}, so no better than strained" for cap in capped_by(found.row)]
    lacks = [f"{one.words} {signed(one.points)}" for one in found.missing]
    return "; ".join([*caps, *lacks][:REASONS]) or "no part lacks much"


def _lift(remedies: Remedies) -> str:
    found = remedies.smallest
    if found is None:
        return f"none: {remedies.reason}"
    return f"{' and '.join(found.steps)}: health {tenths(whole(found.health, TENTH))}, {found.band}"


def _facts(found: Explanation, clock: int) -> Table:
    made = table(name="left", said="wrap")
    made.show_header = False
    for pair in (*_viewpoint(found, clock), *_standing(found)):
        made.add_row(*cells(*pair))
    return made


def _viewpoint(found: Explanation, clock: int) -> Iterator[tuple[str, str]]:
    known = found.known
    ahead = ", ahead of the clock: as if nothing more happened" if found.as_of > clock else ""
    yield "as of", f"{minute(found.as_of)}{ahead}; scored {minute(found.at)}; all times in UTC"
    if known.known_at is not None:
        yield "known at", f"{minute(known.known_at)}; recorded later and left out: {known.later} events"


def _standing(found: Explanation) -> Iterator[tuple[str, str]]:
    row, now, caps = found.row, found.row.evaluation, capped_by(found.row)
    yield "status", f"{row.status}, since {minute(row.started)}, a session expected every {spell(row.cadence)}"
    yield "programme", f"{found.known.program}, profile {found.profile.version}, {_calibration(found)}"
    yield "band", f"{now.band}, capped: {'; '.join(caps)}" if caps else now.band
    low = ", low" if now.confidence < LOW_CONFIDENCE else ""
    yield "confidence", f"{hundredths(now.confidence)} of 1{low}"
    yield "trend", _trend(row)
    yield "last contact", "none" if row.last_contact is None else _ago(row.last_contact, found.as_of)
    if row.open_requests:
        yield "support", f"open requests: {', '.join(row.open_requests)}"
    yield "next session", "none booked" if row.next_session is None else minute(row.next_session)


def _calibration(found: Explanation) -> str:
    return f"calibrated by {found.profile.calibration}" if found.profile.calibration else "uncalibrated"


def _trend(row: Row) -> str:
    points = whole(row.trend, TENTH)
    return f"{signed(points)} in 4 weeks" if points else "level for 4 weeks"


def _ago(at: int, now: int) -> str:
    return f"{minute(at)}, {spell((now - at) // DAY)} ago"
