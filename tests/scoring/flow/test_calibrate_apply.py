"""`rapport scoring calibrate --apply` on the real broker: a programme that is scored better from then on."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from datetime import timedelta

from deploy.local.kafka import LocalKafka
from schemas.events import OfRelationship, to_json
from schemas.programs import DEFAULT_PROFILE, PROFILE_NOTICE, Programme
from schemas.topics import EVENTS, PROGRAMS
from services.runtime.kafka import Producer, create_topics, read_to_end
from services.runtime.settings import Settings
from tests import warm
from tests.scoring.building import held

EPOCH = 31_001
"""Of a log that no other test works on."""
WEEKS = 100


def test_a_programme_takes_what_is_better_and_a_second_night_changes_nothing(local_kafka: LocalKafka) -> None:
    settings = Settings(kafka=local_kafka.bootstrap, clock="log", log_epoch=EPOCH)
    last = write(settings, {f"r{n:02}": pair(n, "calibrated") for n in range(60)})
    write(settings, {f"q{n:02}": pair(n, "small") for n in range(3)})

    first, second = (calibrate(settings, "--json") for _ in range(2))
    text = calibrate(settings, "--program", "calibrated").stdout

    new, small = json.loads(first.stdout)
    assert (new["program"], small["program"]) == ("t/calibrated", "t/small")
    assert new["version"] is not None, new["verdict"]
    assert small["version"] is None
    assert "it takes 100 of 20" in small["verdict"]
    (programme,) = error_fields(settings, "calibrated")
    default, learnt = programme.profiles
    assert default == DEFAULT_PROFILE
    assert (learnt.version, learnt.calibration) == (new["version"], new["version"])
    assert learnt.evidence is not None
    assert learnt.certainty in new["verdict"]
    assert learnt.effective_from is not None
    assert PROFILE_NOTICE <= learnt.effective_from - last.recordedtime <= PROFILE_NOTICE + timedelta(minutes=30)
    assert [one["version"] for one in json.loads(second.stdout)] == [None, None]
    assert text.startswith("t/calibrated: stays as it is: ")
    assert error_fields(settings, "small") == []


def test_what_a_programme_says_itself_is_not_asked_for(local_kafka: LocalKafka) -> None:
    settings = Settings(kafka=local_kafka.bootstrap, log_epoch=EPOCH + 1)
    create(settings)

    asked = calibrate(settings, "--horizon", "45", code=2)
    unknown = calibrate(settings, "--program", "nobody", code=1)

    assert "--apply takes the programmes as they are: leave out horizon" in asked.stderr
    assert "the log has no relationship of such a programme" in unknown.stderr


def pair(number: int, program: str) -> list[OfRelationship]:
    """Every other one meets weekly; the others for some weeks now and then, with three months of silence between."""
    rests = range(0) if number % 2 else [week for week in range(WEEKS) if (week + number) % 20 >= 7]
    met = [held(7 * week + number % 7 + 0.25) for week in range(WEEKS) if week not in rests]
    return [event.model_copy(update={"program": program}) for event in met]


def create(settings: Settings) -> None:
    names = (EVENTS.at(settings.log_epoch), PROGRAMS.name)
    create_topics(settings, {name: {"num_partitions": 1, "replication_factor": 1, "configs": {}} for name in names})


def write(settings: Settings, log: Mapping[str, Sequence[OfRelationship]]) -> OfRelationship:
    """The events in the order of time; returns the last one."""
    create(settings)
    producer = Producer(settings)
    events = [
        event.model_copy(update={"subject": name, "partitionkey": f"t/{name}", "recordedtime": event.time})
        for name, told in log.items()
        for event in told
    ]
    events.sort(key=lambda event: event.time)
    for event in events:
        producer.send(EVENTS.at(settings.log_epoch), event.partitionkey.encode(), to_json(event))
    producer.flush()
    producer.close()
    return events[-1]


def error_fields(settings: Settings, program: str) -> list[Programme]:
    records = read_to_end(settings, [PROGRAMS.name])
    return [Programme.model_validate_json(r.value) for r in records if r.key == f"t/{program}".encode() and r.value][
        -1:
    ]


def calibrate(settings: Settings, *arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "RAPPORT_KAFKA": settings.kafka,
        "RAPPORT_CLOCK": settings.clock,
        "RAPPORT_LOG_EPOCH": str(settings.log_epoch),
    }
    ran = warm.run(warm.SCORING, ["calibrate", "--apply", *arguments], environment)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran
