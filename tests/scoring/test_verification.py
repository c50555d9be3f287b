"""The hash of many relationships does not depend on who computed which of them, and when."""

from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.profiles import DEFAULT
from services.scoring.domain.verification import ComparableRow, combined, comparable, digest
from tests.scoring.building import facts, held, micros, started


def _statements(*days: float) -> dict[int, ComparableRow]:
    rows = ScoreHistory(facts(started(0), *map(held, days)), DEFAULT).rows(-1, micros(3))
    return {at: comparable(row) for at, row in rows.items()}


def test_digests_combine_to_the_same_hash_in_any_order() -> None:
    forth = {name: digest(name, _statements(day)) for day, name in ((1, "t/a"), (2, "t/b"))}
    back = dict(reversed(forth.items()))

    assert combined(forth) == combined(back)
    assert combined(forth) != combined({**forth, "t/a": digest("t/a", _statements(1.5))})


def test_a_relationship_without_rows_adds_nothing() -> None:
    rows = {"t/a": digest("t/a", _statements(1))}

    assert combined({**rows, "t/b": digest("t/b", {})}) == combined(rows)
