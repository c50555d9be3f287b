"""What a round reads, and what is told of it while it is under way."""

import threading
import time
from collections.abc import Mapping, Sequence

import pytest

from schemas.alert_commands import AlertSilence
from services.notify.domain.pipeline import Decision
from services.notify.flow.rounds import RoundReader
from services.notify.flow.score_processor import ScoreProcessor
from services.notify.service import serve
from services.notify.settings import NotifySettings
from services.runtime.kafka import Partition, Producer, Record, await_acknowledged
from tests.notify.building import Pair, clock, day, hour
from tests.notify.conftest import PARTITIONS, Notify
from tests.receiver import eventually

MANY = 12_000
"""Scores of which kafka-python fetches thousands ahead of those that a round takes."""


def test_what_people_ask_comes_before_the_scores_that_were_fetched_already(notify: Notify) -> None:
    producer, asked = Producer(notify.settings), Partition(notify.names.commands, 0)
    await_acknowledged(
        producer.send(notify.names.scores, b"k", b"x" * 600, partition=n % PARTITIONS) for n in range(MANY)
    )
    reader = RoundReader(notify.settings, notify.names)
    assert sum(map(len, reader.poll_batch(5.0).values())) > 0
    await_acknowledged([producer.send(notify.names.commands, b"k", b"first")])

    time.sleep(0.5)  # as long as a round takes

    first = reader.poll_batch(0.5)

    assert next(iter(first)) == asked
    assert reader.lag() > 0, "the scores had come to their end"
    reader.close()
    producer.close()


def test_the_lag_holds_what_is_in_hand_while_a_round_is_under_way(
    notify: Notify, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, decide = list[tuple[int, float]](), ScoreProcessor.decide

    def watched(
        deciding: ScoreProcessor, polled: Mapping[Partition, Sequence[Record]], silences: tuple[AlertSilence, ...]
    ) -> list[Decision]:
        if polled:
            lag = deciding._metrics.lag._value.get()
            told.append((sum(map(len, polled.values())), lag))
        return decide(deciding, polled, silences)

    monkeypatch.setattr(ScoreProcessor, "decide", watched)
    stop = threading.Event()
    settings = NotifySettings(kafka=notify.settings.kafka, clock="log", notify_health_port=0)
    served = threading.Thread(target=serve, args=(settings, notify.names, stop))
    served.start()
    try:
        notify.write(*(Pair(f"l{n}").changed(hour(0)) for n in range(50)), clock(day(1)))
        eventually(lambda: sum(count for count, _ in told) > 50, what="the round")
    finally:
        stop.set()
        served.join()

    assert all(lag >= count for count, lag in told), told
