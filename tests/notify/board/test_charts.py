"""A chart says in words what it draws, and draws within its bounds whatever it is given."""

from hypothesis import given
from hypothesis import strategies as st

from services.notify.board.charts import (
    HEIGHT,
    MAX_POINTS,
    WIDTH,
    ChartLevel,
    ChartPoint,
    LineData,
    OpenStretch,
    bars,
    line,
)
from tests.notify.building import day

VALUES = st.lists(st.tuples(st.floats(0, 400), st.one_of(st.none(), st.floats(-50, 150))), max_size=60)


def points(*values: float | None) -> list[ChartPoint]:
    return [ChartPoint(day(number), value) for number, value in enumerate(values)]


def test_a_line_is_described_in_words() -> None:
    drawn = line(
        LineData("Health", points(62, 20, 38), [ChartLevel(40, "P3 at 40", "fires")], [OpenStretch(day(1), day(2), "")])
    )

    assert drawn is not None
    assert drawn.words == (
        "Health was 62 on 1 May 2024 and is 38 as of 3 May 2024; lowest 20 on 2 May 2024, highest 62 on 1 May 2024. "
        "Dashed: P3 at 40. Shaded: while an alert was open."
    )
    assert len(drawn.lines) == 1


def test_where_nothing_is_known_the_line_breaks() -> None:
    drawn = line(LineData("Health", points(60, 50, None, 40, 30)))

    assert drawn is not None
    assert len(drawn.lines) == 2


def test_there_is_no_line_through_less_than_two_points() -> None:
    assert line(LineData("Health", points())) is None
    assert line(LineData("Health", points(60))) is None
    assert line(LineData("Health", points(60, None))) is None
    assert line(LineData("Health", [ChartPoint(day(0), 1.0), ChartPoint(day(0), 2.0)])) is None


@given(VALUES)
def test_a_line_stays_within_its_drawing(values: list[tuple[float, float | None]]) -> None:
    drawn = line(LineData("Health", [ChartPoint(day(at), value) for at, value in values]))

    if drawn is not None:
        spots = [tuple(map(float, spot.split(","))) for run in drawn.lines for spot in run.split()]
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in spots)
        assert all(0 <= x <= WIDTH for x, _ in drawn.ticks)


def test_of_very_many_points_the_extremes_stay() -> None:
    values: list[float | None] = [50.0] * 5_000
    values[1_234], values[4_321] = 3.0, 97.0

    drawn = line(LineData("Health", points(*values)))

    assert drawn is not None
    spots = [spot for run in drawn.lines for spot in run.split()]
    heights = [float(spot.split(",")[1]) for spot in spots]
    assert len(spots) <= MAX_POINTS + 2
    assert max(heights) - min(heights) > 0.9 * (HEIGHT - 40)


def test_bars_are_described_in_words() -> None:
    drawn = bars("Relationships", [("thriving", 4, "thriving"), ("critical", 1, "critical")])

    assert drawn.words == "Relationships: thriving 4, critical 1; 5 together."
    assert [bar.share for bar in drawn.bars] == [100.0, 25.0]
    assert [bar.share for bar in bars("None", [("thriving", 0, "")]).bars] == [0.0]
