"""The pipeline from a transition to deliveries: stages that are pure functions, each returning the notice and a reason.
The list of the reasons is the audit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import assert_never

from schemas.alert_commands import AlertSilence
from schemas.alerts import Alert, AlertChanged, Delivery, GroupKind, Handling, StageDecision, StageName, Urgency
from schemas.primitives import Id, Instant
from services.notify.domain.decisions import plan_deliveries
from services.notify.domain.evaluation import Transitioned
from services.notify.domain.grouping import BATCH_EVERY, BATCH_WAIT, PEOPLE, RESCORED_SPAN
from services.notify.domain.guards import STORM_SPAN, is_behind
from services.notify.domain.handling import UNTOUCHED, silence_matches
from services.notify.domain.ids import AlertSubject
from services.notify.domain.lifecycle import ERASED, Transition
from services.notify.domain.routing import Addressee, RoutingResult, deliverable_from
from services.notify.domain.subjects import SubjectTransitioned
from services.notify.domain.watch import Watch
from services.notify.domain.wording import format_duration, format_instant

AT_RISK = "in the digest 'at risk now': "
"""The prefix of the reason of late notices."""
FIRING_NOT_SENT = "its firing was not sent"
HANDED_OVER = "handed over: whoever had it is away"
NOBODY_LEFT = "nobody who heard of it is there to be told"
UNSTABLE = "unstable: it has relapsed again and again, as was told"
SHOWN = 64
"""Characters of a silence's id that fit into a reason."""
ENDS = frozenset({"resolved"})
"""A machine that was notified of the start must be notified of the end, whatever was muted meanwhile."""


@dataclass(frozen=True)
class Notice:
    """A transition in the pipeline. `group`: the group in which people get it; machines, too, where it is `late`."""

    event: AlertChanged
    to: tuple[Addressee, ...] = ()
    group: GroupKind | None = None
    late: bool = False


@dataclass(frozen=True)
class StageContext:
    """The context of the stages. `routing`: the routing result; `last_notified`: the last episode that somebody was
    notified of; `heard`: its recipients, None where that was not recorded; `handling`: who handles the alert, with this
    transition applied; `lag`: how far the scores of its partition lag behind the wall clock, zero on the log's clock;
    `storm`: why it belongs to a storm, if so; `inhibited`: why nobody may be notified."""

    transition: Transition
    routing: RoutingResult
    last_notified: int
    heard: tuple[Addressee, ...] | None = None
    handling: Handling = UNTOUCHED
    silences: tuple[AlertSilence, ...] = ()
    lag: timedelta = timedelta(0)
    inhibited: str | None = None
    storm: str | None = None


def stage_context(
    transitioned: Transitioned | SubjectTransitioned,
    last_notified: int,
    routing: RoutingResult,
    silences: tuple[AlertSilence, ...] = (),
) -> StageContext:
    transition = transitioned.transition
    watch = transitioned.watch
    handling = watch.handling.get(transition.rule.name, UNTOUCHED)
    frozen = watch.frozen if isinstance(watch, Watch) else None
    inhibited = None if frozen is None else frozen.reason
    return StageContext(transition, routing, last_notified, None, handling, silences, inhibited=inhibited)


@dataclass(frozen=True)
class Passed:
    notice: Notice
    reason: str


@dataclass(frozen=True)
class HeldNotice:
    """The notice passes, and is not sent before the reason is over."""

    notice: Notice
    reason: str


@dataclass(frozen=True)
class Stopped:
    reason: str


StageVerdict = Passed | HeldNotice | Stopped
Stage = Callable[[Notice, StageContext], StageVerdict]


@dataclass(frozen=True)
class Decision:
    """The decision on a transition: its event with the audit, and a delivery for every destination, alone or in a
    group. `muted`: the silence that has stopped it."""

    event: AlertChanged
    deliveries: tuple[Delivery, ...] = ()
    muted: Id | None = None

    @property
    def is_sent(self) -> bool:
        return bool(self.deliveries)


def run_pipeline(notice: Notice, context: StageContext) -> Decision:
    """Run all stages, or up to the one that stops the notice."""
    audit: list[StageDecision] = []
    for name, stage in STAGES:
        match stage(notice, context):
            case Passed(notice=passed, reason=reason):
                notice = passed
                audit.append(StageDecision(stage=name, outcome="passed", why=reason))
            case HeldNotice(notice=held, reason=reason):
                notice = held
                audit.append(StageDecision(stage=name, outcome="held", why=reason))
            case Stopped(reason=reason):
                audit.append(StageDecision(stage=name, outcome="stopped", why=reason))
                muted = (
                    matching_silence(context.silences, notice.event, notice.event.data.at)
                    if name == "silence"
                    else None
                )
                return Decision(_with_audit(notice.event, audit, reason), muted=muted.id if muted else None)
            case never:
                assert_never(never)
    event = _with_audit(notice.event, audit, None)
    deliveries: list[Delivery] = []
    for one, alone in zip(notice.to, plan_deliveries(event, [one.destination for one in notice.to]), strict=True):
        group = notice.group if one.delivery_window is not None else "late" if notice.late else None
        due_at = earliest_due(notice.group, one, event.data.decided_at)
        deliveries.append(alone.model_copy(update={"person": one.person, "group": group, "due_at": due_at}))
    return Decision(event, tuple(deliveries))


def inhibit(notice: Notice, context: StageContext) -> StageVerdict:
    """Stop the end of an episode that nobody was notified of, further firings of an alert known to be unstable, and
    everything that rests on a silent source."""
    transition = context.transition
    if transition.name in ENDS and context.last_notified != transition.episode.episode:
        return Stopped(FIRING_NOT_SENT)
    if transition.rule.is_urgent:
        return Passed(notice, "nothing inhibits a call for support")
    if context.inhibited is not None and transition.name not in ENDS:
        return Stopped(f"inhibited: {context.inhibited}")
    if transition.name == "fired" and transition.episode.unstable:
        return Stopped(UNSTABLE)
    return Passed(notice, "nothing inhibits it")


def silence(notice: Notice, context: StageContext) -> StageVerdict:
    """Stop an alert that is snoozed, or that a silence matches; its end always passes."""
    if notice.event.data.transition in ENDS:
        return Passed(notice, "an end is never silenced")
    if context.handling.state == "snoozed" and context.handling.until is not None:
        return Stopped(f"snoozed until {format_instant(context.handling.until)}")
    if context.transition.rule.is_urgent:
        return Passed(notice, "no silence mutes a call for support")
    one = matching_silence(context.silences, notice.event, notice.event.data.at)
    if one is not None:
        return Stopped(f"silence {one.id[:SHOWN]} until {format_instant(one.until)}")
    return Passed(notice, "no silence matches")


def route(notice: Notice, context: StageContext) -> StageVerdict:
    """Route the notice; an end goes to the recipients of the start, however it is routed by now."""
    if context.transition.why == ERASED:
        heard = context.routing.to if context.heard is None else context.heard
        keyed = tuple(one for one in heard if one.destination.channel not in PEOPLE)
        if not keyed:
            return Stopped("nothing is sent to people of what was erased")
        return Passed(replace(notice, to=keyed), "machines that opened something hear of its end")
    if notice.event.data.transition in ENDS and context.heard is not None:
        if not context.heard:
            return Stopped(NOBODY_LEFT)
        named = ", ".join(sorted({one.destination.recipient for one in context.heard}))
        return Passed(replace(notice, to=context.heard), f"whoever heard of it: {named}"[:200])
    if not context.routing.to:
        return Stopped(context.routing.why)
    return Passed(replace(notice, to=context.routing.to), context.routing.why)


def hold(notice: Notice, context: StageContext) -> StageVerdict:
    """Hold while scores lag, since the next one may say that all is well. People get only P1 at once; the rest when
    they work, most of it once a day."""
    if context.transition.rule.is_urgent:
        return Passed(notice, "a call for support waits for nothing")
    if is_behind(context.lag):
        return HeldNotice(
            _with_group(notice, context), f"scores are {format_duration(context.lag)} behind the wall clock"
        )
    grouped = _with_group(notice, context)
    people = [one for one in grouped.to if one.delivery_window is not None]
    if not people or grouped.group is None:
        return Passed(grouped, "P1 waits for nothing" if people else "scores have caught up")
    decided_at = notice.event.data.decided_at
    first = min(people, key=lambda one: earliest_due(grouped.group, one, decided_at))
    assert first.delivery_window is not None, "it is one of the people"
    words = first.delivery_window.words(earliest_due(grouped.group, first, decided_at))
    return HeldNotice(grouped, f"people at {words} at the earliest")


def group(notice: Notice, context: StageContext) -> StageVerdict:
    """Give the reason of the group."""
    match notice.group:
        case None:
            return Passed(notice, "alone")
        case "late" | "rescored":
            return Passed(notice, f"{AT_RISK}{context.transition.late}")
        case "storm":
            return Passed(notice, context.storm or "a storm")
        case "batch":
            return Passed(
                notice, f"people: with others of its programme and class, once in {BATCH_EVERY.seconds // 60} min"
            )
        case "handover":
            return Passed(notice, "people: with all that is handed over")
        case "digest":
            return Passed(notice, "people: in the digest of the day")
        case never:
            assert_never(never)


def plan(notice: Notice, _: StageContext) -> StageVerdict:
    count = len(notice.to)
    return Passed(notice, f"{count} {'delivery' if count == 1 else 'deliveries'}")


STAGES: Sequence[tuple[StageName, Stage]] = (
    ("inhibit", inhibit),
    ("silence", silence),
    ("route", route),
    ("hold", hold),
    ("group", group),
    ("plan", plan),
)


def matching_silence(
    silences: Sequence[AlertSilence], event: AlertChanged | Delivery, at: Instant
) -> AlertSilence | None:
    """Return the first silence in force at that instant that matches everything it names."""
    alert = event.alert if isinstance(event, Delivery) else event.data
    named = event.relationship if isinstance(event, Delivery) else event.subject
    subject = AlertSubject(event.tenant, alert.subject_kind, named, event.program)
    return next((s for s in silences if silence_matches(s, subject, alert.rule) and s.since <= at < s.until), None)


def why_late(alert: Alert) -> str | None:
    """Return why the alert was late, as it was decided; None where it was not."""
    return next((one.why.removeprefix(AT_RISK) for one in alert.decisions if one.why.startswith(AT_RISK)), None)


def _with_group(notice: Notice, context: StageContext) -> Notice:
    """Choose the group in which people get the notice."""
    transition, alert = context.transition, notice.event.data
    late = transition.late is not None and alert.transition not in ENDS
    if late:
        can_wait = transition.rescored and alert.urgency != "P1"
        return replace(notice, group="rescored" if can_wait else "late", late=True)
    if all(one.delivery_window is None for one in notice.to):
        return notice
    if alert.transition in ENDS:
        return replace(notice, group="digest")
    if alert.urgency == "P1":
        return notice
    if alert.transition == "reminded":
        return replace(notice, group="handover" if transition.why == HANDED_OVER else "digest")
    return replace(notice, group="storm" if context.storm is not None else usual_group(alert.urgency))


def usual_group(urgency: Urgency) -> GroupKind | None:
    """Return the group of a new alert by its urgency; P1 has none."""
    match urgency:
        case "P1":
            return None
        case "P2":
            return "batch"
        case "P3":
            return "digest"
        case never:
            assert_never(never)


def earliest_due(group: GroupKind | None, to: Addressee, decided_at: Instant) -> Instant:
    """Return when a notice may be sent, at the earliest; P1 and machines at once."""
    match group if to.delivery_window is not None else None:
        case "digest" if to.delivery_window is not None:
            return to.delivery_window.next_digest(decided_at)
        case "batch" | "handover":
            return deliverable_from(to.delivery_window, decided_at + BATCH_WAIT)
        case "storm":
            return deliverable_from(to.delivery_window, decided_at + STORM_SPAN)
        case "rescored":
            return deliverable_from(to.delivery_window, decided_at + RESCORED_SPAN)
        case _:
            return deliverable_from(to.delivery_window, decided_at) if group else decided_at


def _with_audit(event: AlertChanged, audit: Sequence[StageDecision], not_sent: str | None) -> AlertChanged:
    data = event.data.model_copy(update={"decisions": tuple(audit), "not_sent": not_sent})
    return event.model_copy(update={"data": data})
