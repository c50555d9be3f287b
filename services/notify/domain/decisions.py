"""From what happened at a desk to what is written down: the alert event, and a delivery for every channel."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.alerts import Alert, AlertChanged, ChannelName, Delivery, DeliveryChanged, Reading
from schemas.events import partition_key
from schemas.primitives import Instant
from schemas.scores import Score, ScoreRow
from services.notify.domain.evaluation import Transitioned
from services.notify.domain.ids import alert_key, dedup_key, delivery_id
from services.notify.domain.reasons import reasons
from services.notify.domain.wording import next_step, summary

SOURCE = "/rapport/notify"


@dataclass(frozen=True)
class Destination:
    """Where messages go: a channel and whom it reaches there."""

    channel: ChannelName
    recipient: str


def alert_changed(transitioned: Transitioned, decided_at: Instant) -> AlertChanged:
    """The journaled decision. Its id is the same whenever and however often it is decided."""
    watch, alert = transitioned.watch, _alert(transitioned, decided_at)
    trigger = alert.trigger
    return AlertChanged(
        source=SOURCE,
        id=f"{alert.dedup_key}-{alert.transition}",
        type="mentoring.alert.changed.v1",
        time=alert.at,
        recordedtime=decided_at,
        tenant=watch.tenant,
        correlationid=trigger.id if trigger else None,
        data=alert,
        subject=watch.relationship,
        program=watch.program,
        partitionkey=partition_key(watch.tenant, watch.relationship),
    )


def planned(event: AlertChanged, destinations: Sequence[Destination]) -> list[Delivery]:
    """One delivery per destination, or none where the alert says why it is not sent."""
    alert = event.data
    if alert.not_sent is not None:
        return []
    return [
        Delivery(
            delivery_id=delivery_id(alert.dedup_key, alert.transition, to.channel, to.recipient),
            dedup_key=alert.dedup_key,
            transition=alert.transition,
            channel=to.channel,
            recipient=to.recipient,
            state="planned",
            attempt=0,
            planned_at=alert.decided_at,
            due_at=alert.decided_at,
            changed_at=alert.decided_at,
            alert=alert,
            tenant=event.tenant,
            program=event.program,
            relationship=event.subject,
        )
        for to in destinations
    ]


def delivery_changed(delivery: Delivery) -> DeliveryChanged:
    """What became of a delivery, for the audit trail beside its alert."""
    return DeliveryChanged(
        source=SOURCE,
        id=f"{delivery.delivery_id}-{delivery.state}-{delivery.attempt}",
        type="mentoring.delivery.changed.v1",
        time=delivery.changed_at,
        recordedtime=delivery.changed_at,
        tenant=delivery.tenant,
        causationid=f"{delivery.dedup_key}-{delivery.transition}",
        data=delivery,
        subject=delivery.relationship,
        program=delivery.program,
        partitionkey=partition_key(delivery.tenant, delivery.relationship),
    )


def _alert(transitioned: Transitioned, decided_at: Instant) -> Alert:
    watch, turn, row, by_row = transitioned
    key = alert_key(watch.tenant, turn.rule.name, watch.relationship)
    assert row.score is not None, "a row without a score brings nothing about"
    assert turn.of.urgency is not None and turn.of.since is not None, "an episode has begun with an urgency"  # noqa: PT018
    why = reasons(row.score, row.as_of, turn.rule.measure)
    reading = _reading(row, row.score)
    return Alert(
        alert_key=key,
        dedup_key=dedup_key(key, turn.of.episode),
        episode=turn.of.episode,
        rule=turn.rule.name,
        rule_version=turn.rule.version,
        urgency=turn.of.urgency,
        transition=turn.name,
        condition="ok" if turn.name == "resolved" else "firing",
        why=turn.why,
        at=turn.at,
        since=turn.of.since,
        decided_at=decided_at,
        reading=reading,
        trigger=row.trigger if by_row else None,
        reasons=why,
        summary=summary(watch.program, watch.relationship, turn, reading, why),
        next_step=next_step(turn),
        not_sent=turn.not_sent,
    )


def _reading(row: ScoreRow, score: Score) -> Reading:
    return Reading(
        as_of=row.as_of,
        health=score.health,
        band=score.band,
        risk=score.risk,
        calibrated=score.calibrated,
        confidence=score.confidence,
        last_contact=score.last_contact,
    )
