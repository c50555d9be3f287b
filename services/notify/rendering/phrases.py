"""One alert in plain words: what has happened, since when, why, how sure, what to do next, and until when. It speaks of
days, points and chances, never of log-odds; about the relationship, never blame."""

import re
from collections.abc import Mapping
from datetime import date, timedelta

from schemas.alerts import Alert, Reason, Urgency
from schemas.primitives import Instant
from services.notify.domain.lifecycle import ENDED
from services.notify.domain.name_book import MessageNames
from services.notify.domain.wording import CALLS, chance_points, format_days, format_duration, truncate
from services.notify.domain.working_hours import DeliveryWindow

WORDS: Mapping[str, str] = {
    "fired": "New",
    "escalated": "Worse",
    "reminded": "Still open",
    "unstable": "Unstable",
    "resolved": "Resolved",
}
RISK_RULE = "disengaging"
"""The rule on the chance to fall silent."""
TOPICS: Mapping[str, str] = {
    "health_low": "health low",
    "health_drop": "health fell",
    "disengaging": "going quiet",
    "close_proposed": "end proposed",
    "programme_shift": "many pairs at once are worse",
    "source_silent": "a source is silent",
    "score_stale": "scores do not keep up",
}
ACTS: Mapping[str, str] = {
    # Reasons of health.
    "rhythm": "Call one of both, whoever answers more easily, and offer two dates for the next meeting.",
    "silence": "Call one of both, whoever answers more easily, and offer two dates for the next meeting.",
    "reliability": "Ask both whether day and time still suit them, and agree on a slot that does.",
    "goals": "Ask them to look at their goals together, and to change those that no longer fit.",
    "feedback": "Ask both, each alone, what would make the meetings more useful.",
    "mutual": "Ask the side that writes less whether the way of writing suits them.",
    "responsiveness": "Ask both how they like to be reached, and how soon an answer is expected.",
    "support": "Ask whoever rated it how they are, and what would help.",
    "growth": "Suggest one small step to learn until the next meeting.",
    "expectations": "Ask them to agree on what they expect of each other, and to prepare the next meeting.",
    # Reasons of the chance to fall silent.
    "pace": "Offer to bring the meetings closer together for a while.",
    "elapsed": "Call one of both, whoever answers more easily, and offer two dates for the next meeting.",
    "history": "Help them to their next two meetings: what has just begun needs them most.",
    "missed": "Ask both whether day and time still suit them, and book the meeting anew.",
    "cancelled_late": "Ask both whether day and time still suit them, and book the meeting anew.",
    "goal_stalled": "Ask them to look at their goals together, and to change those that no longer fit.",
    "rating_drop": "Ask both, each alone, what would make the meetings more useful.",
}
"""What to do next, by the costliest cause."""
CALL_ACTS: Mapping[str, str] = {call.reason: call.next_step for call in CALLS.values()}
"""Of a support request, by the words of its reason."""
HALF_A_YEAR = timedelta(days=182)
LONGEST_IN_ACT = 40
"""Characters of a name in what to do next."""
_WHOM = re.compile(
    r"\b(?:(?P<either>the mentor or the mentee|one of both)|"
    r"(?P<mentor>the mentor)|(?P<mentee>the mentee)|both sides|both)\b"
)
_RISK_LEVEL = re.compile(r"risk (at or above|below) ([0-9]+(?:\.[0-9]+)?)")


def word(alert: Alert) -> str:
    return WORDS.get(alert.transition, alert.transition.replace("_", " ").capitalize())


def topic(alert: Alert) -> str:
    """Return the topic, the same for all transitions of an episode."""
    return TOPICS.get(alert.rule, alert.rule.replace("_", " "))


def happened(alert: Alert, naming: MessageNames, read_at: Instant) -> str:
    """Return the change in a few words, to follow the names; `read_at`: when somebody reads it."""
    if alert.why == ENDED:
        return "has ended, alert closed"
    value = _value(alert)
    match alert.transition:
        case "fired":
            since = f"since {day(alert.since, naming, read_at)}"
            if alert.rule == "health_drop":
                # Names need the room more than the look-back of a fall.
                return alert.why.partition(" within ")[0]
            if _is_of_health(alert):
                return f"{value}, low {since}"
            return f"{topic(alert)} {since}" + (f", {value}" if value else "")
        case "escalated":
            return f"worse, {value or topic(alert)}"
        case "reminded":
            return f"still {value or topic(alert)}"
        case "unstable":
            return f"again and again, {value or topic(alert)}"
        case "resolved":
            return f"better, {value}" if value else f"over: {topic(alert)}"


def change(alert: Alert, naming: MessageNames, read_at: Instant) -> str:
    reading = alert.reading
    contact = ""
    if reading is not None and reading.last_contact is not None and reading.last_contact <= alert.at:
        ago = (alert.at - reading.last_contact).days
        earlier = format_days(ago) if ago else "less than a day"
        contact = f" The last contact was on {day(reading.last_contact, naming, read_at)}, {earlier} earlier."
    if alert.transition == "resolved":
        length = format_duration(alert.at - alert.since)
        return f"{_now(alert)}; closed because: {why(alert)}. It was open for {length}.{contact}"
    return f"{_now(alert)}; since {moment(alert.since, naming)} ({why(alert)}).{contact}"


def because(reason: Reason, alert: Alert) -> str:
    """Return the reason in points of 100: of health what is missing, of the chance what it adds."""
    if _is_of_health(alert):
        return f"{reason.words}: {reason.points:+.0f} points of health"
    if alert.rule == RISK_RULE and alert.reading is not None:
        return f"{reason.words}: {chance_points(alert.reading.risk, reason.points):+.0f} points of chance"
    return reason.words


def sure(alert: Alert) -> str:
    """Return how sure the numbers are; nothing for a support request, which no score describes."""
    if alert.rule == "support_requested":
        return ""
    if alert.reading is None:
        return "it rests on no score."
    confidence_words = f"facts carry {100 * alert.reading.confidence:.0f} % of the health score"
    if alert.rule != RISK_RULE:
        return f"{confidence_words}."
    basis = (
        f"the chance is {alert.reading.evidence.words()}"
        if alert.reading.evidence
        else "the chance is calibrated on this organisation's own history"
        if alert.reading.calibrated
        else "the chance is a general estimate, not yet calibrated on this organisation's history"
    )
    return f"{basis}; {confidence_words}."


def due(alert: Alert, naming: MessageNames) -> str:
    """Return the due date: P1 now, P2 on the same working day, P3 within the week."""
    last = due_day(alert.urgency, alert.decided_at, naming)
    words = f"{last:%a} {last.day} {last:%b}"
    match alert.urgency:
        case "P1":
            return "now"
        case "P2":
            return f"by the end of {words}"
        case "P3":
            return f"by {words}"


def due_day(urgency: Urgency, decided_at: Instant, naming: MessageNames) -> date:
    """Return the due day in the zone of the programme. A P2 decided when nobody works is due on the day on which people
    are notified."""
    calendar = naming.calendar
    today = calendar.local(decided_at).date()
    match urgency:
        case "P1":
            return today
        case "P2":
            return calendar.local(DeliveryWindow(calendar=calendar).open_from(decided_at)).date()
        case "P3":
            return calendar.working_day_from(today + timedelta(days=7))


def next_act(alert: Alert, naming: MessageNames) -> str:
    """Return what to do about the costliest cause, with names where each side is one person; the alert's own next step
    where it is resolved or has no known cause."""
    act = alert.next_step
    if alert.transition != "resolved" and alert.reasons:
        first = alert.reasons[0]
        act = ACTS.get(first.name) or CALL_ACTS.get(first.words, alert.next_step)
    if naming.each is None:
        return act
    names = (truncate(name, LONGEST_IN_ACT) for name in naming.each)
    mentor, mentee = (f"{name} ({side})" for name, side in zip(names, ("mentor", "mentee"), strict=True))
    called = {"either": f"{mentor} or {mentee}", "mentor": mentor, "mentee": mentee, None: f"{mentor} and {mentee}"}
    return _WHOM.sub(lambda whom: called[whom.lastgroup], act)


def _value(alert: Alert) -> str:
    if alert.reading is None:
        return ""
    if _is_of_health(alert):
        return f"health {alert.reading.health:.0f}"
    return f"chance {100 * alert.reading.risk:.0f} %" if alert.rule == RISK_RULE else ""


def _now(alert: Alert) -> str:
    if alert.reading is None:
        return topic(alert).capitalize()
    if alert.rule == RISK_RULE:
        return f"The chance that this relationship falls silent is {100 * alert.reading.risk:.0f} %"
    if _is_of_health(alert):
        return f"Health is {alert.reading.health:.0f} of 100 ({alert.reading.band})"
    return topic(alert).capitalize()


def why(alert: Alert) -> str:
    """Return the reason with risk as a chance, such as `chance at or above 70 % for 24 h`."""
    return _RISK_LEVEL.sub(lambda level: f"chance {level[1]} {100 * float(level[2]):g} %", alert.why)


def _is_of_health(alert: Alert) -> bool:
    return alert.rule.startswith("health")


def day(at: Instant, naming: MessageNames, read_at: Instant) -> str:
    """`1 May`; with its year when more than half a year away."""
    local_time = naming.calendar.local(at)
    return f"{local_time.day} {local_time:%b}" + (f" {local_time:%Y}" if abs(read_at - at) > HALF_A_YEAR else "")


def moment(at: Instant, naming: MessageNames) -> str:
    local = naming.calendar.local(at)
    return f"{local:%a} {local.day} {local:%b %Y %H:%M} {naming.zone}"
