"""The window of rows and the runs in it."""

from datetime import timedelta

from services.notify.domain.window import MAX_ROWS, Run, Values, WindowRow, insert_row, trim, unbroken_run, up_to
from tests.notify.building import day, hour

GOOD = Values("active", 80.0, 0.1, 0.6)
BAD = Values("active", 20.0, 0.9, 0.6)
PAUSED = Values("paused", 20.0, 0.9, 0.6)


def low(values: Values) -> bool:
    return values.health <= 40


def row(at: float, values: Values | None = BAD, position: int = 1) -> WindowRow:
    return WindowRow(day(at), position, heal=False, values=values)


def test_rows_stand_in_the_order_of_time_however_they_come() -> None:
    window = insert_row(insert_row(insert_row((), row(2)), row(0)), row(1))

    assert [r.as_of for r in window] == [day(0), day(1), day(2)]


def test_of_two_versions_the_greater_stays_and_of_equal_ones_the_new() -> None:
    window = (row(0, GOOD, 2),)

    assert insert_row(window, row(0, BAD, 1)) == window
    assert insert_row(window, row(0, BAD, 2)) == (row(0, BAD, 2),)


def test_the_window_never_grows_beyond_its_bound() -> None:
    window: tuple[WindowRow, ...] = ()
    for at in range(MAX_ROWS + 5):
        window = insert_row(window, row(at / 1000))

    assert len(window) == MAX_ROWS
    assert insert_row(window, row(-1)) == window


def test_trimming_keeps_the_row_that_says_what_held_when_the_window_began() -> None:
    window = tuple(row(at) for at in (0, 5, 10, 20, 21))

    assert trim(window) == tuple(row(at) for at in (5, 10, 20, 21))
    assert trim(window[:2]) == window[:2]
    assert trim(()) == ()


def test_paused_time_does_not_age_the_window() -> None:
    window = (row(0), row(1, PAUSED), row(60), row(61))

    assert trim(window) == window


def test_up_to_includes_the_instant_itself() -> None:
    window = (row(0), row(1), row(2))

    assert up_to(window, day(1)) == window[:2]


def test_a_run_ends_at_the_first_row_that_fails() -> None:
    assert unbroken_run((row(0), row(1, GOOD), row(2), row(3)), low) == Run(
        day(2), day(3), timedelta(days=1), paused=False, points=2
    )
    assert unbroken_run((row(0), row(1, GOOD)), low) is None
    assert unbroken_run((), low) is None
    assert unbroken_run((row(0, None),), low) is None


def test_paused_time_does_not_count_in_a_run() -> None:
    run = unbroken_run((row(0), row(1, PAUSED), row(5), row(6)), low)

    assert run == Run(day(0), day(6), timedelta(days=2), paused=False, points=4)
    assert run.due(timedelta(days=3)) == day(7)


def test_while_paused_nobody_knows_when_a_run_will_be_long_enough() -> None:
    run = unbroken_run((row(0), row(1, PAUSED)), low)

    assert run is not None
    assert run.due(timedelta(hours=1)) is None


def test_a_run_that_is_long_enough_already_was_due_in_the_past() -> None:
    run = unbroken_run((row(0), row(3)), low)

    assert run is not None
    assert run.due(timedelta(hours=24)) == hour(24)
