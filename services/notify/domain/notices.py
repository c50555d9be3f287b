"""Notices about something else than an alert: a test, a destination that is down, a silence that ends, a support
request that was closed. They are deliveries like any other, and leave no event in the audit trail."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from schemas.alerts import Alert, Delivery, TransitionName, Urgency
from schemas.primitives import Id, Instant
from services.notify.domain.deliveries import new_delivery
from services.notify.domain.ids import AlertSubject, alert_key, dedup_key, transition_id
from services.notify.domain.routing import Addressee, deliverable_from

OURS = "rapport"
"""The tenant and programme of notices about no programme."""


class NoticeWords(NamedTuple):
    """The state word of a message, and its headline, which stands alone."""

    word: str
    headline: str
    over: str = ""


NOTICES: Mapping[str, NoticeWords] = {
    "test": NoticeWords("Test", "Rapport reaches you here"),
    "silence_ends": NoticeWords("Soon", "A silence of yours ends within a day"),
    "support_closed": NoticeWords("Closed", "Your request for support was closed"),
    "address_off": NoticeWords("Off", "A mail address is refused for good"),
    "destination_down": NoticeWords("Down", "A destination takes no messages", "A destination takes messages again"),
}


@dataclass(frozen=True)
class NoticeContent:
    """`occasion`: one notice is sent per subject, rule and occasion. `summary` and `next_step` are sentences of at most
    200 characters."""

    rule: str
    subject: Id
    occasion: int
    urgency: Urgency
    summary: str
    next_step: str
    tenant: Id = OURS
    program: Id = OURS


def notice(about: NoticeContent, to: Addressee, now: Instant, transition: TransitionName = "fired") -> Delivery:
    """Return a delivery that is due as soon as people there may be written to."""
    key = alert_key(AlertSubject(about.tenant, "relationship", about.subject, about.program), about.rule)
    alert = Alert(
        alert_key=key,
        dedup_key=dedup_key(key, about.occasion),
        episode=about.occasion,
        rule=about.rule,
        rule_version="1",
        urgency=about.urgency,
        transition=transition,
        condition="ok" if transition == "resolved" else "firing",
        why=NOTICES[about.rule].word,
        at=now,
        since=now,
        decided_at=now,
        reasons=(),
        summary=about.summary[:200],
        next_step=about.next_step[:200],
    )
    event_id = transition_id(alert.dedup_key, alert.seq, transition)
    message = new_delivery(alert, (about.tenant, about.program, about.subject), to.destination, event_id, now)
    return message.model_copy(update={"person": to.person, "due_at": deliverable_from(to.delivery_window, now)})


def is_notice(delivery: Delivery) -> bool:
    return delivery.alert.rule in NOTICES
