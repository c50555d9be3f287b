"""Programmes as a whole: all of them in a line each, and one with its pairs, its trend and its sources."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from schemas.primitives import Instant
from services.notify.board.access import BoardPerson
from services.notify.board.charts import BarChart, ChartPoint, LineChart, LineData, bars, line
from services.notify.board.history import HistoryAway, Row
from services.notify.board.rows import AlertReader, AlertRow, group_by_subject
from services.notify.domain.alert_episode import AlertEpisode
from services.notify.domain.window import newest_values

AT_RISK = 0.70
"""As `disengaging` has it, and the warehouse."""
BANDS = ((75.0, "thriving"), (50.0, "steady"), (25.0, "strained"), (0.0, "critical"))
"""Of health, as scoring names them."""
MAX_ROWS = 30
"""The rest stands on Now, by the programme."""


@dataclass(frozen=True)
class ProgrammeLine:
    tenant: str
    id: str
    pairs: int
    open: int
    urgent: int
    median_health: float | None


@dataclass(frozen=True)
class ProgrammePage:
    id: str
    people: Sequence[tuple[str, str]]
    pairs: int
    paused: int
    median_health: float | None
    at_risk: int
    open: Sequence[AlertRow]
    open_count: int
    is_cut: bool
    bands: BarChart
    trend: LineChart | None
    risk_trend: LineChart | None
    chart_note: str
    sources: Sequence[tuple[str, str, str]]


def programmes(reader: AlertReader, person: BoardPerson) -> list[ProgrammeLine]:
    found: dict[tuple[str, str], list[float]] = {}
    for watch in reader.state.watches():
        subject = watch.subject
        if subject.kind == "relationship" and person.sees(subject.tenant, subject.program):
            values = newest_values(watch.window)
            lot = found.setdefault((subject.tenant, subject.program), [])
            if values is not None and values.status != "ended":
                lot.append(values.health)
    open_ = [one for one in reader.visible(person) if one.is_open]
    counts, urgent = Counter(map(_where, open_)), Counter(_where(one) for one in open_ if one.state.urgency == "P1")
    return [
        ProgrammeLine(*key, len(lot), counts[key], urgent[key], median(lot) if lot else None)
        for key, lot in sorted(found.items())
    ]


def programme_page(
    reader: AlertReader,
    person: BoardPerson,
    where: tuple[str, str],
    past: Sequence[Row] | HistoryAway,
    feeds: Sequence[Row] | HistoryAway,
) -> ProgrammePage | None:
    """None where nothing is known of it. `open_count` are alerts; a pair is one entry of `open`."""
    tenant, program = where
    described = reader.people.programme(tenant, program)
    watches = [w for w in reader.state.watches() if (w.subject.tenant, w.subject.program) == where]
    if described is None and not watches:
        return None
    values = [newest_values(w.window) for w in watches]
    now = [one for one in values if one is not None and one.status != "ended"]
    counts = Counter(next(name for level, name in BANDS if one.health >= level) for one in now)
    here = [one for one in reader.visible(person) if one.is_open and _where(one) == where]
    open_ = sorted(here, key=reader.by_urgency)
    # Each source, how often it is expected to speak, when it last did.
    last = {} if isinstance(feeds, HistoryAway) else {str(source): recorded for source, _, _, recorded, _ in feeds}
    expected = {one.source: f"every {one.interval_hours:g} h" for one in described.sources} if described else {}
    sources = [
        (source, expected.get(source, "nobody said"), f"{_instant(spoke):%Y-%m-%d %H:%M} UTC" if spoke else "unknown")
        for source, spoke in ((one, last.get(one)) for one in sorted({*last, *expected}))
    ]
    roles = ("coordinator", "deputy", "manager")
    leads = [(role, who) for role in roles if described and (who := getattr(described, role))]
    return ProgrammePage(
        id=program,
        people=[(role, reader.person(tenant, who)) for role, who in leads],
        pairs=len(now),
        paused=sum(one.status == "paused" for one in now),
        median_health=median([one.health for one in now]) if now else None,
        at_risk=sum(one.risk >= AT_RISK for one in now),
        open=[reader.entry(of_one, person) for of_one in group_by_subject(open_)[:MAX_ROWS]],
        open_count=len(open_),
        is_cut=len(group_by_subject(open_)) > MAX_ROWS,
        bands=bars("Relationships by band of health", [(name, counts[name], name) for _, name in BANDS]),
        trend=_trend("Median health", past, 2, 100.0),
        risk_trend=_trend("Relationships at risk", past, 3, None),
        chart_note=f"{past.reason}." if isinstance(past, HistoryAway) else "",
        sources=sources,
    )


def _where(one: AlertEpisode) -> tuple[str, str]:
    return one.watch.subject.tenant, one.watch.subject.program


def _trend(name: str, past: Sequence[Row] | HistoryAway, column: int, most: float | None) -> LineChart | None:
    if isinstance(past, HistoryAway):
        return None
    points = [ChartPoint(_instant(row[0]), row[column]) for row in past]
    highest = max((point.value for point in points if point.value is not None), default=0.0)
    return line(LineData(name, points, most=most or max(4.0, highest * 1.2)))


def _instant(value: object) -> Instant:
    assert isinstance(value, datetime), "the query gives instants"
    return value
