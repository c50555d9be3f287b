"""Histories of one relationship, drawn and shrunk by hypothesis: at every step an event happens, once or several times
in a row, or an earlier one is retracted."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache, partial
from itertools import product
from typing import NamedTuple

from hypothesis import assume
from hypothesis import strategies as st

from schemas.events import OfRelationship
from schemas.programs import Coefficients, Profile, Weights
from services.scoring.domain.backtesting.calibration import BOUNDS
from services.scoring.domain.bounds import NONE
from services.scoring.domain.facts import Fact, Facts, Key, facts_of, merge_into
from services.scoring.domain.memory import SELECTED_PER_GROUP, groups
from services.scoring.domain.profiles import DEFAULT, Profiles
from services.scoring.domain.timeline import Timeline
from tests.scoring import building as b

Happening = Callable[[float], OfRelationship]
"""What happens on a day."""


class Retraction(NamedTuple):
    """A retraction of the fact stated this many facts ago."""

    ago: int


class Step(NamedTuple):
    what: Happening | Retraction
    times: int


class Story:
    """`stated`: the fact or mark of each event, in the order of time; the last was stated on `day`."""

    def __init__(self, stated: Sequence[Facts], day: float) -> None:
        self.stated, self.day = tuple(stated), day

    def __repr__(self) -> str:
        return f"Story({self.stated}, {self.day})"

    @cached_property
    def facts(self) -> dict[Key, Fact]:
        merged_facts: dict[Key, Fact] = {}
        for facts in self.stated:
            merge_into(merged_facts, facts)
        return merged_facts

    def and_then(self, *events: OfRelationship) -> "Story":
        """Stated after everything else; the day stays."""
        more = [facts_of(event, len(self.stated) + number) for number, event in enumerate(events)]
        story = Story((*self.stated, *more), self.day)
        story.facts = dict(self.facts)
        for facts in more:
            merge_into(story.facts, facts)
        return story

    def scorer(self, day: float, profiles: Profiles = DEFAULT) -> b.Scorer:
        """Scores as of that day; there must be something to score."""
        scorer = b.Scorer(Timeline(self.facts, profiles).at(b.micros(day)))
        assume(scorer.snapshot.exists)
        return scorer

    def numbers(self, day: float, profiles: Profiles = DEFAULT) -> tuple[int, int]:
        """Health and risk as of that day."""
        return self.scorer(day, profiles).numbers(b.micros(day))

    def of(self, *names: str) -> list[Key]:
        """The facts in any of these groups, oldest first."""
        return [key for key in sorted(self.facts) if not set(names).isdisjoint(groups(key))]

    def is_full(self, name: str) -> bool:
        """Whether one more fact of a group displaces an older one that a score uses."""
        return len(self.of(name)) >= SELECTED_PER_GROUP[name]


DAYS = (1, 0, 0.004, 0.02, 0.4, 2.3, 7, 14, 33, 100)
"""Minutes, within the day, within the cadence, a long silence."""
LATER = DAYS[:1] + DAYS[2:]
"""After everything else."""
TIMES = (1, 1, 1, 3, 9)

MEETINGS: tuple[Happening, ...] = (
    b.held,
    partial(b.held, minutes=None, evidence="observed"),
    partial(b.held, session="a", evidence="calendar"),
    b.missed,
    partial(b.missed, absent="both"),
    partial(b.missed, absent="mentee", session="a", evidence="observed"),
    lambda day: b.cancelled(day, f"c{day}"),
    lambda day: b.cancelled(day, f"c{day}", 2),
    partial(b.cancelled, session="a", notice=2),
    lambda day: b.booked(day, f"b{day}", day + 0.003),
    lambda day: b.booked(day, "a", day + 3),
    lambda day: b.booked(day, "z", day + 0.01),
    lambda day: b.moved(day, "a", day + 5),
)
MESSAGES: tuple[Happening, ...] = tuple(partial(b.message, by=by) for by in b.SIDES)
GOALS: tuple[Happening, ...] = (
    *(
        partial(happening, goal=goal)
        for goal in "gh"
        for happening in (
            partial(b.goal_set, smart=None),
            partial(b.goal_set, smart=2),
            partial(b.goal_revised, smart=5),
            partial(b.goal_progressed, percent=30),
            partial(b.goal_progressed, percent=100),
            b.goal_achieved,
            b.goal_missed,
            b.goal_abandoned,
        )
    ),
    lambda day: b.goal_set(day, f"g{day}", 3),
)
RATINGS: tuple[Happening, ...] = (
    *(partial(b.feedback, by=by, rating=rating) for by, rating in product(b.SIDES, (1, 4, 5))),
    *(partial(b.checkin, by=by, rating=2) for by in b.SIDES),
)
PULSES: tuple[Happening, ...] = tuple(partial(b.pulse, rating=rating) for rating in (1, 3, 5))
GROWTH: tuple[Happening, ...] = (
    *(partial(happening, by=by) for happening in (b.reflection, b.skill) for by in b.SIDES),
    b.introduction,
    b.resource,
    b.celebrated,
)
EXPECTATIONS: tuple[Happening, ...] = (b.agreed, *(partial(b.prepared, by=by) for by in b.SIDES))
CAPS: tuple[Happening, ...] = (
    b.requested,
    b.resolved,
    *(partial(b.fit, by=by, how="not_good") for by in b.SIDES),
    partial(b.fit, by="mentor", how="good"),
)
STATUS: tuple[Happening, ...] = (
    b.paused,
    lambda day: b.paused(day, day - 0.5, day + 1.5, "q"),
    lambda day: b.paused(day, day + 0.5, None, "r"),
    lambda day: b.resumed(day, "q"),
    b.resumed,
    partial(b.started, cadence=3, identity="again"),
    b.ended,
)
FOCI = (
    (*MEETINGS, *MESSAGES, *GOALS, *RATINGS, *PULSES, *GROWTH, *EXPECTATIONS, *CAPS, *STATUS),
    (*MEETINGS, *MESSAGES, *STATUS),
    MEETINGS,
    MESSAGES,
    (*GOALS, *STATUS),
    (*RATINGS, *PULSES, *GROWTH, *EXPECTATIONS),
)
"""What is drawn together: of everything there would be too little of each to fill what a factor looks at."""
BEGINNINGS: tuple[Happening, ...] = (b.started, partial(b.started, cadence=7), partial(b.started, cadence=1), b.agreed)

ALL_ON = Profiles((Profile(version="all-on", weights=Weights(growth=6, expectations=4), review_days=20),))
profiles = st.sampled_from((DEFAULT, ALL_ON))
calibrated = st.builds(
    lambda **slopes: Profiles((Profile(version="calibrated", coefficients=Coefficients(**slopes)),)),
    **{name: st.sampled_from((low, min(high, 3.0))) for name, (low, high) in BOUNDS.items()},
)
"""Coefficients at the corners of what calibration may find."""
later = st.sampled_from(LATER)


def stories(*foci: Sequence[Happening], beginnings: Sequence[Happening] = BEGINNINGS) -> st.SearchStrategy[Story]:
    """Each story of one focus."""
    return st.builds(_story, st.sampled_from(beginnings), st.one_of([_steps(focus) for focus in foci or FOCI]))


def _steps(focus: Sequence[Happening]) -> st.SearchStrategy[list[tuple[float, Step]]]:
    happenings: tuple[Happening | Retraction, ...] = (*focus, Retraction(1), Retraction(3))
    found = [Step(what, times) for what, times in product(happenings, TIMES)]
    return st.lists(st.tuples(st.sampled_from(DAYS), st.sampled_from(found)), max_size=12)


def _story(beginning: Happening, steps: Iterable[tuple[float, Step]]) -> Story:
    stated, day = [facts_of(beginning(0), 0)], 0.0
    for days, (what, times) in steps:
        for _ in range(times):
            day += days
            if isinstance(what, Retraction):
                stated.append({key: Fact(NONE, marked=True) for key in stated[-min(what.ago, len(stated))]})
            else:
                stated.append(_fact(what, day, len(stated)))
    return Story(stated, day)


@lru_cache(100_000)
def _fact(what: Happening, day: float, position: int) -> Facts:
    return facts_of(what(day), position)
