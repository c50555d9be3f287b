"""Wording of alerts: one sentence whose first 80 characters stand alone, the reasons in points and plain words, and
what to do next. It is about the relationship, never blame, and never predicts that somebody will quit."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from math import exp, log, log2
from typing import NamedTuple, assert_never
from unicodedata import bidirectional

from schemas.alerts import Reading, Reason, TransitionName
from schemas.primitives import Instant, Side
from schemas.programs import certainty as certainty_of_risk
from schemas.rules import Measure
from schemas.scores import Part, Score
from services.notify.domain.ids import AlertSubject
from services.notify.domain.lifecycle import CORRECTED, ENDED, ERASED, Transition

DAY = timedelta(days=1)


ISOLATED, ISOLATED_END = "\u2068", "\u2069"
"""Isolates a name written from right to left: its neighbours keep their place."""
_FROM_THE_RIGHT = frozenset({"R", "AL"})


def isolate(name: str) -> str:
    if not any(bidirectional(one) in _FROM_THE_RIGHT for one in name):
        return name
    return f"{ISOLATED}{name}{ISOLATED_END}"


def truncate(text: str, most: int) -> str:
    """Cut the text, with a sign for what is left out."""
    if len(text) <= most:
        return text
    shortened = text[: max(0, most - 1)]
    if shortened.count(ISOLATED) > shortened.count(ISOLATED_END):
        # The isolation of a cut name ends at the cut.
        shortened = f"{shortened[:-1]}{ISOLATED_END}"
    return f"{shortened}…"


def format_days(count: float) -> str:
    rounded = round(count)
    return "1 day" if rounded == 1 else f"{rounded} days"


def format_duration(length: timedelta) -> str:
    """Return hours below two days, days above."""
    return format_days(length / DAY) if length >= 2 * DAY else f"{length / timedelta(hours=1):.0f} h"


def format_instant(moment: Instant) -> str:
    """`3 May 2023 12:00 UTC`"""
    return f"{moment.day} {moment:%b %Y %H:%M} UTC"


TOP = 3
INTERCEPT = "base"
"""The term of the risk that is the same for every relationship explains nothing about this one."""

HEALTH_WORDS = {
    "reliability": "meetings were missed or cancelled of late",
    "goals": "goals have not moved",
    "feedback": "ratings are below the full mark",
    "mutual": "messages come mostly from one side",
    "responsiveness": "replies take long",
    "support": "well-being was rated below the full mark",
    "growth": "no recent step of learning was recorded",
    "expectations": "expectations or preparation are not complete",
}
RISK_WORDS = {
    "pace": "contacts are far apart even when all is well",
    "history": "few contacts so far",
    "elapsed": "the silence is long even for a slow pair",
    "missed": "meetings were missed since the last one held",
    "cancelled_late": "a meeting was cancelled late since the last one held",
    "goal_stalled": "a goal has not moved for long",
    "rating_drop": "the latest rating is below what this pair is used to",
}


class CallWords(NamedTuple):
    reason: str
    next_step: str


CALLS: Mapping[frozenset[Side], CallWords] = {
    frozenset(): CallWords(
        "an immediate request for support is open",
        "Answer the request now, and acknowledge this, so that others know.",
    ),
    frozenset({"mentor"}): CallWords(
        "the mentor has asked for immediate support",
        "Call the mentor, who has asked for support, and acknowledge this, so that others know.",
    ),
    frozenset({"mentee"}): CallWords(
        "the mentee has asked for immediate support",
        "Call the mentee, who has asked for support, and acknowledge this, so that others know.",
    ),
    frozenset({"mentor", "mentee"}): CallWords(
        "mentor and mentee have asked for immediate support",
        "Call both, who have asked for support, and acknowledge this, so that others know.",
    ),
}
"""By who has asked, as far as that is known. Only people who answer get it, in rendered messages."""
CALL = "support_request"
"""The name of the reason of an open support request."""


def reasons(score: Score, as_of: Instant, measure: Measure, callers: Collection[Side] = ()) -> tuple[Reason, ...]:
    """Return at most three reasons, the heaviest first. `callers`: who asks for support, as far as that is known. Of
    health: the points that each part misses, as negative numbers; over all parts they sum to health - 100. Of risk:
    what each term adds to the log-odds. Reasons without points have 0."""
    match measure:
        case "contact":
            return (Reason(name="contact", points=0.0, words=_silence_words(score, as_of)),)
        case "support":
            # The content of a request stays with those who were asked.
            return (Reason(name=CALL, points=0.0, words=CALLS[frozenset(callers)].reason),)
        case "health" | "drawdown":
            total = sum(part.weight for part in score.parts)
            found = [
                Reason(
                    name=part.name,
                    points=min(0.0, round(part.contribution - (100 * part.weight / total if total else 0.0), 1)),
                    words=_health_words(part, score, as_of),
                )
                for part in score.parts
            ]
        case "risk":
            silence = _silence_words(score, as_of)
            found = [
                Reason(
                    name=term.name,
                    points=round(term.value, 1),
                    words=silence if term.name == "silence" else RISK_WORDS.get(term.name, term.name.replace("_", " ")),
                )
                for term in score.risk_terms
                if term.value > 0 and term.name != INTERCEPT
            ]
        case "share" | "watermark" | "lag":
            raise ValueError("a score says nothing of a programme or a source")
        case _:
            assert_never(measure)
    heaviest = sorted(found, key=lambda reason: (-abs(reason.points), reason.name))
    return tuple(reason for reason in heaviest if reason.points)[:TOP]


def _health_words(part: Part, score: Score, as_of: Instant) -> str:
    if part.name == "rhythm":
        rhythm = f"(agreed rhythm: every {format_days(score.cadence_days)})"
        if not 0 < part.value < 1:
            return f"meetings have stopped {rhythm}"
        # Beyond one interval the factor is 2 ** (1 - age / cadence): its value gives the age.
        return f"no meeting for {format_days(score.cadence_days * (1 - log2(part.value)))} {rhythm}"
    if part.name == "silence":
        return _silence_words(score, as_of)
    return HEALTH_WORDS.get(part.name, part.name.replace("_", " "))


def _silence_words(score: Score, as_of: Instant) -> str:
    silent = format_days((as_of - (score.last_contact or score.started)) / DAY)
    since_words = "since the start, " if score.last_contact is None else "for "
    return f"no contact {since_words}{silent} (agreed rhythm: every {format_days(score.cadence_days)})"


CERTAIN = 1e-9
"""Chances closer to 0 or 1 are not distinguished."""


def chance_points(risk: float, log_odds: float) -> float:
    """Return by how many points of 100 the term raises the chance. Terms do not sum up: each is removed alone."""
    bounded = min(1 - CERTAIN, max(CERTAIN, risk))
    without = 1 / (1 + exp(-(log(bounded / (1 - bounded)) - log_odds)))
    return 100 * (risk - without)


SHOWN_ID = 20
"""Characters of an id that fit into a sentence; the full ids are in other fields."""
MOST = 200
"""Characters of a sentence, the limit of the schema."""
NEXT_STEPS = {
    "health_low": "Ask both sides how it is going and help them to agree on the next meeting.",
    "disengaging": "Call the mentor or the mentee, whoever answers more easily, and offer two dates.",
    "health_drop": "Ask both sides what has changed of late, and help them to agree on the next meeting.",
    "no_contact": "Call the mentor or the mentee, whoever answers more easily, and offer two dates.",
    "close_proposed": "Ask both sides whether the relationship shall be ended; nothing ends by itself.",
    "programme_shift": "Look for one cause that all of them share: a date, a person who left, a tool that changed.",
    "source_silent": "Look whether the feed still runs and may still sign in; until it speaks nobody judges its pairs.",
    "score_stale": "Look whether scoring runs and keeps up: `rapport status`, its log and its lag.",
    "support_requested": CALLS[frozenset()].next_step,
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
"""While firing, and when resolved."""
NOTHING_TO_DO = "Nothing: this is good news."
CLOSED_STEPS = {
    ENDED: "Nothing: the relationship has ended.",
    ERASED: "Nothing: the relationship was erased.",
    CORRECTED: "Nothing: the events that it rested on were corrected.",
}


def without_callers(why: Sequence[Reason]) -> tuple[Reason, ...]:
    """Remove who asks for support, for machines, logs and read-only viewers: only those who answer see it."""
    neutral = {"words": CALLS[frozenset()].reason}
    return tuple(one.model_copy(update=neutral) if one.name == CALL else one for one in why)


def summary(subject: AlertSubject, transition: Transition, reading: Reading | None, why: tuple[Reason, ...]) -> str:
    """`spruce: pair 4F2, health 38, low for 24 h. Mostly: no meeting for 33 days ... -19.4. P3`"""
    about = f"{truncate(subject.program, SHOWN_ID)}: pair {truncate(subject.id, SHOWN_ID)}"
    begun = transition.episode.since
    assert begun is not None, "an episode began at some instant"
    state_words = _state_words(transition, reading)
    lasting = (
        f"since {format_instant(begun)}"
        if transition.name != "resolved"
        else f"after {format_duration(transition.at - begun)}"
    )
    because = ""
    if why and transition.name != "resolved":
        # In points of health, or of the chance: log-odds mean nothing to a person.
        weight, measure = "", transition.rule.measure
        if measure in {"health", "drawdown"}:
            weight = f" {why[0].points:+g}"
        elif measure == "risk" and reading is not None:
            weight = f" {chance_points(reading.risk, why[0].points):+.0f} % chance"
        because = f". Mostly: {without_callers(why)[0].words}{weight}"
    return truncate(f"{about} {state_words}, {lasting}{because}", MOST)


def next_step(transition: Transition) -> str:
    if transition.name == "resolved":
        return CLOSED_STEPS.get(transition.why, NOTHING_TO_DO)
    return NEXT_STEPS.get(transition.rule.name, "Look at the relationship and ask whether it needs anything.")


def subject_summary(subject: AlertSubject, transition: Transition, why: tuple[Reason, ...]) -> str:
    """`spruce: many pairs at once are worse (P1), since 3 May 2023 12:00 UTC. 12 of 60 active pairs alert (20%)`"""
    assert transition.episode.since is not None, "an episode began at some instant"
    so, over = WORDS_OF_SUBJECTS[transition.rule.measure]
    if transition.name == "resolved":
        state_words = f"{over}, after {format_duration(transition.at - transition.episode.since)}"
    else:
        again = {"reminded": "still: ", "unstable": "again and again: "}.get(transition.name, "")
        state_words = f"{again}{so} ({transition.episode.urgency}), since {format_instant(transition.episode.since)}"
    return truncate(
        f"{truncate(subject.program, SHOWN_ID)}: {state_words}" + "".join(f". {reason.words}" for reason in why), MOST
    )


def certainty(reading: Reading) -> str:
    """Return how sure the numbers are, in words; the confidence is the share of the health factors that facts
    support."""
    odds = certainty_of_risk(reading.evidence, calibrated=reading.calibrated)
    return f"confidence {reading.confidence:.2f} of 1; risk {odds}"


def _state_words(transition: Transition, reading: Reading | None) -> str:
    if transition.why == ERASED or reading is None:
        return "was erased, alert closed"
    if transition.why == ENDED:
        return "has ended, alert closed"
    if transition.why == CORRECTED:
        return "was corrected, alert closed"
    words = WORDS[transition.rule.measure][transition.name]
    pressing = "" if transition.name == "resolved" else f" ({transition.episode.urgency})"
    if transition.episode.fall is not None and transition.name != "resolved":
        return f"fell from {transition.episode.fall.peak:.0f} to {reading.health:.0f}{pressing}"
    health = f": health {reading.health:.0f}"
    value = {"health": health, "drawdown": health, "risk": f": risk {reading.risk:.2f}"}
    return f"{words}{value.get(transition.rule.measure, '')}{pressing}"
