"""Why a score is what it is: the three factors that weigh most, in points and plain words. About the relationship,
never about a person."""

from math import exp, log, log2
from typing import assert_never

from schemas.alerts import Reason
from schemas.primitives import Instant
from schemas.rules import Measure
from schemas.scores import Part, Score
from services.notify.domain.spans import DAY, days

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


def reasons(score: Score, as_of: Instant, measure: Measure) -> tuple[Reason, ...]:
    """At most three, the heaviest first. Of health: the points that each part misses, as negative numbers; over all
    parts they sum to health - 100. Of risk: what each term adds to the log-odds. What no points stand for has none."""
    match measure:
        case "contact":
            return (Reason(name="contact", points=0.0, words=_silence_words(score, as_of)),)
        case "support":
            # What is asked for stays with those who were asked.
            return (Reason(name="support_request", points=0.0, words="an immediate request for support is open"),)
        case "health" | "drawdown":
            found = _of_health(score, as_of)
        case "risk":
            found = _of_risk(score, as_of)
        case "share" | "watermark" | "lag":
            raise ValueError("a score says nothing of a programme or a source")
        case _:
            assert_never(measure)
    heaviest = sorted(found, key=lambda reason: (-abs(reason.points), reason.name))
    return tuple(reason for reason in heaviest if reason.points)[:TOP]


def _of_health(score: Score, as_of: Instant) -> list[Reason]:
    total = sum(part.weight for part in score.parts)
    return [
        Reason(name=part.name, points=_missing(part, total), words=_health_words(part, score, as_of))
        for part in score.parts
    ]


def _missing(part: Part, total_weight: float) -> float:
    full = 100 * part.weight / total_weight if total_weight else 0.0
    return min(0.0, round(part.contribution - full, 1))


def _health_words(part: Part, score: Score, as_of: Instant) -> str:
    if part.name == "rhythm":
        return _rhythm_words(part.value, score.cadence_days)
    if part.name == "silence":
        return _silence_words(score, as_of)
    return HEALTH_WORDS.get(part.name, part.name.replace("_", " "))


def _rhythm_words(value: float, cadence: float) -> str:
    """The factor is 2 ** (1 - age / cadence) beyond one interval: its value tells the age."""
    if not 0 < value < 1:
        return f"meetings have stopped (agreed rhythm: every {days(cadence)})"
    return f"no meeting for {days(cadence * (1 - log2(value)))} (agreed rhythm: every {days(cadence)})"


def _silence_words(score: Score, as_of: Instant) -> str:
    silent = days((as_of - (score.last_contact or score.started)) / DAY)
    heard = "since the start, " if score.last_contact is None else "for "
    return f"no contact {heard}{silent} (agreed rhythm: every {days(score.cadence_days)})"


def _of_risk(score: Score, as_of: Instant) -> list[Reason]:
    return [
        Reason(name=term.name, points=round(term.value, 1), words=_risk_words(term.name, score, as_of))
        for term in score.risk_terms
        if term.value > 0 and term.name != INTERCEPT
    ]


def _risk_words(name: str, score: Score, as_of: Instant) -> str:
    return _silence_words(score, as_of) if name == "silence" else RISK_WORDS.get(name, name.replace("_", " "))


CERTAIN = 1e-9
"""Closer to 0 or 1 no chance is told apart."""


def chance_points(risk: float, log_odds: float) -> float:
    """By how many points of 100 the chance is higher than it would be without the term. Terms do not sum up: each is
    taken away alone."""
    bounded = min(1 - CERTAIN, max(CERTAIN, risk))
    without = 1 / (1 + exp(-(log(bounded / (1 - bounded)) - log_odds)))
    return 100 * (risk - without)
