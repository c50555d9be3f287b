"""Numbers as they are shown: rounded, and still adding up."""

from hypothesis import given
from hypothesis import strategies as st

from services.scoring.domain.explaining.story import TENTH, rounded, shares, tenths

POINTS = st.integers(-100_000_000, 100_000_000)


def test_parts_are_shown_so_that_they_sum_to_the_shown_whole() -> None:
    assert tenths([33_333_333, 33_333_333, 33_333_334]) == [333, 333, 334]
    assert tenths([40_040_000, 40_040_000, -40_000]) == [400, 400, 0]
    assert tenths([]) == []


def test_halves_are_rounded_up_so_that_equal_steps_stay_equal() -> None:
    assert [rounded(value, TENTH) for value in (50_000, 150_000, 250_000, -50_000)] == [1, 2, 3, 0]


@given(st.lists(POINTS, min_size=1, max_size=10))
def test_shown_parts_sum_exactly_and_none_is_off_by_a_unit(values: list[int]) -> None:
    shown = tenths(values)

    assert sum(shown) == rounded(sum(values), TENTH)
    assert all(abs(tenth * TENTH - value) < TENTH for tenth, value in zip(shown, values, strict=True))


@given(st.lists(POINTS, min_size=1, max_size=10), st.lists(POINTS, min_size=1, max_size=10))
def test_what_moved_sums_to_the_change_that_is_shown_and_what_stood_still_shows_nothing(
    before: list[int], after: list[int]
) -> None:
    size = min(len(before), len(after))
    before, after = [*before[:size], 7], [*after[:size], 7]

    total = rounded(sum(after), TENTH) - rounded(sum(before), TENTH)
    moved = shares([new - old for old, new in zip(before, after, strict=True)], TENTH, total)

    assert sum(moved) == total
    assert moved[-1] == 0
