"""What stands in the catalogue beside each type and field: what it means, who sends it, what it moves."""

from collections.abc import Mapping
from typing import NamedTuple


class TypeWords(NamedTuple):
    """`moves`: the factors of health that such an event may change, and what else."""

    means: str
    sent_by: str
    moves: str


ADMINISTRATION = "the programme's administration: an HR tool, a table, your own code"
CALENDAR = "a calendar or booking tool; else your own code or a table"
SURVEY = "a survey tool; else your own code or a table"
PLATFORM = "a learning or mentoring platform; else your own code"
NOTHING = "nothing by itself"

GROUPS: Mapping[str, tuple[str, Mapping[str, TypeWords]]] = {
    "relationship": (
        "Who mentors whom, from when to when.",
        {
            "relationship.started": TypeWords(
                "A mentor and a mentee, or a group, begin. Send it first: it says who the people are, which tools' "
                "events about people need, and how often the pair means to meet.",
                ADMINISTRATION,
                "the clock of every factor begins; `cadence_days` is what rhythm is measured by",
            ),
            "relationship.expectations_agreed": TypeWords(
                "Both have agreed on what they expect of each other.", PLATFORM, "expectations"
            ),
            "relationship.paused": TypeWords(
                "A leave, a holiday: until it ends no silence counts.",
                "an HR feed, which says it by itself; else your own code",
                "every factor stands still meanwhile",
            ),
            "relationship.resumed": TypeWords("A pause is over.", "as paused", "every factor goes on"),
            "relationship.ended": TypeWords(
                "The relationship is over, as planned or not.", ADMINISTRATION, "the last score stays"
            ),
        },
    ),
    "preparation": (
        "What people do before they meet.",
        {
            "preparation.completed": TypeWords(
                "One of them has taken the training, the briefing or the call.", PLATFORM, "expectations"
            )
        },
    ),
    "session": (
        "Meetings: booked, moved, held, missed.",
        {
            "session.scheduled": TypeWords("A meeting is booked.", CALENDAR, "lowers the risk while it lies ahead"),
            "session.rescheduled": TypeWords(
                "A booked meeting has moved; it is no cancellation.", CALENDAR, "as scheduled, at its new time"
            ),
            "session.cancelled": TypeWords(
                "A booked meeting will not take place. Less than 24 hours of notice count as late.",
                CALENDAR,
                "reliability",
            ),
            "session.held": TypeWords("They have met.", CALENDAR, "rhythm, reliability, silence"),
            "session.missed": TypeWords("A booked meeting had nobody, or one side.", CALENDAR, "reliability"),
            "session.joined": TypeWords(
                "Somebody came into a meeting. When it is over, Rapport itself says whether it was held or missed.",
                "a video tool; its webhook is enough",
                "what it is concluded to: held or missed",
            ),
            "session.left": TypeWords("Somebody left a meeting.", "as joined", "as joined"),
        },
    ),
    "contact": (
        "What is written and answered between meetings; never what it says.",
        {
            "message.sent": TypeWords(
                "One wrote to the other.", "a chat tool; else your own code", "mutual, responsiveness, silence"
            ),
            "checkin.answered": TypeWords(
                "One answered how it goes, perhaps with a rating.", SURVEY, "feedback, where it has a rating"
            ),
        },
    ),
    "goal": (
        "What they want to reach, and how far they are.",
        {
            "goal.set": TypeWords("They have agreed on a goal.", PLATFORM, "goals"),
            "goal.revised": TypeWords("The goal is another one now; that is work, never a penalty.", PLATFORM, "goals"),
            "goal.progressed": TypeWords("So much of it is done.", PLATFORM, "goals"),
            "goal.achieved": TypeWords("It is reached.", PLATFORM, "goals"),
            "goal.missed": TypeWords("Its day has passed without it.", PLATFORM, "goals"),
            "goal.abandoned": TypeWords("They do not pursue it any more.", PLATFORM, "goals"),
            "milestone.celebrated": TypeWords("They celebrated what they reached.", PLATFORM, "growth"),
        },
    ),
    "feedback": (
        "What each says of the other, and of how they are.",
        {
            "feedback.given": TypeWords("A rating of a session or of the relationship.", SURVEY, "feedback"),
            "fit.rated": TypeWords(
                "Whether the two fit.", SURVEY, "the band: while a side finds the fit not good it is strained at best"
            ),
            "pulse.answered": TypeWords(
                "How somebody is, said by themselves and with consent.", SURVEY, "support, where the mentee says it"
            ),
        },
    ),
    "growth": (
        "What both learn.",
        {
            "reflection.recorded": TypeWords("Somebody wrote down what they learnt.", PLATFORM, "growth"),
            "skill.assessed": TypeWords("A skill, before and after.", PLATFORM, "growth"),
            "introduction.made": TypeWords("One brought the other together with somebody.", PLATFORM, "growth"),
            "resource.shared": TypeWords("One gave the other something to read or use.", PLATFORM, "growth"),
        },
    ),
    "support": (
        "When somebody needs help.",
        {
            "support.requested": TypeWords(
                "A pair asks for help.",
                PLATFORM,
                "the band: while an immediate request is open it is strained at best; people are told at once",
            ),
            "support.resolved": TypeWords("The request is dealt with.", PLATFORM, "the band is free again"),
        },
    ),
    "control": (
        "Corrections, erasure, and the log's own clock.",
        {
            "event.retracted": TypeWords(
                "What an earlier event said is not so: it counts no more, from its own time on. To correct a fact, "
                "retract it and send the right one under a new id.",
                "whoever sent that event",
                "whatever that event moved",
            ),
            "relationship.erased": TypeWords(
                "Everything about the relationship is forgotten, for good. `rapport ingest erase` says it, too.",
                "an administrator",
                "all of it goes away",
            ),
            "clock.reached": TypeWords(
                "The log is complete up to this time: silence until then may be judged. Only where RAPPORT_CLOCK=log; "
                "`rapport ingest import --clock-reached` says it.",
                "an administrator who imports a past",
                "all that time moves",
            ),
        },
    ),
}

FIELDS: Mapping[str, str] = {
    "by": "who said or did it",
    "evidence": "how it is known; of several tools that tell of one meeting the strongest wins",
    "origin": "where a tool keeps the original",
    "mentors": "ids of people, no names",
    "mentees": "likewise",
    "kind": "of which kind",
    "cadence_days": "how many days are to lie between two meetings",
    "planned_end": "its last day",
    "coordinator": "who looks after the pair; alerts go there",
    "cohort": "with whom it is compared",
    "pause_id": "names the pause; resumed without it ends all",
    "from": "when the pause begins, if not at `time`",
    "until": "when it ends by itself",
    "reason": "a code such as `leave`",
    "planned": "whether it was to end now",
    "reason_code": "a code such as `moved_away`",
    "initiated_by": "who ended it",
    "session_id": "names the meeting, the same in all events about it",
    "starts_at": "its booked begin, in the past or ahead",
    "ends_at": "its booked end, after `starts_at`",
    "started_at": "when they began; it may not lie ahead",
    "minutes": "how long they met",
    "notice_hours": "how long before its begin it was cancelled",
    "absent": "who did not come",
    "role": "which side; `unidentified` where nobody knows",
    "channel": "a code such as `slack`",
    "reply_to": "the id of the event of the message that it answers: how soon is what counts",
    "rating": "how good",
    "goal_id": "names the goal, the same in all events about it",
    "smart": "five flags, all or none: specific, measurable, achievable, relevant, time_bound",
    "due": "by which day",
    "percent": "how much is done",
    "scale_min": "the worst rating of the scale",
    "scale_max": "the best rating of the scale",
    "about": "what is rated",
    "fit": "good, undecided or not_good",
    "skill": "a code such as `public_speaking`",
    "before": "before the mentoring",
    "after": "now",
    "request_id": "names the request; resolved with the same",
    "priority": "`immediate` is told at once",
    "topic": "a code such as `conflict`",
    "source": "of the event that is retracted",
    "id": "of the event that is retracted",
    "type": "of the event that is retracted",
    "time": "of the event that is retracted, to the microsecond; of a clock: up to when the log is complete",
    "slot": "its side, its goal's id, `late` for a late cancellation, else nothing",
}
