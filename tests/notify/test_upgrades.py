"""What older versions have written is read and upgraded."""

import json

from schemas.alerts import ALERT_EVENT, Alert, Delivery
from schemas.rules import RULES
from services.notify.domain import record
from services.notify.domain.evaluation import Evaluator
from services.notify.domain.guards import ScoredBy
from services.notify.domain.ids import AlertSubject
from services.notify.domain.lifecycle import RuleState
from services.notify.domain.outbox import decision_order
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.record import WatchRecord
from tests.notify.building import Pair, clock, day, decide
from tests.schemas.golden import example

FIRING = {"condition": "firing", "since": "2024-05-01T00:00:00Z", "episode": 2, "urgency": "P3", "told": True}
ROW = ["2024-05-01T00:00:00Z", 1, False, ["active", 30.0, 0.1, 0.6]]
WATCH_1 = {
    "kind": "watch.1",
    "watch": {
        "tenant": "acme",
        "relationship": "4F2",
        "program": "spruce",
        "window": [ROW],
        "mark": [1, "2024-05-01T00:00:00Z"],
        "reached": "2024-05-02T00:00:00Z",
        "shown": None,
        "rules": {"health_low": FIRING, "disengaging": {"episode": 1}},
    },
}


def upgraded() -> WatchRecord:
    found = record.load(json.dumps(WATCH_1).encode())
    assert isinstance(found, WatchRecord)
    return found


def test_a_state_of_a_relationship_becomes_one_of_a_subject() -> None:
    watch = upgraded().watch

    assert watch.subject == AlertSubject("acme", "relationship", "4F2", "spruce")
    assert watch.rules["health_low"] == RuleState("firing", day(0), (), 2, "P3", seq=0, told=2)
    assert watch.rules["disengaging"] == RuleState(episode=1)
    assert record.load(record.dump(WatchRecord(watch=watch))) == WatchRecord(watch=watch)


def test_a_state_that_says_nothing_yet_of_midnights_and_of_what_was_regained_is_read() -> None:
    before = json.loads(record.dump(upgraded()))
    before["watch"]["scored"] = ["stern-2 1 none", "2024-05-01T00:00:00Z"]
    for state in before["watch"]["rules"].values():
        del state["regained_at"]

    found = record.load(json.dumps(before).encode())

    assert isinstance(found, WatchRecord)
    assert found.watch.scored == ScoredBy("stern-2 1 none", day(0), nightly=False)
    assert found.watch.rules == upgraded().watch.rules


def test_an_episode_that_was_sent_before_ends_for_its_recipients() -> None:
    alerts = PartitionAlerts(Evaluator(RULES, "wall"), {"acme/4F2": upgraded().watch}, None)

    (resolved,) = decide(alerts, Pair().changed(day(3), 2, health=90.0), clock(day(6)))

    assert (resolved.event.data.transition, resolved.event.data.episode, resolved.event.data.seq) == ("resolved", 2, 1)
    assert resolved.event.data.not_sent is None
    assert len(resolved.deliveries) == 1


def test_an_alert_that_was_written_before_its_transitions_were_counted_is_read() -> None:
    old = example("alert.changed.v1")
    for field in ("seq", "subject_kind", "inputs", "decisions"):
        del old["data"][field]

    read = ALERT_EVENT.validate_json(json.dumps(old))

    assert isinstance(read.data, Alert)
    assert (read.data.seq, read.data.subject_kind, read.data.decisions) == (0, "relationship", ())


def test_deliveries_that_were_planned_before_go_in_the_order_of_their_transitions() -> None:
    old = example("delivery")
    for field in ("items", "more"):
        del old[field]
    for field in ("seq", "subject_kind", "inputs", "decisions"):
        old["alert"].pop(field, None)
    fired = Delivery.model_validate_json(json.dumps(old))
    resolved = fired.model_copy(update={"transition": "resolved", "delivery_id": "00" * 32})

    assert decision_order([resolved, fired]) == [fired, resolved]
