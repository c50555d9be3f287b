"""The founding article's requirements of good mentoring, theme by theme: which event reports it, and which factor it
moves."""

from typing import NamedTuple

import pytest

from schemas.events import OfRelationship
from schemas.primitives import to_micros
from schemas.programs import Profile, Weights
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.row import HistoryRow
from tests.scoring import building as b

THEMES = (
    "SMART goals",
    "check-ins",
    "adjustment",
    "celebration",
    "two-way feedback",
    "mutual growth",
    "approachability and responsiveness",
    "skills",
    "networks",
    "emotional support",
    "clear expectations",
    "preparation",
)


class Says(NamedTuple):
    """In which `direction` the factor moves when such an event comes."""

    theme: str
    event: OfRelationship
    factor: str
    direction: str


TODAY = 100.0
SO_FAR = (
    b.started(0, 7),
    b.held(1),
    b.goal_set(2, "talk", smart=1),
    b.goal_progressed(3, 20, "talk"),
    b.feedback(4, "mentee", 3),
    b.pulse(5, 3),
    *(b.message(day, "mentor") for day in (6, 7, 8)),
    b.message(10, "mentee"),
    b.message(99.5, "mentor"),
)
"""Three months of a pair that began well and then lost its way."""
EVERYTHING_COUNTS = Profiles((Profile(version="everything-counts", weights=Weights(growth=10, expectations=10)),))

MAP = (
    # Goals that are specific, measurable, achievable, relevant and time-bound count in full.
    Says("SMART goals", b.goal_set(TODAY, "lead", smart=5), "goals", "up"),
    Says("SMART goals", b.goal_progressed(TODAY, 90, "talk"), "goals", "up"),
    Says("SMART goals", b.goal_achieved(TODAY, "talk"), "goals", "up"),
    # Regular check-ins are meetings; a check-in that asks for a rating is a rating as well.
    Says("check-ins", b.held(TODAY), "rhythm", "up"),
    Says("check-ins", b.held(TODAY), "reliability", "up"),
    Says("check-ins", b.missed(TODAY), "reliability", "down"),
    Says("check-ins", b.checkin(TODAY, "mentee", 5), "feedback", "up"),
    Says("check-ins", b.checkin(TODAY, "mentee", 1), "feedback", "down"),
    # Goals may change, and to change them is work on them.
    Says("adjustment", b.goal_revised(TODAY, "talk"), "goals", "up"),
    Says("adjustment", b.goal_revised(TODAY, "talk", smart=5), "goals", "up"),
    Says("celebration", b.celebrated(TODAY, "talk"), "growth", "up"),
    # Either side rates, and the less content one counts more.
    Says("two-way feedback", b.feedback(TODAY, "mentor", 5), "feedback", "up"),
    Says("two-way feedback", b.feedback(TODAY, "mentor", 1), "feedback", "down"),
    Says("two-way feedback", b.feedback(TODAY, "mentee", 5), "feedback", "up"),
    # Both sides grow, each is looked at.
    Says("mutual growth", b.reflection(TODAY, "mentor"), "growth", "up"),
    Says("mutual growth", b.reflection(TODAY, "mentee"), "growth", "up"),
    # An approachable mentor is written to; a responsive one answers within the day.
    Says("approachability and responsiveness", b.message(TODAY, "mentee"), "mutual", "up"),
    Says("approachability and responsiveness", b.message(TODAY, "mentee"), "responsiveness", "up"),
    Says("approachability and responsiveness", b.message(TODAY, "mentor"), "mutual", "down"),
    Says("approachability and responsiveness", b.message(TODAY + 14, "mentee"), "responsiveness", "down"),
    Says("skills", b.skill(TODAY, "mentee"), "growth", "up"),
    Says("networks", b.introduction(TODAY, "mentor"), "growth", "up"),
    Says("networks", b.resource(TODAY, "mentor"), "growth", "up"),
    Says("emotional support", b.pulse(TODAY, 5), "support", "up"),
    Says("emotional support", b.pulse(TODAY, 1), "support", "down"),
    Says("clear expectations", b.agreed(TODAY), "expectations", "up"),
    Says("preparation", b.prepared(TODAY, "mentor"), "expectations", "up"),
    Says("preparation", b.prepared(TODAY, "mentee"), "expectations", "up"),
)


def _name(says: Says) -> str:
    return f"{says.theme}: {says.event.type} by {says.event.data.by} moves {says.factor} {says.direction}"


@pytest.mark.parametrize("says", MAP, ids=_name)
def test_each_theme_has_an_event_that_moves_a_factor(says: Says) -> None:
    then = to_micros(says.event.time)
    before, after = _value(says.factor, then, *SO_FAR), _value(says.factor, then, *SO_FAR, says.event)

    assert (after > before, after < before) == (says.direction == "up", says.direction == "down")


def test_every_theme_is_mapped() -> None:
    assert {says.theme for says in MAP} == set(THEMES)


def test_a_call_for_support_and_an_unhappy_match_hold_the_band_down() -> None:
    """Emotional support beyond a factor: a good band must not hide that help is awaited."""
    well = (b.started(0), b.held(1), b.feedback(2, "mentee", 5))

    assert _row(b.micros(4), *well).evaluation.band == "thriving"
    assert _row(b.micros(4), *well, b.requested(3)).evaluation.band == "strained"
    assert _row(b.micros(4), *well, b.fit(3, "mentee", "not_good")).evaluation.band == "strained"


def _value(factor: str, at: int, *events: OfRelationship) -> int:
    """In millionths, from the row of that instant."""
    return {part.name: part.value for part in _row(at, *events).evaluation.parts}[factor]


def _row(at: int, *events: OfRelationship) -> HistoryRow:
    history = ScoreHistory(b.facts(*events), EVERYTHING_COUNTS)
    newest = history.newest(at)
    assert newest is not None
    return history.rows(newest - 1, newest)[newest]
