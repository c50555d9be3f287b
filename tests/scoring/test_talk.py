"""Messages: who carries the conversation, and how soon the other side answers."""

import math

from tests.scoring.building import SIDES, message, paused, resumed, retraction, started, values
from tests.scoring.expected import near

START = started(0)
HOUR = 1 / 24


def responsiveness(*hours: float) -> float:
    typical = math.expm1((2 * math.log(25) + sum(math.log1p(h) for h in hours)) / (2 + len(hours)))
    return 1 / (1 + max(0, typical - 24) / 72)


def test_mutual_says_nothing_before_the_fourth_message() -> None:
    written = [message(1 + n / 10, "mentor") for n in range(4)]

    assert "mutual" not in values(2, START, *written[:3])
    assert values(2, START, *written)["mutual"] == near(2 / 6)


def test_mutual_is_full_where_both_write_alike_and_looks_at_the_last_24_in_all() -> None:
    one_sided = [message(1 + n / 10, "mentor") for n in range(12)]
    in_turn = [message(5 + n / 10, SIDES[n % 2]) for n in range(24)]

    assert values(9, START, *one_sided, *in_turn[:8])["mutual"] == near(2 * (1 + 4) / (2 + 20))
    assert values(9, START, *one_sided, *in_turn[:16])["mutual"] == near(2 * (1 + 8) / (2 + 24))
    assert values(9, START, *one_sided, *in_turn)["mutual"] == 1


def test_a_retracted_message_was_never_written() -> None:
    written = [message(1 + n / 10, "mentor") for n in range(4)]

    assert "mutual" not in values(2, START, *written, retraction(1.9, written[0], "mentor"))


def test_without_a_reply_there_is_nothing_to_say_of_responsiveness() -> None:
    assert "responsiveness" not in values(9, START, message(1, "mentor"), message(2, "mentor"))


def test_a_reply_within_the_day_is_as_good_as_one_at_once() -> None:
    assert values(9, START, message(1, "mentor"), message(1, "mentee"))["responsiveness"] == 1
    assert values(9, START, message(1, "mentor"), message(2, "mentee"))["responsiveness"] == 1


def test_later_replies_count_by_their_typical_time() -> None:
    asked = [START, message(1, "mentor")]

    assert values(9, *asked, message(6, "mentee"))["responsiveness"] == near(responsiveness(120))
    assert values(9, *asked, message(6, "mentee"), message(6 + HOUR, "mentor"))["responsiveness"] == near(
        responsiveness(120, 1)
    )


def test_a_reply_is_measured_from_the_first_message_that_waited_for_it() -> None:
    pressing = [message(day, "mentor") for day in (1, 3, 5.9)]

    assert values(9, START, *pressing, message(6, "mentee"))["responsiveness"] == near(responsiveness(120))


def test_nobody_has_to_reply_while_paused() -> None:
    away = [START, message(1, "mentor"), paused(2), resumed(5)]

    assert values(9, *away, message(6, "mentee"))["responsiveness"] == near(responsiveness(48))
