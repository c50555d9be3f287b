"""An event of PagerDuty. Like a webhook it is read by machines and kept elsewhere: it holds ids and no names."""

import json
from collections.abc import Mapping

from schemas.alerts import Alert, Delivery, Urgency
from services.notify.domain.wording import certainty
from services.notify.rendering.alert_text import cut
from services.notify.rendering.webhook import filled

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


def incident(delivery: Delivery, link: str | None) -> str:
    """The event without its routing key, which is a secret: the channel adds it."""
    alert = delivery.alert
    url = filled(link, delivery.tenant, delivery.program, delivery.relationship) if link else None
    event = {
        "event_action": ACTIONS[alert.transition],
        "dedup_key": delivery.dedup_key[:LONGEST_KEY],
        "client": "Rapport",
        "payload": {
            "summary": cut(alert.summary, LONGEST_SUMMARY),
            "source": f"{delivery.tenant}/{delivery.relationship}",
            "severity": SEVERITIES[alert.urgency],
            "timestamp": alert.at.isoformat(),
            "component": delivery.program,
            "group": delivery.tenant,
            "class": alert.rule,
            "custom_details": _details(alert, delivery),
        },
        **({"links": [{"href": url, "text": "Relationship"}]} if url else {}),
    }
    return json.dumps(event, ensure_ascii=False)


def _details(alert: Alert, delivery: Delivery) -> dict[str, object]:
    return {
        "why": [reason.words for reason in alert.reasons],
        "next": alert.next_step,
        "how_sure": certainty(alert.reading) if alert.reading else "",
        "also": [item.alert.summary for item in delivery.items],
        "more": delivery.more,
    }
