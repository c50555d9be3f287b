"""The explanation of one relationship at one instant: its score, the reasons, how it came about, and what to do. The
recommended act answers the costliest cause. It is found by trying candidate acts as if they had just happened, as the
events that they would leave on the log."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from schemas import payloads as p
from schemas.events import MENTORING_EVENT, OfPartition, OfRelationship, partition_key
from schemas.primitives import Side, from_micros, to_rfc3339
from schemas.programs import Profile, Weights
from services.scoring.domain.bounds import DAY, HOUR, NONE
from services.scoring.domain.evaluation import evaluation_of
from services.scoring.domain.explaining.known_history import KnownHistory
from services.scoring.domain.explaining.story import Change, Missing, missing, story
from services.scoring.domain.facts import facts_of, merged
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.memory import trimmed
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.row import BAND_BEGINS, BANDS, BEST_CAPPED, Evaluation, HistoryRow
from services.scoring.domain.timeline import Timeline

BOOKED_AHEAD = 7 * DAY
"""The trial of a booked session is one in a week."""
GOALS_TRIED = 3
"""The newest open goals: achieving another one would raise health by as much."""
_SMART = dict.fromkeys(p.Smart.model_fields, True)
_SIDES: tuple[Side, ...] = ("mentor", "mentee")
_GOAL_ENDS = frozenset(f"mentoring.goal.{end}.v1" for end in ("achieved", "missed", "abandoned"))


CAP = "cap"
"""The cap of the band, as a cause."""


class Act(NamedTuple):
    """`steps`: what to do, in words, one per event. `answers`: the parts of health whose lack it answers: silence and
    rhythm are answered by meeting, never by a rating."""

    steps: tuple[str, ...]
    events: tuple[OfRelationship, ...]
    answers: frozenset[str]


class _PlannedEvent(NamedTuple):
    """`type` without prefix and version."""

    step: str
    type: str
    data: Mapping[str, Any]
    answers: tuple[str, ...]


def candidate_acts(history: KnownHistory, at: int, weights: Weights) -> list[Act]:
    """One act per plan; the caps of the band are resolved by a single act, however many steps it takes."""
    standing = history.standing(at)
    plans = [*_unconditional_plans(at), *_plans_for_open_matters(standing), *_plans_for_weights(weights)]
    caps = list(_plans_for_caps(standing))
    tenant, relationship = history.relationship.split("/", 1)
    key, now = partition_key(tenant, relationship), _rfc3339(at)
    of_pair = {"tenant": tenant, "subject": relationship, "program": history.program, "partitionkey": key}

    def event_of(plan: _PlannedEvent) -> OfRelationship:
        attributes = {"id": plan.step, "type": f"mentoring.{plan.type}.v1", "data": plan.data, **of_pair}
        envelope = {"source": "/hypothetical", "time": now, "recordedtime": now, **attributes}
        event = MENTORING_EVENT.validate_json(json.dumps(envelope))
        assert not isinstance(event, OfPartition), "a plan is of one relationship"
        return event

    return [
        Act(
            steps=tuple(plan.step for plan in group),
            events=tuple(event_of(plan) for plan in group),
            answers=frozenset(part for plan in group for part in plan.answers),
        )
        for group in (*([plan] for plan in plans), caps)
        if group
    ]


def _unconditional_plans(at: int) -> Iterator[_PlannedEvent]:
    # Observed: no report of a meeting at the same time outweighs it.
    held = {"session_id": "hypothetical", "started_at": _rfc3339(at), "evidence": "observed"}
    yield _PlannedEvent("hold a session", "session.held", held, ("silence", "rhythm", "reliability"))
    begin = at + BOOKED_AHEAD
    booked = {"session_id": "hypothetical", "starts_at": _rfc3339(begin), "ends_at": _rfc3339(begin + HOUR)}
    yield _PlannedEvent("book a session", "session.scheduled", booked, ("silence", "rhythm"))
    for side in _SIDES:
        full = {"by": side, "rating": 5, "about": "relationship"}
        yield _PlannedEvent(f"a full rating from the {side}", "feedback.given", full, ("feedback",))
    yield _PlannedEvent("set a SMART goal", "goal.set", {"goal_id": "hypothetical", "smart": _SMART}, ("goals",))
    well = {"by": "mentee", "rating": 5}
    yield _PlannedEvent("a well-being rating of 5 from the mentee", "pulse.answered", well, ("support",))


def _plans_for_open_matters(standing: Sequence[OfRelationship]) -> Iterator[_PlannedEvent]:
    open_: dict[str, None] = {}
    for event in standing:
        if isinstance(event.data, p.GoalSet):
            open_.pop(event.data.goal_id, None)
            open_[event.data.goal_id] = None
        elif event.type in _GOAL_ENDS and isinstance(event.data, p.GoalChanged):
            open_.pop(event.data.goal_id, None)
    for goal in list(reversed(open_))[:GOALS_TRIED]:
        yield _PlannedEvent(f"achieve goal {goal}", "goal.achieved", {"goal_id": goal}, ("goals",))
    messages = [(event.id, event.data) for event in standing if isinstance(event.data, p.MessageSent)]
    answered = {message.reply_to for _, message in messages}
    for side in _SIDES:
        newest = next((id_ for id_, message in reversed(messages) if message.by != side), None)
        if newest is not None and newest not in answered:
            reply = {"by": side, "channel": "any", "reply_to": newest}
            yield _PlannedEvent(f"a reply from the {side}", "message.sent", reply, ("responsiveness", "mutual"))


def _plans_for_weights(weights: Weights) -> Iterator[_PlannedEvent]:
    if weights.expectations:
        yield _PlannedEvent("agree on expectations", "relationship.expectations_agreed", {}, ("expectations",))
        for side in _SIDES:
            briefing = {"by": side, "kind": "briefing"}
            yield _PlannedEvent(f"prepare the {side}", "preparation.completed", briefing, ("expectations",))
    if weights.growth:
        for side in _SIDES:
            yield _PlannedEvent(f"a reflection of the {side}", "reflection.recorded", {"by": side}, ("growth",))


def _plans_for_caps(standing: Sequence[OfRelationship]) -> Iterator[_PlannedEvent]:
    requests = {e.data.request_id: e.data.priority for e in standing if isinstance(e.data, p.SupportRequested)}
    resolved = {e.data.request_id for e in standing if isinstance(e.data, p.SupportResolved)}
    for request in (name for name, priority in requests.items() if priority == "immediate" and name not in resolved):
        yield _PlannedEvent(f"resolve support request {request}", "support.resolved", {"request_id": request}, (CAP,))
    fits = {event.data.by: event.data.fit for event in standing if isinstance(event.data, p.FitRated)}
    for side in (side for side in _SIDES if fits.get(side) == "not_good"):
        yield _PlannedEvent(
            f"settle the fit, which the {side} calls not good", "fit.rated", {"by": side, "fit": "good"}, (CAP,)
        )


def _rfc3339(at: int) -> str:
    return to_rfc3339(from_micros(at))


HYPOTHETICAL = 2**62
"""A position beyond every log."""
BEST_TO_WORST = BANDS[::-1]


class Trial(NamedTuple):
    """The score after these steps; health and risk in millionths."""

    steps: tuple[str, ...]
    health: int
    band: str
    risk: int


@dataclass(frozen=True)
class Remedies:
    """`first`: the act that answers the costliest cause that any act answers; if it alone does not lift the band,
    combined with one more act that does. None: no act helps or none is needed, as `reason` states. `singles`: the
    effect of each act by itself, the best first, without acts that lower the score."""

    first: Trial | None
    cause: str = ""
    singles: tuple[Trial, ...] = ()
    reason: str = ""


def remedies(history: KnownHistory, profiles: Profiles, row: HistoryRow, at: int, causes: Sequence[str]) -> Remedies:
    """The acts that would help if they happened at `at`, for a relationship whose newest row is `row`. `causes`: the
    parts of health that lack most, the costliest first."""
    now = row.evaluation
    if row.status != "active":
        return Remedies(None, reason=f"the relationship {'has ended' if row.status == 'ended' else 'is paused'}")
    if now.band == BEST_TO_WORST[0]:
        return Remedies(None, reason="it is in the highest band")
    # The facts that a score uses.
    kept = trimmed({key: fact for key, fact in history.facts.items() if key.time <= at})

    def trial_of(acts: Sequence[Act]) -> Trial:
        facts = kept
        for event in (event for act in acts for event in act.events):
            facts = merged(facts, facts_of(event, HYPOTHETICAL))
        snapshot = Timeline(facts, profiles).at(at)
        found = evaluation_of(snapshot, snapshot.scores(at))
        return Trial(tuple(step for act in acts for step in act.steps), found.health, found.band, found.risk)

    present = trial_of([])
    tried = [(act, trial_of([act])) for act in candidate_acts(history, at, profiles.at(at).weights)]
    harmless = {t: act for act, t in tried if t.health >= present.health and t.risk <= present.risk}
    offered = {trial: act for trial, act in harmless.items() if trial[1:] != present[1:]}
    singles = tuple(sorted(offered, key=lambda t: (BEST_TO_WORST.index(t.band), -t.health, t.risk)))
    # The caps come first if nothing else keeps the band down; parts that are no cause come last.
    binding = now.caps and now.health >= BAND_BEGINS[BEST_CAPPED]
    rest = [part.name for part in now.parts if part.name not in causes]
    for cause in [*([CAP] if binding else []), *causes, *([] if binding or not now.caps else [CAP]), *rest]:
        answers = [trial for trial in singles if cause in offered[trial].answers]
        if answers:
            pairs = ([offered[answers[0]], act] for trial, act in harmless.items() if trial is not answers[0])
            lifting = _lifting(answers[:1], now) or _lifting(map(trial_of, pairs), now)
            return Remedies(lifting or answers[0], cause, singles)
    return Remedies(None, singles=singles, reason="no act by itself raises the score")


def _lifting(trials: Iterable[Trial], now: Evaluation) -> Trial | None:
    """The trial with the fewest steps that lifts the band; among equals, the one that raises health most."""
    lifting = (trial for trial in trials if BEST_TO_WORST.index(trial.band) < BEST_TO_WORST.index(now.band))
    return min(lifting, key=lambda trial: (len(trial.steps), -trial.health), default=None)


@dataclass(frozen=True)
class Explanation:
    """`at`: the instant of the newest row up to `as_of`; `row` holds since then."""

    history: KnownHistory
    as_of: int
    at: int
    row: HistoryRow
    profile: Profile
    missing: tuple[Missing, ...]
    story: tuple[Change, ...]
    remedies: Remedies


@dataclass(frozen=True)
class NothingToExplain:
    reason: str


def explain(history: KnownHistory, profiles: Profiles, as_of: int) -> Explanation | NothingToExplain:
    if history.erased:
        return NothingToExplain("it was erased: nothing is told of it any more")
    rows = ScoreHistory(history.facts, profiles).rows(NONE, as_of)
    if not rows:
        return NothingToExplain("nothing that counts had happened yet")
    at, row = next(reversed(rows.items()))
    lacks = missing(at, row, history.last_held(at))
    return Explanation(
        history=history,
        as_of=as_of,
        at=at,
        row=row,
        profile=profiles.at(at),
        missing=lacks,
        story=tuple(story(rows, history.words())),
        remedies=remedies(history, profiles, row, as_of, [lack.part for lack in lacks]),
    )
