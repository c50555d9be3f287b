"""The hash of many relationships does not depend on where and when each was computed; and any difference in a row
changes it."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from services.scoring.domain.bounds import UNSET
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.profiles import DEFAULT
from services.scoring.domain.verification import ComparableRow, combined, comparable
from tests.scoring.building import booked, facts, feedback, held, micros, requested, started
from tests.scoring.readers import digest, verdict


def _statements(*days: float) -> dict[int, ComparableRow]:
    rows = ScoreHistory(facts(started(0), *map(held, days)), DEFAULT).rows(-1, micros(3))
    return {at: comparable(row) for at, row in rows.items()}


def _full() -> ComparableRow:
    """A row with content in nearly every field."""
    stated = facts(
        started(0), held(1), feedback(1.1, "mentor", 4, 5), requested(1.2, "q", "immediate"), booked(1.3, "s", 9)
    )
    return comparable(ScoreHistory(stated, DEFAULT).rows(-1, micros(2))[micros(2)])


def _others(mismatch: object) -> Iterator[Any]:
    """The nearest that one could take for the same."""
    match mismatch:
        case None:
            yield from (0, -1, UNSET + 1)
        case int():
            yield from (mismatch + 1, mismatch - 1, -mismatch - 1)
        case str():
            yield from (f"{mismatch} ", "", f'{mismatch}","')
        case tuple():
            if len(set(map(type, mismatch))) <= 1:
                yield from (mismatch[1:], mismatch[:-1], (*mismatch, *(mismatch[:1] or ("x",))))
            for place, one in enumerate(mismatch):
                yield from ((*mismatch[:place], other, *mismatch[place + 1 :]) for other in _others(one))
            if mismatch and isinstance(mismatch[0], str):
                yield from ((",".join(mismatch),), ('","'.join(mismatch), *mismatch[1:]), tuple(reversed(mismatch)))


FULL, BARE = _full(), _statements()[micros(1)]
CHANGED = [
    pytest.param(row, name, other, id=f"{'bare' if row is BARE else 'full'} {name} {number}")
    for row in (FULL, BARE)
    for name, mismatch in row._asdict().items()
    for number, other in enumerate(_others(mismatch))
    if other != mismatch
]


@pytest.mark.parametrize(("true", "name", "other"), CHANGED)
def test_each_single_field_that_says_something_else_is_noticed(true: ComparableRow, name: str, other: Any) -> None:  # noqa: ANN401
    stored = true._replace(**{name: other})

    found = verdict("t/r", {7: true}, {7: stored})

    assert digest("t/r", {7: true}) != digest("t/r", {7: stored})
    assert not found.equal
    assert f"{name} is " in (found.first_difference or "")


def _kind(mismatch: object) -> object:
    return tuple(map(type, mismatch)) if isinstance(mismatch, tuple) else type(mismatch)


ALIKE = [
    (one, another)
    for (one, mismatch), (another, says) in combinations(FULL._asdict().items(), 2)
    if _kind(mismatch) == _kind(says) and mismatch != says
]


@pytest.mark.parametrize(("one", "another"), ALIKE)
def test_what_two_fields_say_of_each_other_is_noticed(one: str, another: str) -> None:
    exchanged = FULL._replace(**{one: getattr(FULL, another), another: getattr(FULL, one)})

    assert digest("t/r", {7: FULL}) != digest("t/r", {7: exchanged})


def test_another_instant_or_relationship_is_noticed() -> None:
    row = FULL

    found = {digest("t/r", {7: row}), digest("t/r", {8: row}), digest("t/s", {7: row}), digest("t/r", {7: row, 8: row})}

    assert len(found) == 4


def test_digests_combine_to_the_same_hash_in_any_order() -> None:
    forth = {name: digest(name, _statements(day)) for day, name in ((1, "t/a"), (2, "t/b"))}
    back = dict(reversed(forth.items()))

    assert combined(forth) == combined(back)
    assert combined(forth) != combined({**forth, "t/a": digest("t/a", _statements(1.5))})


def test_a_relationship_without_rows_adds_nothing() -> None:
    rows = {"t/a": digest("t/a", _statements(1))}

    assert combined({**rows, "t/b": digest("t/b", {})}) == combined(rows)


def test_what_is_denied_of_all_rows_is_a_difference() -> None:
    rows = _statements(1)
    found = verdict("t/r", rows, rows)

    found.add_mismatch("t/r", "model is another")

    assert not found.equal
    assert found.first_difference == "t/r: model is another"
