"""Mutated payloads through the complete pipeline except for the broker: each is admitted, ignored or rejected with a
reason."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from schemas.directory import Participant
from schemas.events import MENTORING_EVENT, MentoringEvent, to_json
from services.ingest.domain.activity import Activity, Pointer
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.tools.resolution import Resolved, resolve
from services.ingest.domain.verdict import Admitted, Ignored, Rejected
from services.ingest.flow.tools.statements import OpenedPayload, open_payloads
from services.ingest.flow.tools.tool_records import part_of
from services.ingest.sources.mapping.settings import MappingSettings
from services.ingest.sources.registry import TOOLS
from services.ingest.sources.tool import Connection, ToolSettings
from services.runtime.kafka import Record
from tests.ingest.conftest import DIGEST_KEY
from tests.ingest.mutating import bodies
from tests.ingest.sources import test_calcom as calcom
from tests.ingest.sources import test_calendars_fuzz as calendars
from tests.ingest.sources import test_calendly as calendly
from tests.ingest.sources import test_caliper as caliper
from tests.ingest.sources import test_hr as hr
from tests.ingest.sources import test_mapping as mapping
from tests.ingest.sources import test_slack as slack
from tests.ingest.sources import test_typeform as typeform
from tests.ingest.sources import test_xapi as xapi
from tests.ingest.sources import zoom_payloads as zoom

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
ADDRESS = re.compile(r"[\w.+-]+@example\.(?:com|org)", re.IGNORECASE)
PLAIN = ToolSettings()
POINTING = frozenset({"google_calendar", "microsoft_graph"})
"""Their notifications are pointers, which end as what is fetched."""
SAMPLES: dict[str, tuple[Sequence[Any], ToolSettings]] = {
    "zoom": (zoom.SAMPLES, PLAIN),
    "google_calendar": (calendars.GOOGLE_SAMPLES, TOOLS["google_calendar"].settings()),
    "microsoft_graph": (calendars.GRAPH_SAMPLES, TOOLS["microsoft_graph"].settings()),
    "calendly": (calendly.SAMPLES, PLAIN),
    "calcom": (calcom.SAMPLES, PLAIN),
    "slack": (slack.SAMPLES, slack.SETTINGS),
    "typeform": (typeform.SAMPLES, typeform.configured()),
    "xapi": (xapi.SAMPLES, xapi.configured()),
    "caliper": (caliper.SAMPLES, caliper.configured()),
    "hr": (hr.SAMPLES, hr.configured()),
    "mapping": (mapping.SAMPLES, MappingSettings.model_validate(yaml.safe_load(mapping.SETTINGS))),
}


@dataclass(frozen=True)
class Way:
    """One connection, and a pair to which every address of its samples belongs."""

    connection: Connection
    projection: Projection

    def outcomes(self, body: bytes, offset: int) -> list[str]:
        tool = self.connection.connection_scope.tool
        headers = [("connection", b"one"), ("content-type", b"application/json")]
        record = Record(f"mentoring.raw.{tool}", 0, offset, b"one", body, headers, 1774000000000)
        payloads = open_payloads(record, {"one": self.connection})
        if isinstance(payloads, Rejected):
            return [self._put_aside(record, payloads, None)]
        return [self._outcome(record, payload) for payload in payloads]

    def _outcome(self, record: Record, payload: OpenedPayload) -> str:
        translation = payload.translate()
        if isinstance(translation, Pointer):
            return "pointer"
        if isinstance(translation, Ignored):
            assert translation.reason
            return "ignored"
        result = translation if isinstance(translation, Rejected) else self._said(translation)
        return result if isinstance(result, str) else self._put_aside(record, result, payload)

    def _said(self, translation: Sequence[Activity]) -> str | Rejected:
        admitted = False
        for said in translation:
            resolved = resolve(said, self.connection.connection_scope, self.projection)
            self.projection.track(said, self.connection.connection_scope)
            if isinstance(resolved, Rejected):
                return resolved
            if isinstance(resolved, Resolved):
                admitted = True
                for verdict in self._admitted(resolved):
                    return verdict
        return "admitted" if admitted else "ignored"

    def _admitted(self, resolved: Resolved) -> Iterator[Rejected]:
        for raw in resolved.events:
            verdict = admit(raw, self.connection.connection_scope.scope, Clock(NOW))
            if isinstance(verdict, Rejected):
                yield verdict
                return
            assert isinstance(verdict, Admitted)
            assert b"@" not in to_json(verdict.event)
            self.projection.apply(verdict.event)
        for participant in resolved.participants:
            self.projection.upsert(participant)

    def _put_aside(self, record: Record, rejected: Rejected, payload: OpenedPayload | None) -> str:
        assert rejected.errors
        assert all(error.reason for error in rejected.errors)
        part_of(record, {"one": self.connection}, payload)
        return "rejected"


def way(tool: str) -> Way:
    samples, settings = SAMPLES[tool]
    connection_scope = ConnectionScope("acme", None, tool, "one")
    connection = Connection(connection_scope, TOOLS[tool], settings, "a secret", digest_key=DIGEST_KEY)
    return Way(connection, _knowing(samples))


def _knowing(samples: Sequence[Any]) -> Projection:
    projection = Projection()
    for participant in people_of(samples, "acme"):
        projection.upsert(participant)
    projection.apply(relationship_of("acme", "e-1"))
    return projection


def people_of(samples: Sequence[Any], tenant: str) -> list[Participant]:
    """Two people, to one of whom each address belongs, with the ids that the samples have for them."""
    addresses = sorted({found.lower() for found in ADDRESS.findall(json.dumps(samples))})
    of_ada, people = addresses[::2], []
    for name in ("ada", "bob"):
        person = {
            "id": f"p-{name}",
            "tenant": tenant,
            "name": "A Person",
            "addresses": of_ada if name == "ada" else [one for one in addresses if one not in of_ada],
            "identities": [
                {"tool": "slack", "id": f"U-{name}"},
                {"tool": "caliper", "id": f"{caliper.USERS}/{name}"},
            ],
            "time_zone": "UTC",
            "consent": True,
            "recordedtime": "2026-01-01T00:00:00Z",
        }
        people.append(Participant.model_validate_json(json.dumps(person)))
    return people


def relationship_of(tenant: str, event_id: str) -> MentoringEvent:
    """That of the two."""
    started = {
        "specversion": "1.0",
        "source": "urn:programme",
        "id": event_id,
        "type": "mentoring.relationship.started.v1",
        "time": "2025-01-01T00:00:00Z",
        "recordedtime": "2025-01-01T00:00:00Z",
        "tenant": tenant,
        "program": "leaders",
        "subject": "rel-1",
        "partitionkey": f"{tenant}/rel-1",
        "data": {"mentors": ["p-bob"], "mentees": ["p-ada"]},
    }
    return MENTORING_EVENT.validate_json(json.dumps(started))


def test_every_tool_is_sent_something() -> None:
    assert SAMPLES.keys() == TOOLS.keys()


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("count", [1_500, pytest.param(100_000, marks=pytest.mark.drill)])
@pytest.mark.parametrize("tool", SAMPLES)
def test_every_payload_ends_as_admitted_ignored_or_rejected(tool: str, count: int) -> None:
    under_test, inputs, found = way(tool), 0, Counter[str]()

    for offset, body in enumerate(bodies(SAMPLES[tool][0], count, seed=count)):
        outcomes = under_test.outcomes(body, offset)
        assert outcomes, body
        inputs += len(outcomes)
        found.update(outcomes)

    assert found.keys() == {"admitted", "ignored", "rejected"} | ({"pointer"} if tool in POINTING else set())
    assert found.total() == inputs >= count
