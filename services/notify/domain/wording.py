"""What a person reads first: one sentence whose first 80 characters stand alone, and what to do next.
About the relationship, never blame, and never that somebody will quit."""

from schemas.alerts import Reading, Reason, TransitionName, Urgency
from services.notify.domain.lifecycle import ENDED, Transition
from services.notify.domain.spans import instant, span

SHOWN_ID = 20
"""Characters of an id that a sentence has room for; the whole ids stand beside it."""
MOST = 200
"""Characters of a sentence, as the schema admits."""
NEXT_STEPS = {
    "health_low": "Ask both sides how it is going and help them to agree on the next meeting.",
    "disengaging": "Call the mentor or the mentee, whoever answers more easily, and offer two dates.",
}
NOTHING_TO_DO = "Nothing: this is good news."
ENDED_STEP = "Nothing: the relationship has ended."


def summary(program: str, relationship: str, transition: Transition, reading: Reading, why: tuple[Reason, ...]) -> str:
    """`spruce: pair 4F2, health 38, low for 24 h. Mostly: no meeting for 33 days ... -19.4. P3`"""
    subject = f"{_short(program)}: pair {_short(relationship)}"
    begun = transition.of.since
    assert begun is not None, "an episode began at some instant"
    told = _told(transition, reading)
    lasting = f"since {instant(begun)}" if transition.name != "resolved" else f"after {span(transition.at - begun)}"
    mostly = "; ".join(f"{reason.words} {reason.points:+g}" for reason in why[:1])
    because = f". Mostly: {mostly}" if mostly and transition.name != "resolved" else ""
    return _cut(f"{subject} {told}, {lasting}{because}")


def next_step(transition: Transition) -> str:
    if transition.name == "resolved":
        return ENDED_STEP if transition.why == ENDED else NOTHING_TO_DO
    return NEXT_STEPS.get(transition.rule.name, "Look at the relationship and ask whether it needs anything.")


def certainty(reading: Reading) -> str:
    """How sure the numbers are, in words; the confidence is the share of the health factors that facts carry."""
    odds = "calibrated on this organisation's history" if reading.calibrated else "uncalibrated: general defaults"
    return f"confidence {reading.confidence:.2f} of 1; risk {odds}"


def _told(transition: Transition, reading: Reading) -> str:
    health = transition.rule.measure == "health"
    value = f"health {reading.health:.0f}" if health else f"risk {reading.risk:.2f}"
    if transition.why == ENDED:
        return "has ended, alert closed"
    words: dict[tuple[TransitionName, bool], str] = {
        ("fired", True): f"is strained: {value}",
        ("escalated", True): f"got worse: {value}",
        ("resolved", True): f"is better: {value}",
        ("fired", False): f"is going quiet: {value}",
        ("escalated", False): f"is quieter still: {value}",
        ("resolved", False): f"is in touch again: {value}",
    }
    return words[transition.name, health] + _pressing(transition.of.urgency, transition.name)


def _pressing(urgency: Urgency | None, name: TransitionName) -> str:
    return f" ({urgency})" if name != "resolved" else ""


def _short(name: str) -> str:
    return name if len(name) <= SHOWN_ID else f"{name[: SHOWN_ID - 1]}…"


def _cut(text: str) -> str:
    return text if len(text) <= MOST else f"{text[: MOST - 1]}…"
