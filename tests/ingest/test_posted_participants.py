"""Parsing of people that are posted over HTTP."""

from datetime import UTC, datetime

import pytest

from schemas.directory import Participant
from services.ingest.domain.people.participants import is_participant_id, read_participant
from services.ingest.domain.scope import Scope, any_scope
from services.ingest.domain.verdict import Rejected

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ADA = {"id": "p-ada", "name": "Ada", "time_zone": "UTC", "consent": False}


def nested(depth: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(depth):
        value = {"name": value}
    return value


def test_a_person_is_completed_with_tenant_and_time() -> None:
    found = read_participant(ADA | {"recordedtime": "1999-01-01T00:00:00Z", "addresses": None}, "acme", NOW)

    assert isinstance(found, Participant)
    assert (found.tenant, found.recordedtime, found.addresses) == ("acme", NOW, ())


@pytest.mark.parametrize(
    ("raw", "reason", "path"),
    [
        ("p-ada", "malformed", ""),
        (ADA | {"tenant": "globex"}, "forbidden", "tenant"),
        (ADA | {"tenant": 7}, "forbidden", "tenant"),
        (ADA | {"consent": "yes"}, "invalid", "consent"),
        (ADA | {"addresses": ["nobody"]}, "invalid", "addresses.0"),
        (ADA | {"time_zone": "localtime"}, "invalid", "time_zone"),
        (ADA | {"password": "x"}, "invalid", "password"),
        ({}, "invalid", "id"),
        (nested(100_000), "malformed", ""),
    ],
)
def test_a_fault_names_its_path(raw: object, reason: str, path: str) -> None:
    found = read_participant(raw, "acme", NOW)

    assert isinstance(found, Rejected)
    assert (found.reason, found.errors[0].path) == (reason, path)


def test_ids_cannot_hold_an_address_or_a_path() -> None:
    assert is_participant_id("p-ada")
    assert not any(map(is_participant_id, ("", "ada@example.com", "a/b", "a b", "x" * 200)))


@pytest.mark.parametrize(
    ("event", "scope"),
    [
        (None, Scope("mine", frozenset(), admin=True)),
        ({"source": "a", "data": {"source": "b"}}, Scope("mine", frozenset({"a", "b"}), admin=True)),
        ({"source": 1, "data": [], "tenant": "acme"}, Scope("acme", frozenset(), admin=True)),
        ({"source": [], "data": {"source": {}}}, Scope("mine", frozenset(), admin=True)),
        ({"source": "a", "tenant": ""}, Scope("mine", frozenset({"a"}), admin=True)),
    ],
)
def test_for_a_trial_every_event_may_be_said(event: object, scope: Scope) -> None:
    assert any_scope(event, "mine") == scope
