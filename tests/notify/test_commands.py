"""The command line of notify."""

import uuid
from typing import Any

import pytest
from click.testing import CliRunner

from deploy.local.kafka import LocalKafka
from schemas.alerts import Delivery
from schemas.topics import DELIVERIES
from services.notify.__main__ import main
from services.notify.domain.attempts import refused
from services.notify.domain.decisions import Destination, alert_changed, planned
from services.runtime.kafka import Producer, create_topics
from services.runtime.settings import Settings
from tests.notify.building import Pair, clock, day, hour, new_desk, take
from tests.receiver import SECRET


def test_check_prints_and_validates_the_rules() -> None:
    result = CliRunner().invoke(main, ["check"])

    assert result.exit_code == 0
    assert "health_low v1: health <= 40 for 24 h is P3" in result.output
    assert "2 rules are valid" in result.output


def test_serve_check_prints_the_settings_and_hides_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_NOTIFY_WEBHOOK_SECRET", SECRET)

    result = CliRunner().invoke(main, ["serve", "--check"])

    assert result.exit_code == 0
    assert "RAPPORT_NOTIFY_WEBHOOK_SECRET=**********  (set)" in result.output
    assert SECRET not in result.output


def test_invalid_settings_name_the_variable_and_exit_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_NOTIFY_WEBHOOK_URL", "https://example.org/hook")

    result = CliRunner().invoke(main, ["serve", "--check"])

    assert result.exit_code == 2
    assert "RAPPORT_NOTIFY_WEBHOOK_URL: Value error, needs RAPPORT_NOTIFY_WEBHOOK_SECRET" in result.output


def test_the_list_of_deliveries_shows_the_dead_with_their_reason(
    local_kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAPPORT_KAFKA", local_kafka.bootstrap)
    settings, relationship = Settings(kafka=local_kafka.bootstrap), f"pair-{uuid.uuid4().hex[:8]}"
    options: dict[str, Any] = {"num_partitions": 2, "replication_factor": 1, "configs": {"cleanup.policy": "compact"}}
    create_topics(settings, {DELIVERIES.name: options})
    write(settings, refused(planned_delivery(relationship), "HTTP 404", day(9)))

    dead = CliRunner().invoke(main, ["deliveries", "--dead"])
    unfinished = CliRunner().invoke(main, ["deliveries", "--open"])

    assert dead.exit_code == 0
    line = next(line for line in dead.output.splitlines() if relationship in line)
    assert "dead" in line
    assert "HTTP 404" in line
    assert relationship not in unfinished.output


def planned_delivery(relationship: str) -> Delivery:
    transitioned = take(new_desk(), Pair(relationship).changed(hour(0), health=30.0), clock(day(2)))
    return planned(alert_changed(transitioned[0], day(9)), [Destination("webhook", "https://example.org/hook")])[0]


def write(settings: Settings, delivery: Delivery) -> None:
    producer = Producer(settings)
    producer.send(DELIVERIES.name, delivery.delivery_id.encode(), delivery.model_dump_json().encode()).get(10)
    producer.close()
