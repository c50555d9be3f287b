"""Payloads with extreme nesting or extreme numbers get a verdict from every tool."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from services.ingest.domain.cloudevents import Parsed
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.caliper.tool import TOOL as CALIPER
from services.ingest.sources.hr.tool import TOOL as HR
from services.ingest.sources.mapping.tool import TOOL as MAPPING
from services.ingest.sources.tool import Received, RedactedPayload, Tool, ToolSettings
from services.ingest.sources.typeform.tool import TOOL as TYPEFORM
from services.ingest.sources.xapi.tool import TOOL as XAPI
from tests.ingest.sources import test_caliper as caliper
from tests.ingest.sources import test_hr as hr
from tests.ingest.sources import test_mapping as mapping
from tests.ingest.sources import test_typeform as typeform
from tests.ingest.sources import test_xapi as xapi
from tests.ingest.sources.mutation import translated
from tests.ingest.sources.redaction import connection_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEEP = mapping.configured(mapping.rule(data={"goal_id": "to_string(@)"}, when="pair"))
# Each tool with a payload that holds something in a place that is looked at.
CASES: tuple[tuple[Tool, ToolSettings, Callable[[object], Any]], ...] = (
    (TYPEFORM, typeform.configured(), lambda inner: typeform.response(typeform.rated(inner), hidden={"person": inner})),
    (XAPI, xapi.configured(), lambda inner: {**xapi.statement("completed", context={"extensions": inner}), "id": None}),
    (XAPI, xapi.configured(), lambda inner: xapi.statement("scored", result={"score": {"raw": inner, "max": inner}})),
    (
        CALIPER,
        caliper.configured(people="actor.x"),
        lambda inner: caliper.envelope(caliper.graded(actor={"x": inner}), 1),
    ),
    (CALIPER, caliper.configured(), lambda inner: caliper.envelope(caliper.graded(generated={"scoreGiven": inner}))),
    (HR, hr.configured(), lambda inner: [hr.employee(other=inner, id=inner), hr.employee(status=[inner])]),
    (MAPPING, mapping.configured(), lambda inner: mapping.achieved(goal=inner, pair=inner)),
    (MAPPING, DEEP, lambda inner: mapping.achieved(goal=inner)),
)


def _is_dealt_with(tool: Tool, settings: ToolSettings, body: bytes) -> None:
    split = tool.split(Received({"content-type": "application/json"}, body), settings, NOW)
    for payload in () if isinstance(split, Rejected) else split.payloads:
        parsed = tool.parse(payload, "application/json")
        if isinstance(parsed, Parsed):
            assert translated(tool, parsed.value, settings)
        connection = connection_of(tool, settings)
        found = connection.redact(payload, "application/json")
        if isinstance(found, RedactedPayload):
            assert translated(tool, found.value, settings)
            assert connection.redact(found.payload, "application/json") == replace(found, original=found.value)


@pytest.mark.parametrize(("tool", "settings", "around"), CASES)
@pytest.mark.parametrize("depth", [50, 300, 600, 800, 900, 950, 2000, 100_000])
def test_nesting_without_end_gets_a_verdict(
    tool: Tool, settings: ToolSettings, around: Callable[[object], Any], depth: int
) -> None:
    for opening, closing in (('{"a":', "}"), ("[", "]")):
        nested = opening * depth + "1" + closing * depth

        _is_dealt_with(tool, settings, json.dumps(around("HERE")).replace('"HERE"', nested).encode())


@pytest.mark.parametrize(("tool", "settings", "around"), CASES)
@pytest.mark.parametrize("digits", [20, 400, 4000, 5000])
def test_numbers_without_end_get_a_verdict(
    tool: Tool, settings: ToolSettings, around: Callable[[object], Any], digits: int
) -> None:
    for number in ("9" * digits, "-" + "9" * digits, f"0.{'9' * digits}", f"1e{digits}"):
        _is_dealt_with(tool, settings, json.dumps(around("HERE")).replace('"HERE"', number).encode())
