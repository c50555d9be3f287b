"""Where a property does not hold without its condition: the smallest histories that show it.

Most come from one rule, which keeps a state small: a score uses a fixed number of the newest facts of each group, and
one more displaces the oldest."""

from schemas.programs import Coefficients, Profile
from services.scoring.domain.profiles import Profiles
from tests.scoring.building import (
    SIDES,
    agreed,
    booked,
    cancelled,
    held,
    message,
    missed,
    moved,
    scored,
    started,
    values,
)

# --- 1: 0 < P <= 1 ---


def test_1_with_coefficients_far_from_the_defaults_a_risk_above_0_is_rounded_to_0() -> None:
    sure = Profiles((Profile(version="x", coefficients=Coefficients(base=-100)),))

    assert scored(1, started(0), held(1), profiles=sure).risk == 0


# --- 3: a good act now never lowers health ---


def test_3_a_reply_of_the_side_that_wrote_more_makes_it_carry_even_more_of_the_conversation() -> None:
    written = [message(day, "mentor") for day in (1, 2, 3)] + [message(4, "mentee")]

    assert scored(4.5, started(0), *written, message(4.5, "mentor")).health < scored(4.5, started(0), *written).health


def test_3_the_fourth_message_tells_who_carries_the_conversation_even_if_it_is_a_reply() -> None:
    written = [started(0), held(0.5), *(message(day, "mentor") for day in (1, 2, 3))]

    assert "mutual" not in values(3.5, *written)
    assert values(3.5, *written, message(3.5, "mentee"))["mutual"] == 0.666667
    assert scored(3.5, *written, message(3.5, "mentee")).health < scored(3.5, *written).health


def test_3_a_reply_that_pushes_a_quicker_one_out_of_the_24_messages_makes_replies_slower() -> None:
    quick = [message(1, "mentee"), message(1.01, "mentor")]
    slow = [message(5 + 8 * n + 4 * later, side) for n in range(11) for later, side in enumerate(SIDES[::-1])]
    written = [started(0), *quick, *slow]
    reply = message(89.9, "mentee")

    assert len([*quick, *slow]) == 24
    assert values(89.9, *written, reply)["responsiveness"] < values(89.9, *written)["responsiveness"]
    assert scored(89.9, *written, reply).health < scored(89.9, *written).health


def test_3_a_held_session_by_the_name_of_an_older_one_at_the_time_of_another_makes_one_meeting_of_them() -> None:
    events = [started(0), held(1, "weekly"), held(9, "video")]

    assert scored(9.01, *events, held(9.01, "weekly")).health < scored(9.01, *events).health


def test_3_a_held_session_that_pushes_the_best_word_on_an_older_one_out_of_the_24_outcomes() -> None:
    contested = [held(1, "a", 30, evidence="observed"), missed(1.1, session="a", evidence="calendar")]
    events = [
        started(0),
        *contested,
        *(cancelled(2 + n / 10, "b").model_copy(update={"id": f"{n}"}) for n in range(22)),
    ]

    assert scored(5, *events, held(5)).health < scored(5, *events).health


# --- 4: a held session now never raises P ---


def test_4_with_coefficients_that_make_little_of_silence_a_session_after_a_long_gap_raises_the_risk() -> None:
    patient = Profiles((Profile(version="x", coefficients=Coefficients(silence=0, history=0, pace=1)),))
    met = [started(0), *(held(day) for day in (1, 2, 3))]

    assert scored(40, *met, held(40), profiles=patient).risk > scored(40, *met, profiles=patient).risk


def test_4_a_session_that_moves_the_window_of_182_days_forgets_the_contact_days_before_it() -> None:
    met = [started(0), *(held(day + 0.5) for day in range(20)), held(186.5)]

    assert scored(203.5, *met, held(203.5)).risk > scored(203.5, *met).risk


# --- 5: a missed session never raises health nor lowers P ---


def test_5_a_missed_session_that_was_held_by_stronger_evidence_takes_the_place_of_one_of_three() -> None:
    events = [started(0), held(1, "s", evidence="observed"), *(missed(day) for day in (2, 3, 4))]

    assert scored(5, *events, missed(5, session="s", evidence="calendar")).risk < scored(5, *events).risk


def test_5_a_missed_session_by_the_name_of_an_older_one_at_the_time_of_another_makes_one_meeting_of_them() -> None:
    events = [started(0), missed(1, session="weekly"), booked(8, "weekly", 9), booked(8, "video", 9)]
    both = [*events, missed(9.05, session="video")]

    assert scored(9.06, *both, missed(9.06, session="weekly")).health > scored(9.06, *both).health


# --- 6: a reschedule never changes health, and P only through whether a booking lies ahead ---


def test_6_a_missed_session_that_is_moved_afterwards_stays_the_meeting_that_it_was() -> None:
    """The formula was corrected here: a meeting takes the time for which it was booked before it was missed."""
    events = [
        started(0),
        booked(0.5, "s", 1),
        held(1, "x", evidence="observed"),
        missed(1.04, session="s", evidence="calendar"),
    ]

    assert scored(3, *events, moved(2, "s", 9)).health == scored(3, *events).health


def test_6_one_new_booking_replaces_all_that_was_cancelled_within_ten_minutes() -> None:
    events = [started(0), held(1), cancelled(2, "a"), booked(1.5, "b", 4)]
    replaced = [cancelled(2.003, "b"), booked(2.004, "c", 5)]

    assert scored(3, *events, *replaced).health > scored(3, *events).health


def test_6_a_late_cancellation_that_is_replaced_takes_the_place_of_an_older_one_that_was_not() -> None:
    events = [started(0), held(1), cancelled(2, "a", 2), booked(2.5, "b", 4)]
    replaced = [cancelled(3, "b", 2), booked(3.003, "c", 5)]

    assert scored(3.5, *events, *replaced).risk < scored(3.5, *events).risk


def test_6_a_move_that_pushes_a_replacement_out_of_the_16_bookings_leaves_the_cancellation_alone() -> None:
    replaced = [started(0), booked(1, "a", 9), cancelled(2, "a"), booked(2.003, "b", 9)]
    events = [*replaced, *(booked(3, f"s{n}", 20 + n) for n in range(15))]

    assert scored(4, *events, moved(4, "s0", 30)).health < scored(4, *events).health


# --- 9: removing a group's events leaves other factors alone ---


def test_9_where_no_start_was_told_the_first_fact_is_the_start_of_all_ages() -> None:
    assert values(20, agreed(0), message(10, "mentee"))["rhythm"] < values(20, message(10, "mentee"))["rhythm"]
