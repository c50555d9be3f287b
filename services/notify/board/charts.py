"""Charts as shapes that a template draws as SVG, each with a text summary."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from schemas.primitives import Instant

WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 60, 12, 12, 28
MAX_POINTS = 360
"""As many as the drawing has pixels: of more, the extremes of each stretch are kept."""
MAX_TICKS = 7
_STEPS = tuple(timedelta(days=days) for days in (1, 2, 7, 14, 28, 56, 91, 182, 364))


@dataclass(frozen=True)
class ChartPoint:
    """`value` None: nothing is known from here on."""

    at: Instant
    value: float | None


@dataclass(frozen=True)
class ChartLevel:
    """`kind`: an alert begins at a level that `fires`, and ends at one that `clears`."""

    value: float
    words: str
    kind: str


@dataclass(frozen=True)
class OpenStretch:
    """From when to when an alert was open."""

    begin: Instant
    end: Instant
    words: str


@dataclass(frozen=True)
class LineData:
    """Values lie within 0 and `most`."""

    name: str
    points: Sequence[ChartPoint]
    levels: Sequence[ChartLevel] = ()
    stretches: Sequence[OpenStretch] = ()
    most: float = 100.0
    unit: str = ""


@dataclass(frozen=True)
class LineChart:
    """In units of the drawing. `lines`: one polyline per unbroken run; `words`: the text summary."""

    name: str
    words: str
    lines: list[str]
    last: tuple[float, float] | None
    levels: list[tuple[float, str, str]]
    stretches: list[tuple[float, float, str]]
    ticks: list[tuple[float, str]]
    scale: list[tuple[float, str]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


@dataclass(frozen=True)
class ChartBar:
    """`share`: of the longest, 0 to 100; `kind` chooses its colour."""

    words: str
    value: str
    share: float
    kind: str = ""


@dataclass(frozen=True)
class BarChart:
    name: str
    words: str
    bars: Sequence[ChartBar] = field(default_factory=tuple)


def line(data: LineData) -> LineChart | None:
    """Return the chart; None with fewer than two points."""
    points = sorted(data.points, key=lambda point: point.at)
    values_only = [point for point in points if point.value is not None]
    if len(values_only) < 2 or points[0].at == points[-1].at:  # noqa: PLR2004 (a line has two ends)
        return None
    begin, end = points[0].at, points[-1].at

    def x(at: Instant) -> float:
        share = (min(max(at, begin), end) - begin) / (end - begin)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(TOP + (1 - min(max(value, 0), data.most) / data.most) * (HEIGHT - TOP - BOTTOM), 1)

    newest = values_only[-1]
    assert newest.value is not None
    return LineChart(
        name=data.name,
        words=_words(data, values_only),
        lines=[" ".join(f"{x(p.at)},{y(p.value or 0.0)}" for p in run) for run in _runs(_thin_out(points))],
        last=(x(newest.at), y(newest.value)),
        levels=[(y(level.value), level.words, level.kind) for level in data.levels],
        stretches=[(x(s.begin), max(2.0, x(s.end) - x(s.begin)), s.words) for s in data.stretches if s.end > begin],
        ticks=[(x(at), f"{at.day} {at:%b}") for at in _ticks(begin, end)],
        scale=[(y(part * data.most), f"{part * data.most:g}{data.unit}") for part in (0, 0.25, 0.5, 0.75, 1)],
    )


def bars(name: str, counts: Sequence[tuple[str, int, str]]) -> BarChart:
    """Chart counts: the words, the number, and the kind of each."""
    most, total = max((count for _, count, _ in counts), default=0) or 1, sum(count for _, count, _ in counts)
    summary = ", ".join(f"{words} {count}" for words, count, _ in counts)
    return BarChart(
        name,
        f"{name}: {summary}; {total} together.",
        [ChartBar(words, str(count), round(100 * count / most, 1), kind) for words, count, kind in counts],
    )


def _words(data: LineData, values_only: Sequence[ChartPoint]) -> str:
    first, last = values_only[0], values_only[-1]
    lowest = min(values_only, key=lambda point: point.value or 0.0)
    highest = max(values_only, key=lambda point: point.value or 0.0)

    def words_of_point(point: ChartPoint) -> str:
        return f"{point.value or 0.0:.0f}{data.unit} on {point.at.day} {point.at:%b %Y}"

    levels = f" Dashed: {', '.join(level.words for level in data.levels)}." if data.levels else ""
    levels += " Shaded: while an alert was open." if data.stretches else ""
    return (
        f"{data.name} was {words_of_point(first)} and is {last.value or 0.0:.0f}{data.unit} "
        f"as of {last.at.day} {last.at:%b %Y}; "
        f"lowest {words_of_point(lowest)}, highest {words_of_point(highest)}.{levels}"
    )


def _runs(points: Sequence[ChartPoint]) -> list[list[ChartPoint]]:
    runs: list[list[ChartPoint]] = [[]]
    for point in points:
        if point.value is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def _thin_out(points: Sequence[ChartPoint]) -> Sequence[ChartPoint]:
    if len(points) <= MAX_POINTS:
        return points
    size = -(-len(points) * 2 // MAX_POINTS)
    sampled: list[ChartPoint] = []
    for begin in range(0, len(points), size):
        part = points[begin : begin + size]
        values = [point for point in part if point.value is not None]
        extremes = (
            {min(values, key=lambda p: p.value or 0.0), max(values, key=lambda p: p.value or 0.0)} if values else ()
        )
        gaps = [point for point in part if point.value is None][:1]
        sampled += sorted([*extremes, *gaps], key=lambda point: point.at)
    return sampled


def _ticks(begin: Instant, end: Instant) -> list[Instant]:
    step = next((step for step in _STEPS if (end - begin) / step <= MAX_TICKS), _STEPS[-1])
    first = begin.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    found: list[Instant] = []
    while first <= end and len(found) <= MAX_TICKS:
        found.append(first)
        first += step
    return found
