"""What to do next: the act that answers the costliest cause of an alert."""

from collections.abc import Mapping

from schemas.alerts import Alert

ACTS: Mapping[str, str] = {
    # Of health.
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
    # Of the chance to fall silent.
    "pace": "Offer to bring the meetings closer together for a while.",
    "elapsed": "Call one of both, whoever answers more easily, and offer two dates for the next meeting.",
    "history": "Help them to their next two meetings: what has just begun needs them most.",
    "missed": "Ask both whether day and time still suit them, and book the meeting anew.",
    "cancelled_late": "Ask both whether day and time still suit them, and book the meeting anew.",
    "goal_stalled": "Ask them to look at their goals together, and to change those that no longer fit.",
    "rating_drop": "Ask both, each alone, what would make the meetings more useful.",
}


def next_act(alert: Alert) -> str:
    """Of what is resolved, or explained by nothing known, what the alert itself says."""
    if alert.transition == "resolved" or not alert.reasons:
        return alert.next_step
    return ACTS.get(alert.reasons[0].name, alert.next_step)
