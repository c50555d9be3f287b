"""Builds the records of a transition: the alert event, and a delivery for every destination."""

from collections.abc import Sequence
from typing import NamedTuple

from schemas.alert_commands import AlertCommand
from schemas.alerts import (
    Alert,
    AlertAct,
    AlertChanged,
    AlertHandled,
    Delivery,
    DeliveryChanged,
    Handling,
    InputOffset,
    Reading,
    Reason,
)
from schemas.events import partition_key
from schemas.primitives import Instant
from schemas.scores import Trigger
from services.notify.domain.deliveries import new_delivery
from services.notify.domain.evaluation import Transitioned
from services.notify.domain.handling import UNTOUCHED
from services.notify.domain.ids import AlertSubject, Destination, alert_key, dedup_key, transition_id
from services.notify.domain.lifecycle import ERASED, Transition
from services.notify.domain.subjects import SubjectTransitioned, SubjectWatch
from services.notify.domain.watch import Watch
from services.notify.domain.wording import next_step, reasons, subject_summary, summary

SOURCE = "/rapport/notify"
LONGEST_COMMAND_ID = 160
"""Together with the key of the episode it makes an id within the limit of events."""


class AlertGrounds(NamedTuple):
    """The evidence of an alert, and its wording."""

    reasons: tuple[Reason, ...]
    summary: str
    reading: Reading | None = None
    trigger: Trigger | None = None
    inputs: tuple[InputOffset, ...] = ()


def alert_changed(
    transitioned: Transitioned, decided_at: Instant, inputs: tuple[InputOffset, ...] = ()
) -> AlertChanged:
    """Return the event of a transition as it enters the pipeline. Its id is the same whenever and however often it is
    decided."""
    watch, transition, row, by_row = transitioned
    assert row.score is not None or transition.why == ERASED, "a row without a score brings nothing else about"
    callers = watch.calls.values()
    why = reasons(row.score, row.as_of, transition.rule.measure, callers) if row.score else ()
    reading = None
    if (score := row.score) is not None:
        reading = Reading(
            as_of=row.as_of,
            health=score.health,
            band=score.band,
            risk=score.risk,
            calibrated=score.calibrated,
            evidence=score.evidence,
            confidence=score.confidence,
            last_contact=score.last_contact,
        )
    words = summary(watch.subject, transition, reading, why)
    trigger = row.trigger if by_row else None
    grounds = AlertGrounds(why, words, reading, trigger, inputs)
    return _changed(watch.subject, transition, decided_at, grounds)


def subject_alert_changed(found: SubjectTransitioned, decided_at: Instant) -> AlertChanged:
    """Return the event of a programme or a source: it has no reading, and names itself as its subject."""
    watch, transition, why = found
    return _changed(
        watch.subject, transition, decided_at, AlertGrounds(why, subject_summary(watch.subject, transition, why))
    )


def plan_deliveries(event: AlertChanged, destinations: Sequence[Destination]) -> list[Delivery]:
    """Return one delivery per destination."""
    about = (event.tenant, event.program, event.subject)
    return [new_delivery(event.data, about, to, event.id, event.data.decided_at) for to in destinations]


def alert_handled(
    watch: Watch | SubjectWatch,
    command: AlertCommand,
    result: Handling | str,
    decided_at: Instant,
    inputs: tuple[InputOffset, ...] = (),
) -> AlertHandled:
    """Return the audit event of an act: the handling after it, or why it was refused. `inputs`: its record, and the
    scores before it."""
    assert command.alert is not None, "it is an act on an alert"
    subject, alert, act = watch.subject, command.alert, command.act
    before = watch.handling.get(alert.rule, UNTOUCHED)
    return AlertHandled(
        source=SOURCE,
        id=f"{alert.dedup_key}-{command.id[:LONGEST_COMMAND_ID]}",
        type="mentoring.alert.handled.v1",
        time=command.at,
        recordedtime=decided_at,
        tenant=subject.tenant,
        causationid=command.id,
        data=AlertAct(
            alert_key=alert_key(subject, alert.rule),
            dedup_key=alert.dedup_key,
            rule=alert.rule,
            act=act.kind,
            by=command.by,
            at=command.at,
            decided_at=decided_at,
            handling=before if isinstance(result, str) else result,
            verdict=("useful" if act.useful else "not_useful") if act.kind == "vote" else None,
            closing=act.reason if act.kind == "vote" else None,
            refused=result if isinstance(result, str) else None,
            inputs=inputs,
        ),
        subject=subject.id,
        program=subject.program,
        partitionkey=subject.key,
    )


def delivery_changed(delivery: Delivery) -> DeliveryChanged:
    """Return the audit event of a delivery: without names, persons and digests of addresses, which can be guessed."""
    return DeliveryChanged(
        source=SOURCE,
        id=f"{delivery.delivery_id}-{delivery.state}-{delivery.attempt}",
        type="mentoring.delivery.changed.v1",
        time=delivery.changed_at,
        recordedtime=delivery.changed_at,
        tenant=delivery.tenant,
        causationid=transition_id(delivery.dedup_key, delivery.alert.seq, delivery.transition),
        data=delivery.model_copy(update={"body": None, "people": (), "person": None, "address": None}),
        subject=delivery.relationship,
        program=delivery.program,
        partitionkey=partition_key(delivery.tenant, delivery.relationship),
    )


def _changed(subject: AlertSubject, transition: Transition, decided_at: Instant, grounds: AlertGrounds) -> AlertChanged:
    key = alert_key(subject, transition.rule.name)
    episode = transition.episode
    assert episode.urgency is not None and episode.since is not None, "an episode has begun with an urgency"  # noqa: PT018
    alert = Alert(
        alert_key=key,
        dedup_key=dedup_key(key, episode.episode),
        episode=episode.episode,
        seq=episode.seq,
        subject_kind=subject.kind,
        rule=transition.rule.name,
        rule_version=transition.rule.version,
        urgency=episode.urgency,
        transition=transition.name,
        condition="ok" if transition.name == "resolved" else "firing",
        why=transition.why,
        at=transition.at,
        since=episode.since,
        decided_at=decided_at,
        reading=grounds.reading,
        trigger=grounds.trigger,
        reasons=grounds.reasons,
        summary=grounds.summary,
        next_step=next_step(transition),
        inputs=grounds.inputs,
    )
    return AlertChanged(
        source=SOURCE,
        id=transition_id(alert.dedup_key, alert.seq, alert.transition),
        type="mentoring.alert.changed.v1",
        time=alert.at,
        recordedtime=decided_at,
        tenant=subject.tenant,
        correlationid=alert.trigger.id if alert.trigger else None,
        data=alert,
        subject=subject.id,
        program=subject.program,
        partitionkey=subject.key,
    )
