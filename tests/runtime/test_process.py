"""How a process reports its health, how it stops, and when it refuses to continue."""

import json
import os
import signal
import urllib.error
import urllib.request

import pytest
from prometheus_client import Counter

from deploy.local.ports import free_port
from services.runtime.health import Health, serve_health
from services.runtime.stop import on_signal
from services.runtime.unexpected import BadDeployError, Breaker


def test_health_is_alive_at_once_and_ready_only_when_reported() -> None:
    health, port = Health(), free_port(taken=set())
    Counter("rapport_test_things", "Things", registry=health.metrics).inc(3)

    with serve_health(health, "127.0.0.1", port):
        alive, starting = _get(port, "/healthz"), _get(port, "/readyz")
        health.report("ready", "4 partitions")
        ready, metrics, missing = _get(port, "/readyz"), _get(port, "/metrics"), _get(port, "/nothing")

    assert alive == (200, "alive\n")
    assert starting[0] == 503
    assert ready[0] == 200
    assert json.loads(ready[1]) == {"state": "ready", "detail": "4 partitions"}
    assert "rapport_test_things_total 3.0" in metrics[1]
    assert missing[0] == 404


def test_port_0_listens_nowhere() -> None:
    with serve_health(Health(), "127.0.0.1", 0):
        pass


def test_the_first_signal_asks_and_the_second_interrupts() -> None:
    with on_signal() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        asked = stop.wait(1)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)

    assert asked


def test_refusals_in_a_row_are_a_bad_deploy_and_one_that_passes_resets_them() -> None:
    breaker = Breaker(limit=3)
    for _ in range(5):
        breaker.refused("bad")
        breaker.refused("bad")
        breaker.passed()
    breaker.refused("bad")
    breaker.refused("bad")

    with pytest.raises(BadDeployError, match="3 records in a row were refused, the last because of: no such type"):
        breaker.refused("no such type")


def test_what_passes_of_one_batch_does_not_hide_the_refusals_of_another() -> None:
    whole = Breaker(limit=3)
    batch, other = whole.of_batch(), whole.of_batch()
    for _ in range(2):
        batch.refused("bad")
        other.passed()

    with pytest.raises(BadDeployError, match="3 records in a row were refused"):
        batch.refused("bad")


def test_refusals_of_several_small_batches_are_in_a_row() -> None:
    whole = Breaker(limit=3)
    for _ in range(2):
        whole.of_batch().refused("bad")

    with pytest.raises(BadDeployError, match="3 records in a row were refused"):
        whole.of_batch().refused("bad")


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()
