"""An absence that a feed repeats, and pairs that begin, or begin anew, between two repetitions."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest

from schemas.events import OfRelationship
from services.ingest.domain.activity import Employed
from services.ingest.domain.scope import ConnectionScope
from tests.ingest.people.building import HR, NOON, employed, event, kinds, known, pair, say
from tests.ingest.people.test_employment_backfill import DAY, EARLY, EXIT, PEOPLE, Told, history, is_alive, tell

TOLD_AGAIN: dict[str, tuple[list[OfRelationship], list[Employed]]] = {
    "an exit, and the person becomes the mentor between two nights": (
        [pair(time=EARLY), pair("cat", time=NOON + timedelta(hours=1))],
        [employed("cat", "exited", key="1"), employed("cat", "exited", key="2", time=NOON + DAY)],
    ),
    "a leave, and the person becomes the mentor between two nights": (
        [pair(time=EARLY), pair("cat", time=NOON + timedelta(hours=1))],
        [employed("cat", "leave", key="1"), employed("cat", "leave", key="2", time=NOON + DAY)],
    ),
    "an exit, and the pair starts anew between two nights": (
        [pair(time=EARLY), pair(time=NOON + timedelta(hours=1))],
        [employed("ada", "exited", key="1"), employed("ada", "exited", key="2", time=NOON + DAY)],
    ),
    "an exit, and the first start lies between two nights": (
        [pair(time=NOON + timedelta(hours=1))],
        [employed("ada", "exited", key="1"), employed("ada", "exited", key="2", time=NOON + DAY)],
    ),
    "an exit of three nights, and a return": (
        [pair(time=EARLY), pair(time=NOON + timedelta(hours=30))],
        [
            *(employed("ada", "exited", key=f"{night}", time=NOON + night * DAY) for night in range(3)),
            employed("ada", "active", key="back", time=NOON + 3 * DAY),
        ],
    ),
    "an exit that was announced, and its day passes": (
        [pair(time=EARLY)],
        [employed("ada", "exited", key=f"{n}", time=NOON + n * DAY, left_on=date(2026, 3, 5)) for n in range(6)],
    ),
    "a leave of the other one, and the pair starts anew after an exit": (
        [pair(time=EARLY), pair(time=NOON + timedelta(hours=25))],
        [
            employed("ben", "leave", key="1", left_on=date(2026, 3, 1)),
            employed("ada", "exited", key="2", time=NOON + DAY),
            employed("ben", "leave", key="3", time=NOON + 2 * DAY, left_on=date(2026, 3, 1)),
        ],
    ),
    "a leave that becomes an exit, and the pair starts anew": (
        [pair(time=EARLY), pair("cat", time=NOON + timedelta(hours=49))],
        [
            employed("ben", "leave", key="1"),
            *(employed("ben", "exited", key=f"{night}", time=NOON + night * DAY) for night in (1, 2)),
        ],
    ),
    "an announced exit of the next mentor": (
        [pair(time=EARLY), pair("cat", time=NOON + timedelta(hours=1))],
        [employed("cat", "exited", key=f"{n}", time=NOON + n * DAY, left_on=date(2026, 3, 5)) for n in range(2)],
    ),
    "an announced exit of a mentor who is replaced before": (
        [pair(time=EARLY), pair("cat", time=NOON + timedelta(hours=1))],
        [employed("ada", "exited", key=f"{n}", time=NOON + n * DAY, left_on=date(2026, 3, 5)) for n in range(6)],
    ),
}


@pytest.mark.parametrize("case", TOLD_AGAIN)
def test_an_absence_that_is_told_again_gives_the_same_in_any_order(case: str) -> None:
    """A feed repeats an absence every night; the directory keeps it once. Each case failed in some order."""
    starts, nights = TOLD_AGAIN[case]

    found = {repr(is_alive(history(order)[0])) for order in _orders(starts, nights)}

    assert len(found) == 1, found


def test_an_exit_that_is_told_again_ends_the_pair_that_began_meanwhile() -> None:
    starts, nights = TOLD_AGAIN["an exit, and the person becomes the mentor between two nights"]

    assert is_alive(history([*starts, *nights[:1]])[0]) == (True, [(NOON + timedelta(hours=1), None)])
    assert is_alive(history([*starts, *nights])[0]) == (False, [])


def test_an_announced_exit_ends_the_pair_once_it_is_told_on_its_day() -> None:
    starts, nights = TOLD_AGAIN["an exit that was announced, and its day passes"]

    assert is_alive(history([*nights, *starts])[0]) == (False, [])
    assert is_alive(history([*nights[:2], *starts])[0])[0]


def test_two_feeds_of_different_programmes_each_apply_to_later_pairs_of_their_own() -> None:
    projection = known(*PEOPLE)
    for feed, program in [("first", "leaders"), ("second", "others")]:
        say(projection, replace(EXIT, key=feed), ConnectionScope("acme", program, "hr", feed))

    assert kinds(tell(projection, pair(time=EARLY))) == ["relationship.ended"]
    assert kinds(tell(projection, pair(time=EARLY, subject="rel-2", program="others"))) == ["relationship.ended"]


def test_the_last_of_a_side_may_have_been_reported_by_another_feed() -> None:
    group = event(
        "relationship.started", {"mentors": ["p-ada"], "mentees": ["p-ben", "p-cat"], "kind": "group"}, time=EARLY
    )
    projection, _ = history([group])
    payroll = ConnectionScope("acme", None, "hr", "payroll")

    say(projection, employed("cat", "exited", left_on=date(2026, 3, 1)), payroll)
    found = say(projection, employed("ben", "exited", left_on=date(2026, 2, 20)), HR)

    assert isinstance(found, list)
    assert kinds(found) == ["relationship.ended"]


def _orders(starts: Sequence[Told], said: Sequence[Told]) -> list[list[Told]]:
    """All in which the statements keep their order."""
    orders: list[list[Told]] = [[*said]]
    for start in starts:
        orders = [[*one[:place], start, *one[place:]] for one in orders for place in range(len(one) + 1)]
    return orders
