"""What a person reads first: one sentence whose first 80 characters stand alone, and what to do next.
About the relationship, never blame, and never that somebody will quit."""

from collections.abc import Mapping

from schemas.alerts import Reading, Reason, TransitionName, Urgency
from schemas.programs import certainty as certainty_of_risk
from schemas.rules import Measure
from services.notify.domain.ids import AlertSubject
from services.notify.domain.lifecycle import CORRECTED, ENDED, ERASED, Transition
from services.notify.domain.reasons import chance_points
from services.notify.domain.spans import instant, span

SHOWN_ID = 20
"""Characters of an id that a sentence has room for; the whole ids stand beside it."""
MOST = 200
"""Characters of a sentence, as the schema admits."""
NEXT_STEPS = {
    "health_low": "Ask both sides how it is going and help them to agree on the next meeting.",
    "disengaging": "Call the mentor or the mentee, whoever answers more easily, and offer two dates.",
    "health_drop": "Ask both sides what has changed of late, and help them to agree on the next meeting.",
    "no_contact": "Call the mentor or the mentee, whoever answers more easily, and offer two dates.",
    "close_proposed": "Ask both sides whether the relationship shall be ended; nothing ends by itself.",
    "programme_shift": "Look for one cause that all of them share: a date, a person who left, a tool that changed.",
    "source_silent": "Look whether the feed still runs and may still sign in; until it speaks nobody judges its pairs.",
    "score_stale": "Look whether scoring runs and keeps up: `rapport status`, its log and its lag.",
    "support_requested": "Answer the request now, and acknowledge this, so that others know.",
}
WORDS: Mapping[Measure, Mapping[TransitionName, str]] = {
    "health": {
        "fired": "is strained",
        "escalated": "got worse",
        "reminded": "is still strained",
        "unstable": "is strained again and again",
        "resolved": "is better",
    },
    "drawdown": {
        "fired": "has fallen",
        "escalated": "has fallen further",
        "reminded": "is still down",
        "unstable": "falls again and again",
        "resolved": "is steadier",
    },
    "risk": {
        "fired": "is going quiet",
        "escalated": "is quieter still",
        "reminded": "is still quiet",
        "unstable": "goes quiet again and again",
        "resolved": "is in touch again",
    },
    "contact": {
        "fired": "has had no contact",
        "escalated": "still has had no contact",
        "reminded": "still has had no contact",
        "unstable": "loses contact again and again",
        "resolved": "is in touch again",
    },
    "support": {
        "fired": "asks for support",
        "escalated": "asks for support",
        "reminded": "still waits for support",
        "unstable": "asks for support again and again",
        "resolved": "has got an answer to its request for support",
    },
}
WORDS_OF_SUBJECTS: Mapping[str, tuple[str, str]] = {
    "share": ("many pairs at once are worse", "its pairs are steadier"),
    "watermark": ("a source is silent", "a source speaks again"),
    "lag": ("scores do not keep up", "scores keep up again"),
}
"""While it is so, and when it is over."""
NOTHING_TO_DO = "Nothing: this is good news."
CLOSED_STEPS = {
    ENDED: "Nothing: the relationship has ended.",
    ERASED: "Nothing: the relationship was erased.",
    CORRECTED: "Nothing: the events that it rested on were corrected.",
}


def summary(subject: AlertSubject, transition: Transition, reading: Reading | None, why: tuple[Reason, ...]) -> str:
    """`spruce: pair 4F2, health 38, low for 24 h. Mostly: no meeting for 33 days ... -19.4. P3`"""
    about = f"{_short(subject.program)}: pair {_short(subject.id)}"
    begun = transition.of.since
    assert begun is not None, "an episode began at some instant"
    told = _told(transition, reading)
    lasting = f"since {instant(begun)}" if transition.name != "resolved" else f"after {span(transition.at - begun)}"
    mostly = "; ".join(f"{reason.words}{_weight(reason, transition, reading)}" for reason in why[:1])
    because = f". Mostly: {mostly}" if mostly and transition.name != "resolved" else ""
    return _cut(f"{about} {told}, {lasting}{because}")


def next_step(transition: Transition) -> str:
    if transition.name == "resolved":
        return CLOSED_STEPS.get(transition.why, NOTHING_TO_DO)
    return NEXT_STEPS.get(transition.rule.name, "Look at the relationship and ask whether it needs anything.")


def subject_summary(subject: AlertSubject, transition: Transition, why: tuple[Reason, ...]) -> str:
    """`spruce: many pairs at once are worse (P1), since 3 May 2023 12:00 UTC. 12 of 60 active pairs alert (20%)`"""
    assert transition.of.since is not None, "an episode began at some instant"
    so, over = WORDS_OF_SUBJECTS[transition.rule.measure]
    if transition.name == "resolved":
        told = f"{over}, after {span(transition.at - transition.of.since)}"
    else:
        again = {"reminded": "still: ", "unstable": "again and again: "}.get(transition.name, "")
        told = f"{again}{so} ({transition.of.urgency}), since {instant(transition.of.since)}"
    return _cut(f"{_short(subject.program)}: {told}" + "".join(f". {reason.words}" for reason in why))


def certainty(reading: Reading) -> str:
    """How sure the numbers are, in words; the confidence is the share of the health factors that facts carry."""
    odds = certainty_of_risk(reading.evidence, calibrated=reading.calibrated)
    return f"confidence {reading.confidence:.2f} of 1; risk {odds}"


def _told(transition: Transition, reading: Reading | None) -> str:
    if transition.why == ERASED or reading is None:
        return "was erased, alert closed"
    if transition.why == ENDED:
        return "has ended, alert closed"
    if transition.why == CORRECTED:
        return "was corrected, alert closed"
    words = WORDS[transition.rule.measure][transition.name]
    if transition.of.fall is not None and transition.name != "resolved":
        words = f"fell from {transition.of.fall.peak:.0f} to {reading.health:.0f}"
        return f"{words}{_pressing(transition.of.urgency, transition.name)}"
    health = f": health {reading.health:.0f}"
    value = {"health": health, "drawdown": health, "risk": f": risk {reading.risk:.2f}"}
    pressing = _pressing(transition.of.urgency, transition.name)
    return f"{words}{value.get(transition.rule.measure, '')}{pressing}"


def _weight(reason: Reason, transition: Transition, reading: Reading | None) -> str:
    """Points of health, or of the chance: log-odds say nothing to a person."""
    match transition.rule.measure:
        case "health" | "drawdown":
            return f" {reason.points:+g}"
        case "risk" if reading is not None:
            return f" {chance_points(reading.risk, reason.points):+.0f} % chance"
        case _:
            return ""


def _pressing(urgency: Urgency | None, name: TransitionName) -> str:
    return f" ({urgency})" if name != "resolved" else ""


def _short(name: str) -> str:
    return name if len(name) <= SHOWN_ID else f"{name[: SHOWN_ID - 1]}…"


def _cut(text: str) -> str:
    return text if len(text) <= MOST else f"{text[: MOST - 1]}…"
