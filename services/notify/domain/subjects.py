"""A watched programme or source: what is observed at an instant, and how its rules react."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import NamedTuple

from schemas.alerts import Handling, Reason
from schemas.primitives import Id, Instant
from schemas.programs import Source
from schemas.rules import Rule, Shift
from services.notify.domain.handling import UNTOUCHED, handling_after, with_handling
from services.notify.domain.ids import AlertSubject, Recipient
from services.notify.domain.lifecycle import OPEN, Due, RuleState, Transition, apply_deadline, close_rule, remind
from services.notify.domain.wording import format_duration, format_instant, truncate

NO_LONGER_WATCHED = "nobody expects it any more"
EXPIRED = "nobody looks after it any more"
SHOWN_SOURCE = 120
"""Characters of a source that fit into a sentence."""
_NOTHING = timedelta(0)


class Median(NamedTuple):
    """The median health of a programme at an instant."""

    at: Instant
    health: float


@dataclass(frozen=True, slots=True)
class SubjectWatch:
    """`source`: the URI of a source; `watched_from`: since when it is checked. `peaks`: of a programme, the medians
    that may still be the highest of the window, falling. By rule, `heard`: the recipients of the last episode that
    anybody was notified of, and `muted`: the silence that has kept it from people."""

    subject: AlertSubject
    rules: Mapping[str, RuleState] = field(default_factory=dict)
    handling: Mapping[str, Handling] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None
    watched_from: Instant | None = None
    peaks: tuple[Median, ...] = ()
    heard: Mapping[str, tuple[Recipient, ...]] = field(default_factory=dict)
    muted: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return any(state.condition in OPEN for state in self.rules.values())


class Watermark(NamedTuple):
    """The time of the latest event of a source, and when one was recorded last."""

    time: Instant
    recorded: Instant


class Observation(NamedTuple):
    """An observation: whether the rule fires, or clears (neither: unknown), since when, and the reasons in words."""

    fires: bool
    clears: bool
    since: Instant
    reasons: tuple[Reason, ...]


class SubjectTransitioned(NamedTuple):
    watch: SubjectWatch
    transition: Transition
    reasons: tuple[Reason, ...]


class Tally(NamedTuple):
    """The active relationships of a programme with a known state: their healths, and how many alert. Those
    `catching_up` are unknown yet and in neither. `rescored`: since when some are scored otherwise."""

    healths: Sequence[float]
    alerting: int
    catching_up: int = 0
    rescored: Sequence[Instant] = ()

    def share(self, count: int) -> float:
        """Return the count as a share of all active relationships."""
        return count / (len(self.healths) + self.catching_up) if count else 0.0


@dataclass(frozen=True)
class LateHistory:
    """How many active relationships of a programme have caught up with late history, and why it was late."""

    relationships: int
    why: str


def evaluate_subject(
    watch: SubjectWatch, rule: Rule, observation: Observation, now: Instant
) -> tuple[SubjectWatch, list[SubjectTransitioned]]:
    """Apply an observation; deadlines up to now take effect at their own instants."""
    state = _next_state(rule, watch.rules.get(rule.name, RuleState()), observation, now)
    watch = replace(watch, rules={**watch.rules, rule.name: state})
    transitioned: list[SubjectTransitioned] = []
    while state.dues and state.dues[0].at <= now:
        state, transition = apply_deadline(rule, state, state.dues[0].at)
        watch = _record_transition(watch, transition, state)
        transitioned.append(SubjectTransitioned(watch, transition, observation.reasons))
    handling = watch.handling.get(rule.name)
    if handling is not None and handling.until is not None and handling.until <= now and state.condition in OPEN:
        state, transition = remind(rule, state, now, EXPIRED)
        watch = _record_transition(watch, transition, state)
        transitioned.append(SubjectTransitioned(watch, transition, observation.reasons))
    return watch, transitioned


def close_subject_rule(
    watch: SubjectWatch, rule: Rule, now: Instant, why: str = NO_LONGER_WATCHED
) -> tuple[SubjectWatch, list[SubjectTransitioned]]:
    """Close the rule of a subject that is expected no more, or whose rule is off."""
    state, end = close_rule(rule, watch.rules.get(rule.name, RuleState()), now, why)
    if end is None:
        return replace(watch, rules={**watch.rules, rule.name: state}), []
    watch = _record_transition(watch, end, state)
    return watch, [SubjectTransitioned(watch, end, ())]


def remind_subject(watch: SubjectWatch, rule: Rule, at: Instant, why: str) -> list[SubjectTransitioned]:
    """Remind of an open alert, though nothing has changed."""
    state = watch.rules.get(rule.name)
    if state is None or state.condition not in OPEN:
        return []
    state, transition = remind(rule, state, at, why)
    return [SubjectTransitioned(_record_transition(watch, transition, state), transition, ())]


def observe_shift(
    watch: SubjectWatch, shift: Shift, rule: Rule, tally: Tally, now: Instant
) -> tuple[SubjectWatch, Observation]:
    """Observe a programme: the share of its active relationships that alert, and how far their median health has
    fallen. Fewer than `shift.least` relationships cannot shift; without any, nothing is known."""
    active = len(tally.healths)
    if active < shift.least:
        steady = active > 0 and tally.alerting / active < rule.clear_level
        return watch, Observation(fires=False, clears=steady, since=now, reasons=())
    rescored = [one for one in tally.rescored if one > now - shift.window]
    if rescored and tally.share(len(rescored)) >= rule.tiers[0].level:
        # Medians from before a large part was scored otherwise show what the model has changed.
        watch = replace(watch, peaks=tuple(one for one in watch.peaks if one.at > max(rescored)))
    median = sorted(tally.healths)[active // 2]
    # A median that a later one reaches will never be the highest again.
    recent = (one for one in watch.peaks if one.at >= now - shift.window and one.health > median)
    peaks = (*recent, Median(now, median))
    fall, share = peaks[0].health - median, tally.alerting / active
    many = tally.alerting >= shift.least and share >= rule.tiers[0].level
    reasons = (
        Reason(name="share", points=0.0, words=f"{tally.alerting} of {active} active pairs alert ({share:.0%})"),
        Reason(
            name="median_health",
            points=0.0 - round(fall, 1),
            words=f"median health {median:.0f}, at most {peaks[0].health:.0f} within {format_duration(shift.window)}",
        ),
    )
    observation = Observation(
        fires=many or fall >= shift.fall,
        clears=share < rule.clear_level and fall < shift.fall / 2,
        since=now,
        reasons=reasons if many else reasons[::-1],
    )
    return replace(watch, peaks=peaks), observation


def observe_source(rule: Rule, source: Source, mark: Watermark | None, described: Instant, now: Instant) -> Observation:
    """Observe a source: the age of its watermark, in expected intervals. It clears when the watermark has moved and its
    events are scored."""
    interval = timedelta(hours=source.interval_hours)
    # A source is not late before it was expected; imported history is old by nature.
    last_event = None if mark is None else min(mark.time, mark.recorded)
    last = described if last_event is None else max(last_event, described)
    late = rule.clear_level * interval
    is_back = mark is not None and mark.recorded <= now and now - min(mark.time, mark.recorded) <= late
    last_event_words = (
        f"nothing heard since {format_instant(last)}"
        if last_event is None
        else f"its latest event is of {format_instant(last_event)}"
    )
    words = f"{truncate(source.source, SHOWN_SOURCE)}: {last_event_words}, expected every {source.interval_hours:g} h"
    return Observation(
        fires=now - last > rule.tiers[0].level * interval,
        clears=is_back,
        since=last,
        reasons=(Reason(name="silence", points=0.0, words=words[:200]),),
    )


def observe_lag(rule: Rule, interval: timedelta, newest: Instant | None, clock: Instant) -> Observation:
    """Observe how far the scores of a programme lag behind the latest recorded event."""
    behind = _NOTHING if newest is None else max(_NOTHING, newest - clock)
    words = f"scores reach up to {format_instant(clock)}, events up to {format_instant(newest or clock)}"
    return Observation(
        fires=behind > rule.tiers[0].level * interval,
        clears=behind <= rule.clear_level * interval,
        since=clock,
        reasons=(Reason(name="lag", points=0.0, words=words),),
    )


def programme_subject(tenant: Id, program: Id) -> AlertSubject:
    return AlertSubject(tenant, "programme", program, program)


def source_subject(tenant: Id, program: Id, source: str) -> AlertSubject:
    """Return the subject of a source. Its id is a digest of the URI and of the programme that expects it."""
    digest = sha256(f"{program}\0{source}".encode()).hexdigest()
    return AlertSubject(tenant, "source", f"source-{digest[:24]}", program)


def _next_state(rule: Rule, state: RuleState, observation: Observation, now: Instant) -> RuleState:
    if state.condition in OPEN:
        if not observation.clears:
            return replace(state, condition="firing", dues=())
        if state.condition == "recovering":
            return state
        due = max(now + rule.clear_hold, (state.fired or now) + rule.keep)
        return replace(state, condition="recovering", dues=(Due(due, None),))
    if not observation.fires:
        return state.reset()
    if state.condition == "pending":
        return state
    tier = rule.tiers[0]
    return RuleState("pending", observation.since, (Due(now + tier.hold, tier.urgency),)).with_counters_of(state)


def _record_transition(watch: SubjectWatch, transition: Transition, state: RuleState) -> SubjectWatch:
    name = transition.rule.name
    handling = with_handling(watch.handling, name, handling_after(watch.handling.get(name, UNTOUCHED), transition.name))
    return replace(watch, rules={**watch.rules, name: state}, handling=handling)
