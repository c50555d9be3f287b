"""A small history whose results can be counted by hand, inserted without a log, with a tenant of its own."""

import itertools
from collections.abc import Container, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

from prometheus_client import CollectorRegistry

from schemas import payloads as p
from schemas.alerts import DeliveryItem, Handling
from schemas.events import MENTORING_EVENT, CloudEvent, MentoringEvent, RelationshipEvent, to_json, type_of
from schemas.programs import Programme, Source
from services.runtime.clickhouse import ClickHouse
from services.runtime.kafka import Partition, Record
from services.runtime.partition_buffer import Batch
from services.runtime.unexpected import Breaker
from services.warehouse.domain.record import RecordMetadata
from services.warehouse.domain.sorting import sort_outcomes
from services.warehouse.domain.target import (
    ALERT_LOG,
    EVENT_LOG,
    PROGRAM_TARGET,
    SCORE_HISTORY,
    TABLES,
    Target,
)
from services.warehouse.flow.store import Meters, Store
from tests.warehouse.samples import alert, band, changed, delivery, envelope, handled, retracted, row, score

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
"""A Monday."""
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MODELS = {type_of(model): model for model in get_args(MentoringEvent)}
MENTOR, MENTEE = {"by": "mentor"}, {"by": "mentee"}


def put(
    clickhouse: ClickHouse,
    target: Target,
    values: Sequence[bytes],
    key: bytes = b"",
    tables: Container[str] = frozenset(TABLES),
) -> int:
    """Store records as the sink stores one batch of a topic; offsets continue from call to call. Return the first
    offset. `tables`: restricts the tables that are written."""
    records = [Record("told", 0, next(OFFSETS), key, value, (), 0) for value in values]
    outcomes = [(r.offset, target.read(r.value or b"", RecordMetadata(0, r.offset, key=key))) for r in records]
    found = sort_outcomes(outcomes)
    assert not found.refused, found.refused
    blocks = [block for block in found.blocks if block.table in tables]
    Store([clickhouse], Breaker(), Meters(CollectorRegistry())).put(Batch(Partition("told", 0), records), blocks)
    return records[0].offset


OFFSETS = itertools.count()


def event(what: str, day: float, pair: str, tenant: str, **data: object) -> RelationshipEvent[Any, Any]:
    """An event that was recorded two seconds after it happened."""
    at = BEGIN + day * DAY
    about = envelope(what, at, pair, tenant)
    about |= {"id": data.pop("id", about["id"]), "recordedtime": data.pop("recorded", about["recordedtime"])}
    model = MODELS[f"mentoring.{what}.v1"]
    told = model(**about, data=model.model_fields["data"].annotation(**data))
    read: Any = MENTORING_EVENT.validate_json(to_json(told))  # as it comes from the log
    assert isinstance(read, RelationshipEvent)
    return read


def events(tenant: str) -> Iterator[RelationshipEvent[Any, Any]]:
    """A goes well, b ends early, c has no start event; a and b have the same mentor."""

    def told(what: str, day: float, pair: str, **data: object) -> RelationshipEvent[Any, Any]:
        return event(what, day, pair, tenant, **data)

    smart = p.Smart(specific=True, measurable=True, achievable=True, relevant=True, time_bound=False)
    yield told("relationship.started", 0, "a", mentors=("p-m",), mentees=("p-1",), cohort="c-1", coordinator="p-9")
    yield told("relationship.expectations_agreed", 3, "a")
    yield told("preparation.completed", 4, "a", kind="training", **MENTOR)
    yield told("preparation.completed", 5, "a", kind="briefing", **MENTEE)
    yield told("session.scheduled", 6, "a", session_id="s", starts_at=at(7), ends_at=at(7) + HOUR)
    yield told("session.held", 7, "a", session_id="s", started_at=at(7), minutes=60.0)
    yield told("message.sent", 8, "a", channel="chat", id="q", **MENTEE)
    yield told("message.sent", 8.25, "a", channel="chat", reply_to="q", **MENTOR)
    yield told("goal.set", 9, "a", goal_id="g", smart=smart)
    yield told("goal.revised", 12, "a", goal_id="g")
    yield told("goal.achieved", 40, "a", goal_id="g")
    yield told("milestone.celebrated", 41, "a", goal_id="g")
    yield told("feedback.given", 10, "a", rating=4.0, about="session", **MENTOR)
    yield told("feedback.given", 10, "a", rating=5.0, about="session", id="f", **MENTEE)
    yield told("skill.assessed", 45, "a", skill="decision_making", before=2, after=4, **MENTEE)
    yield told("skill.assessed", 45, "a", skill="listening", before=3, after=4, id="k", **MENTOR)
    yield told("introduction.made", 46, "a", **MENTOR)
    yield told("resource.shared", 47, "a", **MENTOR)
    yield told("reflection.recorded", 48, "a", **MENTOR)
    yield told("relationship.started", 0, "b", mentors=("p-m",), mentees=("p-2",), cohort="c-1")
    yield told("session.held", 21, "b", session_id="t", started_at=at(21))
    yield told("session.cancelled", 32, "b", session_id="u")
    yield told("support.requested", 33, "b", request_id="r", priority="normal", topic="workload")
    yield told("relationship.ended", 35, "b", planned=False, reason_code="no_time", initiated_by="mentee")
    yield told("relationship.started", 0, "d", mentors=("p-m",), mentees=("p-3",))
    yield told("session.held", 2, "c", session_id="v", started_at=at(2), recorded=at(5))
    wrong = told("session.held", 3, "c", session_id="w", started_at=at(3))
    yield from (wrong, retracted(wrong, "c", tenant))


def at(day: float) -> datetime:
    return BEGIN + day * DAY


def known_by(pair: str, day: float, tenant: str, first: int) -> int:
    """Return the position of the pair's last event that was recorded by then."""
    log = enumerate(events(tenant), first)
    return max((n for n, told in log if told.subject == pair and told.recordedtime <= at(day)), default=0)


def scores(tenant: str, first: int) -> Iterator[CloudEvent[Any, Any]]:
    """Rows of midnights; a falls from 80 to 60 in February, b from 50 to 20, c stays at 40, d is at 30."""
    for day, pair, health, risk, status in (
        (1, "a", 80.0, 0.1, "active"),
        (1, "b", 50.0, 0.3, "active"),
        (1, "c", 40.0, 0.5, "active"),
        (3, "a", 80.0, 0.1, "active"),
        (3, "c", 40.0, 0.5, "active"),
        (9, "a", 80.0, 0.1, "active"),
        (34, "b", 20.0, 0.8, "active"),
        (35, "b", 20.0, 0.8, "ended"),
        (50, "a", 60.0, 0.75, "active"),
        (50, "c", 40.0, 0.8, "active"),
        (50, "d", 30.0, 0.9, "active"),
    ):
        contact = at(8.25) if pair == "a" and day > 9 else at(2) if pair == "c" and day > 2 else None
        said = score(health, risk, band=band(health), status=status, before=None, started=BEGIN, last_contact=contact)
        yield changed(row(at(day), known_by(pair, day, tenant, first), score=said, trigger=None), pair, tenant)


def programme(tenant: str) -> Programme:
    return Programme(
        id="spruce",
        tenant=tenant,
        time_zone="America/New_York",
        coordinator="p-8",
        sources=(Source(source="zoom", interval_hours=24),),
        recordedtime=BEGIN,
    )


def tell(clickhouse: ClickHouse, tenant: str) -> None:
    first = put(clickhouse, EVENT_LOG, [to_json(one) for one in events(tenant)])
    put(clickhouse, SCORE_HISTORY, [to_json(one) for one in scores(tenant, first)])
    put(clickhouse, ALERT_LOG, [to_json(one) for one in alerts(tenant)])
    put(clickhouse, PROGRAM_TARGET, [programme(tenant).model_dump_json().encode()], f"{tenant}/spruce".encode())


def alerts(tenant: str) -> Iterator[CloudEvent[Any, Any]]:
    """An alert about b that people acknowledged, a withdrawn one about a, and one about the whole programme that is
    listed in the same message."""
    fired = alert(at(33), "b", tenant)
    whole = alert(
        at(33),
        "spruce",
        tenant,
        subject_kind="programme",
        rule="programme_shift",
        dedup_key=f"{'b' * 32}-1",
        reading=None,
    )
    yield from (fired, whole, alert(at(35), "b", tenant, transition="resolved"))
    yield handled(fired, "acknowledge", at(33) + 2 * HOUR, handling=Handling(state="acknowledged", until=at(36)))
    yield handled(fired, "snooze", at(33) + 3 * HOUR, refused="the alert is closed")
    yield handled(fired, "vote", at(34), verdict="not_useful", closing="knew")
    yield handled(fired, "vote", at(35), verdict="useful", closing="acted")
    yield handled(whole, "vote", at(35), verdict="not_useful", closing="data_wrong")
    never = {"rule": "disengaging", "dedup_key": f"{'c' * 32}-1"}
    yield alert(at(30), "a", tenant, **never)
    yield alert(at(31), "a", tenant, transition="resolved", why="corrected: it was never so", **never)
    told = delivery("b", tenant, items=(DeliveryItem(program="spruce", relationship="spruce", alert=whole.data),))
    sent = {"planned_at": at(33), "changed_at": at(33) + 5 * HOUR / 60}
    yield told.model_copy(update={"data": told.data.model_copy(update=sent)})


def day_of(days: int) -> date:
    return (BEGIN + days * DAY).date()
