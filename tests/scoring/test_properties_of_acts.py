"""The effect of an act of today on a score: properties 3 to 6 and 8.

A score uses a fixed number of the newest facts, so one more can displace an older one. These properties hold where none
is displaced from the outcomes, bookings, messages and contact days; test_properties_counterexamples.py shows why."""

from collections.abc import Iterator

from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.events import OfRelationship
from schemas.primitives import Side
from services.scoring.domain.bounds import CONTACT_DAYS, CONTACT_WINDOW_DAYS, DAY, ONE
from services.scoring.domain.facts import reference
from services.scoring.domain.kinds import CONTACTS, FactKind
from services.scoring.domain.profiles import DEFAULT, Profiles
from services.scoring.domain.row import Evaluation
from services.scoring.domain.snapshots.contacts import MIN_MESSAGES, RATED_MESSAGES
from tests.scoring import building as b
from tests.scoring.effort import PROPERTY
from tests.scoring.strategies import (
    GOALS,
    MESSAGES,
    PULSES,
    RATINGS,
    STATUS,
    Story,
    calibrated,
    later,
    profiles,
    stories,
)

VALUED = frozenset({FactKind.FEEDBACK, FactKind.CHECKIN, FactKind.PULSE, FactKind.GOAL_PROGRESSED})
"""Kinds whose value is a rating or a progress."""


@PROPERTY
@given(stories(), profiles, later)
def test_a_good_act_now_never_lowers_health(story: Story, profiles: Profiles, days: float) -> None:
    """Property 3, replies apart. A held session: one that overlaps no other."""
    now = story.day + days
    before, _ = story.numbers(now, profiles)

    for act in _good_acts(story, now):
        after, _ = story.and_then(act).numbers(now, profiles)
        assert after >= before, act


@PROPERTY
@given(stories(MESSAGES, (*MESSAGES, *STATUS)), profiles, later, st.sampled_from((0.01, 0.5, 0.98)), st.integers(1, 3))
def test_a_reply_within_the_day_lowers_nothing_but_mutual_and_that_only_if_the_other_wrote_less(
    story: Story, profiles: Profiles, days: float, waited: float, asked: int
) -> None:
    """Property 3, replies: never health, where the side that wrote less replies and mutual is told already."""
    asks, asking, replying = story.day + days, *_who_asks_and_who_replies(story)
    written = story.and_then(*(b.message(asks + 0.001 * number, asking) for number in range(asked)))
    mine, all_ = len(_standing(written, replying)), len(_standing(written, *b.SIDES))
    assume(all_ < RATED_MESSAGES)
    now = asks + waited
    before = written.scorer(now, profiles).evaluate(b.micros(now))

    after = written.and_then(b.message(now, replying)).scorer(now, profiles).evaluate(b.micros(now))

    assert _lowered(before, after) <= {"mutual"}
    if mine < all_ - mine and all_ >= MIN_MESSAGES:
        assert after.health >= before.health


@PROPERTY
@given(stories(), later, st.just(DEFAULT) | calibrated)
def test_a_held_session_now_never_raises_the_risk(story: Story, days: float, profiles: Profiles) -> None:
    """Property 4: with coefficients as calibration may find them, bookings unchanged, and no contact day leaving the
    window."""
    now = story.day + days
    contact_days = {key.time // DAY for key in story.facts if key.kind in CONTACTS}
    assume(not story.is_full("outcomes") and len(contact_days) < CONTACT_DAYS)
    assume(all(day > b.micros(now) // DAY - CONTACT_WINDOW_DAYS for day in contact_days))

    _, before = story.numbers(now, profiles)

    _, after = story.and_then(b.held(now, "new", None)).numbers(now, profiles)

    assert after <= before


@PROPERTY
@given(stories(), profiles, later, st.sampled_from(b.ABSENT))
def test_a_missed_session_of_either_side_never_raises_health_nor_lowers_the_risk(
    story: Story, profiles: Profiles, days: float, absent: b.Absent
) -> None:
    """Property 5: a session that nothing else told of."""
    now = story.day + days
    assume(not story.is_full("outcomes"))
    health, risk = story.numbers(now, profiles)

    worse, riskier = story.and_then(b.missed(now, absent, "new")).numbers(now, profiles)

    assert worse <= health
    assert riskier >= risk


@PROPERTY
@given(stories(), profiles, later, st.sampled_from(("a", "z", "new")), st.sampled_from((-3, 0.003, 4)))
def test_a_session_moved_now_never_changes_health_and_the_risk_only_by_whether_a_booking_lies_ahead(
    story: Story, profiles: Profiles, days: float, session: str, ahead: float
) -> None:
    """Property 6, told as one event."""
    now = story.day + days
    assume(not story.is_full("bookings"))

    after = story.and_then(b.moved(now, session, now + ahead))

    assert _but_bookings(after, now, profiles) == _but_bookings(story, now, profiles)


@PROPERTY
@given(stories(), profiles, later, st.sampled_from((-0.006, 0, 0.006)), st.sampled_from((None, 100)))
def test_a_session_cancelled_and_booked_anew_now_never_changes_health_and_the_risk_only_by_whether_a_booking_lies_ahead(
    story: Story, profiles: Profiles, days: float, apart: float, notice: float | None
) -> None:
    """Property 6, told as two events: of a session that nothing else told of, no other being cancelled at the time."""
    now = story.day + days + 0.01
    booked = story.and_then(b.booked(now - 0.05, "new", now + 50))
    assume(not booked.is_full("bookings") and not booked.is_full("outcomes"))
    assume(all(key.kind != FactKind.CANCELLED or key.time < b.micros(now - 0.02) for key in story.facts))

    after = booked.and_then(b.cancelled(now, "new", notice), b.booked(now + apart, "newer", now + 60))

    assert _but_bookings(after, now + 1, profiles) == _but_bookings(booked, now + 1, profiles)


@PROPERTY
@given(stories((*RATINGS, *PULSES), GOALS), profiles, later, st.integers(0, 20), st.sampled_from((0.1, 0.5, 1)))
def test_a_better_rating_or_more_progress_in_the_same_event_never_lowers_health(
    story: Story, profiles: Profiles, days: float, which: int, share: float
) -> None:
    """Property 8."""
    now = story.day + days
    valued = [key for key in sorted(story.facts) if key.kind in VALUED and story.facts[key].stands]
    assume(valued)
    key = valued[which % len(valued)]
    fact = story.facts[key]
    better = Story(
        ({**story.facts, key: fact._replace(value=fact.value + int(share * (ONE - fact.value)))},), story.day
    )

    assert better.numbers(now, profiles)[0] >= story.numbers(now, profiles)[0]


def _good_acts(story: Story, now: float) -> Iterator[OfRelationship]:
    if not story.is_full("outcomes"):
        yield b.held(now, "new", None)
    for side in b.SIDES:
        yield b.feedback(now, side, 5)
        yield b.reflection(now, side)
    yield b.checkin(now, "mentee", 5)
    yield b.pulse(now, 5)
    yield b.goal_set(now, "new", 5)
    yield b.goal_set(now, "g", 5)
    yield from (b.goal_achieved(now, goal) for goal in "gh" if _is_open(story, goal))
    yield b.celebrated(now)
    yield b.agreed(now)


def _is_open(story: Story, goal: str) -> bool:
    """Whether the newest word on the goal is that it was set; where that is retracted, no score knows of the goal."""
    said = [key for key in story.of("goals_set", "goals_ended") if key.slot == reference(goal)]
    return bool(said) and said[-1].kind == FactKind.GOAL_SET and story.facts[said[-1]].stands


def _standing(story: Story, *sides: Side) -> list[int]:
    """Slots of the messages of these sides."""
    names = [f"messages_by_{side}" for side in sides]
    return [key.slot for key in story.of(*names) if story.facts[key].stands]


def _who_asks_and_who_replies(story: Story) -> tuple[Side, Side]:
    """Asks: who did not write last, so that nobody waits for a reply yet."""
    written = _standing(story, *b.SIDES)
    return ("mentee", "mentor") if written[-1:] == [1] else ("mentor", "mentee")


def _lowered(before: Evaluation, after: Evaluation) -> set[str]:
    """The factors whose value is lower now, those that had none before apart; silence is no factor: it takes."""
    values = {part.name: part.value for part in before.parts}
    return {part.name for part in after.parts[:-1] if part.value < values.get(part.name, 0)}


def _but_bookings(story: Story, day: float, profiles: Profiles) -> tuple[float, ...]:
    """Health, and the features of the model but the last, whether a booking lies ahead."""
    scorer = story.scorer(day, profiles)
    return scorer.numbers(b.micros(day))[0], *scorer.features(b.micros(day))[:-1]
