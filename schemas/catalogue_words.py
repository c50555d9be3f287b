"""The texts of the event catalogue: what each type and field means, who sends it, and what it affects."""

from collections.abc import Mapping
from typing import NamedTuple


class TypeWords(NamedTuple):
    """`moves`: the factors of the health score that the event can change, and other effects."""

    means: str
    sent_by: str
    moves: str


ADMINISTRATION = "the programme's administration: an HR tool, an imported table or your own code"
CALENDAR = "a calendar or booking tool; otherwise your own code or an imported table"
SURVEY = "a survey tool; otherwise your own code or an imported table"
PLATFORM = "a learning or mentoring platform; otherwise your own code"
NOTHING = "nothing by itself"

GROUPS: Mapping[str, tuple[str, Mapping[str, TypeWords]]] = {
    "relationship": (
        "Who mentors whom, from when to when.",
        {
            "relationship.started": TypeWords(
                "A relationship between a mentor and a mentee, or a group, starts. Send it first: it names the "
                "participants, which events from tools refer to, and how often they intend to meet.",
                ADMINISTRATION,
                "starts every factor; rhythm is measured against `cadence_days`",
            ),
            "relationship.expectations_agreed": TypeWords(
                "Both sides have agreed on what they expect of each other.", PLATFORM, "expectations"
            ),
            "relationship.paused": TypeWords(
                "A pause such as a leave or a holiday begins. Silence during a pause does not count.",
                "an HR feed, from which Rapport derives it; otherwise your own code",
                "freezes every factor until the pause ends",
            ),
            "relationship.resumed": TypeWords("A pause is over.", "as for paused", "unfreezes every factor"),
            "relationship.ended": TypeWords(
                "The relationship has ended, as planned or early.",
                ADMINISTRATION,
                "freezes the score at its last value",
            ),
        },
    ),
    "preparation": (
        "Steps that people take before they meet.",
        {
            "preparation.completed": TypeWords(
                "One side has completed the training, the briefing or the introductory call.", PLATFORM, "expectations"
            )
        },
    ),
    "session": (
        "Meetings that are booked, moved, cancelled, held or missed.",
        {
            "session.scheduled": TypeWords(
                "A meeting is booked.", CALENDAR, "lowers the risk while the meeting is in the future"
            ),
            "session.rescheduled": TypeWords(
                "A booked meeting has moved to another time. This does not count as a cancellation.",
                CALENDAR,
                "as for scheduled, at the new time",
            ),
            "session.cancelled": TypeWords(
                "A booked meeting will not take place. Notice of less than 24 hours counts as late.",
                CALENDAR,
                "reliability",
            ),
            "session.held": TypeWords("A meeting took place.", CALENDAR, "rhythm, reliability, silence"),
            "session.missed": TypeWords("Nobody or only one side came to a booked meeting.", CALENDAR, "reliability"),
            "session.joined": TypeWords(
                "Somebody joined a meeting. After its end Rapport itself concludes whether it was held or missed.",
                "a video tool, through its webhook",
                "as for the concluded held or missed",
            ),
            "session.left": TypeWords("Somebody left a meeting.", "as for joined", "as for joined"),
        },
    ),
    "contact": (
        "Messages and check-ins between meetings, without their content.",
        {
            "message.sent": TypeWords(
                "One side wrote to the other.",
                "a chat tool; otherwise your own code",
                "mutual, responsiveness, silence",
            ),
            "checkin.answered": TypeWords(
                "One side answered a check-in, optionally with a rating.", SURVEY, "feedback, if it has a rating"
            ),
        },
    ),
    "goal": (
        "Goals of the pair and their progress.",
        {
            "goal.set": TypeWords("The pair has agreed on a goal.", PLATFORM, "goals"),
            "goal.revised": TypeWords(
                "The goal has changed. This counts as work on it, never as a penalty.", PLATFORM, "goals"
            ),
            "goal.progressed": TypeWords("Progress towards the goal, in percent.", PLATFORM, "goals"),
            "goal.achieved": TypeWords("The goal is reached.", PLATFORM, "goals"),
            "goal.missed": TypeWords("The due date has passed and the goal is not reached.", PLATFORM, "goals"),
            "goal.abandoned": TypeWords("The pair no longer pursues the goal.", PLATFORM, "goals"),
            "milestone.celebrated": TypeWords("The pair celebrated a milestone.", PLATFORM, "growth"),
        },
    ),
    "feedback": (
        "Ratings of sessions and relationships, and self-reported well-being.",
        {
            "feedback.given": TypeWords("A rating of a session or of the relationship.", SURVEY, "feedback"),
            "fit.rated": TypeWords(
                "One side rates whether the two are a good match.",
                SURVEY,
                "the band: at best strained while either side rates the fit as not good",
            ),
            "pulse.answered": TypeWords(
                "Self-reported well-being, given with consent.", SURVEY, "support, if the mentee reports it"
            ),
        },
    ),
    "growth": (
        "What the participants learn.",
        {
            "reflection.recorded": TypeWords("Somebody recorded a reflection on what they learnt.", PLATFORM, "growth"),
            "skill.assessed": TypeWords("A skill was assessed, before and after.", PLATFORM, "growth"),
            "introduction.made": TypeWords("One side introduced the other to somebody.", PLATFORM, "growth"),
            "resource.shared": TypeWords("One side shared a resource, such as something to read.", PLATFORM, "growth"),
        },
    ),
    "support": (
        "Requests for help and their resolution.",
        {
            "support.requested": TypeWords(
                "The pair asks for help.",
                PLATFORM,
                "the band: at best strained while an immediate request is open; an alert is sent at once",
            ),
            "support.resolved": TypeWords("The request is resolved.", PLATFORM, "lifts the limit on the band"),
        },
    ),
    "control": (
        "Retractions, erasures, and the clock of the log.",
        {
            "event.retracted": TypeWords(
                "An earlier event was wrong. It no longer counts, from its own time on. To correct a fact, retract it "
                "and send the right one under a new id.",
                "the sender of that event",
                "everything that the retracted event affected",
            ),
            "relationship.erased": TypeWords(
                "Everything about the relationship is erased permanently. `rapport ingest erase` sends it, too.",
                "an administrator",
                "removes all scores of the relationship",
            ),
            "clock.reached": TypeWords(
                "The log is complete up to this time, so that silence until then can be scored. Only with "
                "RAPPORT_CLOCK=log; `rapport ingest import --clock-reached` sends it.",
                "an administrator who imports history",
                "everything that depends on time",
            ),
        },
    ),
}

FIELDS: Mapping[str, str] = {
    "by": "who reported or did it",
    "evidence": "how it is known; if several tools report one meeting, the strongest evidence wins",
    "origin": "the original record in the tool",
    "mentors": "ids of the mentors, no names",
    "mentees": "ids of the mentees, no names",
    "kind": "which kind",
    "cadence_days": "the intended number of days between two meetings",
    "planned_end": "the planned last day",
    "coordinator": "the id of the coordinator, who receives the alerts",
    "cohort": "the group that the relationship is compared with",
    "pause_id": "identifies the pause; a `resumed` without it ends all pauses",
    "from": "when the pause begins, if not at `time`",
    "until": "when the pause ends without a further event",
    "reason": "a code such as `leave`",
    "planned": "whether the end was planned",
    "reason_code": "a code such as `moved_away`",
    "initiated_by": "which side ended it",
    "session_id": "identifies the meeting in all its events",
    "starts_at": "the booked start, in the past or the future",
    "ends_at": "the booked end, after `starts_at`",
    "started_at": "the actual start; not in the future",
    "minutes": "the duration of the meeting",
    "notice_hours": "how many hours before its start it was cancelled",
    "absent": "who did not come",
    "role": "which side; `unidentified` if unknown",
    "channel": "a code such as `slack`",
    "reply_to": "the event id of the message that it answers; the response time counts",
    "rating": "the rating, higher is better",
    "goal_id": "identifies the goal in all its events",
    "smart": "five flags, all or none: specific, measurable, achievable, relevant, time_bound",
    "due": "the due date",
    "percent": "the progress",
    "scale_min": "the worst rating of the scale",
    "scale_max": "the best rating of the scale",
    "about": "what is rated",
    "fit": "`good`, `undecided` or `not_good`",
    "skill": "a code such as `public_speaking`",
    "before": "the level before the mentoring",
    "after": "the level now",
    "request_id": "identifies the request, also in `resolved`",
    "priority": "`immediate` alerts at once",
    "topic": "a code such as `conflict`",
    "source": "the source of the retracted event",
    "id": "the id of the retracted event",
    "type": "the type of the retracted event",
    "time": "the time of the retracted event, to the microsecond; of a clock: up to when the log is complete",
    "slot": "the side, the goal's id, `late` for a late cancellation, otherwise empty",
}
