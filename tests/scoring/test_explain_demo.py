"""The sample history of the demo, explained: the story of every relationship adds up to its end."""

import json
from collections import defaultdict
from datetime import date

import pytest

from deploy.local.demo import sample
from schemas.events import MENTORING_EVENT, OfPartition, partition_key
from schemas.primitives import to_micros
from services.scoring.domain.explaining.explanation import Explanation, explain
from services.scoring.domain.explaining.known_history import Logged, known_history
from services.scoring.domain.explaining.story import shown_points
from services.scoring.domain.profiles import DEFAULT

CHOSEN = sample.contacts()
SHIFT = sample.shift_to(date(2026, 8, 1), CHOSEN)
END = to_micros(sample.end_of(CHOSEN, SHIFT))
EVERY = 12
"""Of 250 relationships some are explained."""


def logs() -> dict[str, list[Logged]]:
    """As the gateway records them on the log's clock."""
    found: dict[str, list[Logged]] = defaultdict(list)
    for offset, event in enumerate(sample.events(CHOSEN, SHIFT)):
        key = partition_key(sample.TENANT, event["subject"])
        recorded = {**event, "tenant": sample.TENANT, "partitionkey": key, "recordedtime": event["time"]}
        parsed = MENTORING_EVENT.validate_json(json.dumps(recorded))
        assert not isinstance(parsed, OfPartition)
        found[key].append((offset, parsed))
    return found


LOGS = logs()


@pytest.mark.parametrize("name", sorted(LOGS)[::EVERY])
def test_a_relationship_of_the_demo_tells_its_story_and_its_parts_add_up(name: str) -> None:
    found = explain(known_history(name, LOGS[name], None), DEFAULT, END)

    assert isinstance(found, Explanation)
    assert found.story[0].words == ("relationship started", "session held")
    assert sum(points for change in found.story for _, points in change.moved) == found.story[-1].health
    assert sum(shown_points(found.row.evaluation)) == found.story[-1].health
    assert sum(change.words.count("session held") for change in found.story) == len(LOGS[name]) - 1
    assert found.remedies.first or found.row.evaluation.band == "thriving"
