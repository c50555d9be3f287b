"""The bodies for machines: webhooks, and PagerDuty events. Both hold ids and no names."""

import json
from collections.abc import Mapping

from schemas.alerts import Delivery, DeliveryItem, Hash, Reading, Reason, TransitionName, Urgency
from schemas.primitives import Count, Id, Instant, Message
from services.notify.domain.wording import certainty, truncate, without_callers


class IncludedAlert(Message):
    """A further alert in the same message."""

    dedup_key: str
    rule: str
    urgency: Urgency
    transition: TransitionName
    program: Id
    relationship: Id
    summary: str
    since: Instant


class AlertMessage(Message):
    """`dedup_key` identifies the episode: its fired, escalated and resolved messages share it. `at` and `since` are
    event time, `decided_at` is wall time. `also` and `more`: further late alerts in the message, and how many are only
    counted."""

    dedup_key: str
    alert_key: Hash
    rule: str
    rule_version: str
    urgency: Urgency
    transition: TransitionName
    tenant: Id
    program: Id
    relationship: Id
    summary: str
    why: str
    reasons: tuple[Reason, ...]
    next_step: str
    how_sure: str
    at: Instant
    since: Instant
    decided_at: Instant
    reading: Reading | None
    links: Mapping[str, str]
    also: tuple[IncludedAlert, ...] = ()
    more: Count = 0


class WebhookMessage(Message):
    """Standard Webhooks: type, timestamp, data."""

    type: str
    timestamp: Instant
    data: AlertMessage


def webhook_body(delivery: Delivery, link: str | None) -> str:
    alert, url = delivery.alert, _link_of(delivery, link)
    message = WebhookMessage(
        type=f"mentoring.alert.{alert.transition}",
        timestamp=alert.at,
        data=AlertMessage(
            dedup_key=alert.dedup_key,
            alert_key=alert.alert_key,
            rule=alert.rule,
            rule_version=alert.rule_version,
            urgency=alert.urgency,
            transition=alert.transition,
            tenant=delivery.tenant,
            program=delivery.program,
            relationship=delivery.relationship,
            summary=alert.summary,
            why=alert.why,
            reasons=without_callers(alert.reasons),
            next_step=alert.next_step,
            how_sure=certainty(alert.reading) if alert.reading else "",
            at=alert.at,
            since=alert.since,
            decided_at=alert.decided_at,
            reading=alert.reading,
            links={} if url is None else {"relationship": url},
            also=tuple(map(_included, delivery.items)),
            more=delivery.more,
        ),
    )
    return message.model_dump_json()


def fill_link(link: str, tenant: str, program: str, relationship: str) -> str:
    """Fill the link. Raises KeyError for an unknown name in braces."""
    return link.format_map({"tenant": tenant, "program": program, "relationship": relationship})


def _link_of(delivery: Delivery, link: str | None) -> str | None:
    return fill_link(link, delivery.tenant, delivery.program, delivery.relationship) if link else None


def _included(item: DeliveryItem) -> IncludedAlert:
    alert = item.alert
    return IncludedAlert(
        dedup_key=alert.dedup_key,
        rule=alert.rule,
        urgency=alert.urgency,
        transition=alert.transition,
        program=item.program,
        relationship=item.relationship,
        summary=alert.summary,
        since=alert.since,
    )


LONGEST_SUMMARY, LONGEST_KEY = 1_024, 255
SEVERITIES: Mapping[Urgency, str] = {"P1": "critical", "P2": "error", "P3": "warning"}
ACTIONS: Mapping[str, str] = {
    "fired": "trigger",
    # With the key of an open incident it is appended to that.
    "escalated": "trigger",
    "reminded": "trigger",
    "unstable": "trigger",
    "acknowledged": "acknowledge",
    "resolved": "resolve",
}


def pagerduty_event(delivery: Delivery, link: str | None) -> str:
    """Return the event without its routing key, which is a secret: the channel adds it."""
    alert = delivery.alert
    url = _link_of(delivery, link)
    event = {
        "event_action": ACTIONS[alert.transition],
        "dedup_key": delivery.dedup_key[:LONGEST_KEY],
        "client": "Rapport",
        "payload": {
            "summary": truncate(alert.summary, LONGEST_SUMMARY),
            "source": f"{delivery.tenant}/{delivery.relationship}",
            "severity": SEVERITIES[alert.urgency],
            "timestamp": alert.at.isoformat(),
            "component": delivery.program,
            "group": delivery.tenant,
            "class": alert.rule,
            "custom_details": {
                "why": [reason.words for reason in without_callers(alert.reasons)],
                "next": alert.next_step,
                "how_sure": certainty(alert.reading) if alert.reading else "",
                "also": [item.alert.summary for item in delivery.items],
                "more": delivery.more,
            },
        },
        **({"links": [{"href": url, "text": "Relationship"}]} if url else {}),
    }
    return json.dumps(event, ensure_ascii=False)
