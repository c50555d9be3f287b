"""Programmes: all of them in a line each, and one with its pairs, its trend and its sources."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from schemas.primitives import Instant
from services.notify.board.access import BoardPerson
from services.notify.board.charts import BarChart, ChartPoint, LineChart, LineData, bars, line
from services.notify.board.history import HistoryUnavailable, Row
from services.notify.board.rows import AlertReader, AlertRow, group_by_subject
from services.notify.domain.alert_episode import AlertEpisode
from services.notify.domain.window import newest_values

AT_RISK = 0.70
"""The level of `disengaging`, and of the warehouse."""
BANDS = ((75.0, "thriving"), (50.0, "steady"), (25.0, "strained"), (0.0, "critical"))
"""Of health, as scoring names them."""
MAX_ROWS = 30
"""The rest is on the page Now, filtered by the programme."""


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
        if subject.kind == "relationship" and person.can_see(subject.tenant, subject.program):
            values = newest_values(watch.window)
            healths = found.setdefault((subject.tenant, subject.program), [])
            if values is not None and values.status != "ended":
                healths.append(values.health)
    open_ = [one for one in reader.visible(person) if one.is_open]
    counts, urgent = (
        Counter(map(_program_key, open_)),
        Counter(_program_key(one) for one in open_ if one.state.urgency == "P1"),
    )
    return [
        ProgrammeLine(*key, len(healths), counts[key], urgent[key], median(healths) if healths else None)
        for key, healths in sorted(found.items())
    ]


def programme_page(
    reader: AlertReader,
    person: BoardPerson,
    program_key: tuple[str, str],
    history: Sequence[Row] | HistoryUnavailable,
    source_rows: Sequence[Row] | HistoryUnavailable,
) -> ProgrammePage | None:
    """Return the page; None for an unknown programme. `open_count` counts alerts; a pair is one entry of `open`."""
    tenant, program = program_key
    programme = reader.people.programme(tenant, program)
    watches = [w for w in reader.state.watches() if (w.subject.tenant, w.subject.program) == program_key]
    if programme is None and not watches:
        return None
    values = [newest_values(w.window) for w in watches]
    now = [one for one in values if one is not None and one.status != "ended"]
    counts = Counter(next(name for level, name in BANDS if one.health >= level) for one in now)
    alerts = [one for one in reader.visible(person) if one.is_open and _program_key(one) == program_key]
    open_ = sorted(alerts, key=reader.by_urgency)
    # Each source, its expected interval, and its last event.
    last = (
        {}
        if isinstance(source_rows, HistoryUnavailable)
        else {str(source): recorded for source, _, _, recorded, _ in source_rows}
    )
    expected = {one.source: f"every {one.interval_hours:g} h" for one in programme.sources} if programme else {}
    sources = [
        (source, expected.get(source, "nobody said"), f"{_instant(spoke):%Y-%m-%d %H:%M} UTC" if spoke else "unknown")
        for source, spoke in ((one, last.get(one)) for one in sorted({*last, *expected}))
    ]
    roles = ("coordinator", "deputy", "manager")
    leads = [(role, who) for role in roles if programme and (who := getattr(programme, role))]
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
        trend=_trend("Median health", history, 2, 100.0),
        risk_trend=_trend("Relationships at risk", history, 3, None),
        chart_note=f"{history.reason}." if isinstance(history, HistoryUnavailable) else "",
        sources=sources,
    )


def _program_key(one: AlertEpisode) -> tuple[str, str]:
    return one.watch.subject.tenant, one.watch.subject.program


def _trend(name: str, history: Sequence[Row] | HistoryUnavailable, column: int, most: float | None) -> LineChart | None:
    if isinstance(history, HistoryUnavailable):
        return None
    points = [ChartPoint(_instant(row[0]), row[column]) for row in history]
    highest = max((point.value for point in points if point.value is not None), default=0.0)
    return line(LineData(name, points, most=most or max(4.0, highest * 1.2)))


def _instant(value: object) -> Instant:
    assert isinstance(value, datetime), "the query gives instants"
    return value
