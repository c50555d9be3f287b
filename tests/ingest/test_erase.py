"""`rapport ingest erase`: erasure of a person or a relationship through the gateway."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from schemas.events import MENTORING_EVENT
from schemas.topics import EVENTS
from services.ingest.__main__ import main
from services.runtime.settings import Settings
from tests.ingest.conftest import BATCH, SOURCE, Gateway, Log, event, make_token
from tests.ingest.tooling import DirectoryLog
from tests.receiver import eventually

PEOPLE = "/v1/directory/participants"


@dataclass
class Tenant:
    """One of its own: rel-1 and rel-2 of p-ada, rel-3 of others; p-ada and p-new are in the directory."""

    name: str
    secret: str
    gateway: Gateway

    def run(self, *arguments: str, secret: str = "", answer: str = "") -> Result:
        to = ("--url", str(self.gateway.client.base_url), "--token", secret or self.secret, "--source", SOURCE)
        return CliRunner().invoke(main, ["erase", self.name, *arguments, *to], input=answer)


@pytest.fixture
def tenant(gateway: Gateway, broker: Settings, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    monkeypatch.setenv("RAPPORT_KAFKA", broker.kafka)
    name = f"t{uuid4().hex}"
    secret = make_token(broker, tenant=name, admin=True)
    bearer = {"authorization": f"Bearer {secret}"}
    pairs = {"rel-1": ("p-ada", "p-ben"), "rel-2": ("p-cat", "p-ada"), "rel-3": ("p-cat", "p-ben")}
    told: list[dict[str, Any]] = [
        event(type="mentoring.relationship.started.v1", subject=one, program="a", data={"mentors": [m], "mentees": [e]})
        for one, (m, e) in pairs.items()
    ]
    told.append(event(subject="rel-4", program="b"))
    eventually(lambda: gateway.post(told, BATCH, **bearer).status_code == 202)
    people = [{"id": one, "name": "N", "time_zone": "UTC", "consent": True} for one in ("p-ada", "p-new")]
    gateway.client.post(PEOPLE, json=people, headers=bearer).raise_for_status()
    return Tenant(name, secret, gateway)


def erasures(log: Log) -> list[tuple[str, str]]:
    events = [MENTORING_EVENT.validate_json(record.value or b"") for record in log.records()]
    return sorted((one.subject, one.program) for one in events if one.type == "mentoring.relationship.erased.v1")


def test_a_person_goes_with_every_relationship(tenant: Tenant, broker: Settings) -> None:
    log, people = Log(broker, EVENTS.name), DirectoryLog(broker)

    result = tenant.run("--participant", "p-ada", "--yes")
    again = tenant.run("--participant", "p-ada", "--yes")

    assert result.exit_code == 0, result.output
    assert "erased: 2 relationships, and p-ada" in result.stdout
    assert "raw 14 days, rejected 30 days" in result.stderr
    assert "rapport scoring heal" in result.stderr
    assert erasures(log) == [("rel-1", "a"), ("rel-2", "a")]
    assert [(record.key, record.value) for record in people.records()] == [(f"{tenant.name}/p-ada".encode(), None)]
    assert (again.exit_code, "there is no participant 'p-ada'" in again.output) == (1, True)


def test_a_person_without_relationships_is_only_removed_from_the_directory(tenant: Tenant, broker: Settings) -> None:
    log, people = Log(broker, EVENTS.name), DirectoryLog(broker)

    result = tenant.run("--participant", "p-new", "--yes")

    assert "erased: 0 relationships, and p-new" in result.stdout, result.output
    assert (erasures(log), people.growth()) == ([], 1)


def test_relationships_are_erased_once_whatever_is_known_of_them(tenant: Tenant, broker: Settings) -> None:
    log, people = Log(broker, EVENTS.name), DirectoryLog(broker)
    named = ("--relationship", "rel-3", "--relationship", "rel-4", "--relationship", "rel-3", "--yes")

    first, second = tenant.run(*named), tenant.run(*named)

    assert "erased: 2 relationships" in first.stdout, first.output
    assert "rel-3 is erased already" in second.stderr
    assert "erased: 0 relationships" in second.stdout
    assert erasures(log) == [("rel-3", "a"), ("rel-4", "b")]
    assert people.growth() == 0


def test_it_asks_first(tenant: Tenant, broker: Settings) -> None:
    log = Log(broker, EVENTS.name)

    no, yes = (tenant.run("--relationship", "rel-3", answer=answer) for answer in ("n\n", "y\n"))

    assert f"Erase of {tenant.name}, for good: rel-3?" in no.output
    assert (no.exit_code, yes.exit_code, erasures(log)) == (1, 0, [("rel-3", "a")])


def test_it_needs_an_administrator(tenant: Tenant, broker: Settings) -> None:
    log, people = Log(broker, EVENTS.name), DirectoryLog(broker)
    secret = make_token(broker, tenant=tenant.name)
    bearer = {"authorization": f"Bearer {secret}"}
    eventually(lambda: tenant.gateway.post(event(subject="rel-9"), **bearer).status_code == 202)

    of_pair = tenant.run("--relationship", "rel-3", "--yes", secret=secret)
    of_person = tenant.run("--participant", "p-new", "--yes", secret=secret)

    assert "forbidden" in of_pair.output
    assert "the directory does not forget: 403" in of_person.output
    assert (of_pair.exit_code, of_person.exit_code, erasures(log), people.growth()) == (1, 1, [], 0)


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        ((), "name either --participant or --relationship", 2),
        (("--participant", "p-ada", "--relationship", "rel-1"), "name either", 2),
        (("--participant", "p-nobody"), "there is no participant 'p-nobody'", 1),
        (("--relationship", "rel-99"), "there is no relationship 'rel-99'", 1),
    ],
)
def test_unknown_names_are_not_erased(tenant: Tenant, arguments: tuple[str, ...], words: str, code: int) -> None:
    result = tenant.run(*arguments)

    assert (result.exit_code, words in result.output) == (code, True), result.output


def test_an_unavailable_gateway_is_reported(tenant: Tenant) -> None:
    nowhere = ("--url", "http://127.0.0.1:1", "--patience", "0.1", "--token", "x", "--source", SOURCE, "--yes")
    of_pair = CliRunner().invoke(main, ["erase", tenant.name, "--relationship", "rel-3", *nowhere])
    of_person = CliRunner().invoke(main, ["erase", tenant.name, "--participant", "p-new", *nowhere])

    assert (of_pair.exit_code, "not everything is erased, run it again" in of_pair.output) == (1, True)
    assert (of_person.exit_code, "not everything is erased, run it again" in of_person.output) == (1, True)
