"""Ownership of relationships: a start in another programme is refused, and an administrator can correct it."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from schemas.topics import REJECTED
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.people.roster import Roster
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Admitted, Rejected
from services.ingest.flow.in_flight import UnavailableError
from services.ingest.flow.people import program_lookup as programs
from services.ingest.flow.people.program_lookup import ProgramLookup
from services.runtime.settings import Settings
from tests.ingest.conftest import BATCH, Gateway, Log, event, make_token, running_gateway
from tests.ingest.people.building import NOON
from tests.ingest.raw_topic import raw_batch, raw_events
from tests.receiver import eventually

SOURCE_A, SOURCE_B = "urn:a", "urn:b"
PEOPLE = {"mentors": ["ada"], "mentees": ["ben"]}


@pytest.fixture(scope="module")
def running(broker: Settings) -> Iterator[Gateway]:
    with running_gateway(broker.kafka, make_token(broker), ingest_parts=("projector",)) as found:
        yield found


@dataclass(frozen=True)
class Senders:
    """Of programme a, of programme b, and an administrator of the whole tenant."""

    a: str
    b: str
    admin: str


@pytest.fixture(scope="module")
def senders(broker: Settings, running: Gateway) -> Senders:
    def bearer(**scopes: object) -> str:
        authorization = f"Bearer {make_token(broker, tenant='acme', **scopes)}"
        eventually(lambda: running.post([], BATCH, authorization=authorization).status_code == 400)
        return authorization

    found = Senders(
        bearer(programs=("a",), sources=(SOURCE_A,)),
        bearer(programs=("b",), sources=(SOURCE_B,)),
        bearer(sources=(SOURCE_A, SOURCE_B, "urn:admin"), admin=True),
    )
    # Relationships are read since the first token of a programme came.
    eventually(lambda: running.post(told(new_id(), "a"), authorization=found.a).status_code == 202)
    return found


def started(relationship: str, program: str, **changes: object) -> dict[str, Any]:
    own = {"source": f"urn:{program}", "program": program, "subject": relationship, "data": PEOPLE}
    return event(type="mentoring.relationship.started.v1", **own | changes)


def told(relationship: str, program: str) -> dict[str, Any]:
    return event(source=f"urn:{program}", program=program, subject=relationship)


def retraction(target: dict[str, Any]) -> dict[str, Any]:
    """As the README shows it."""
    data = {"by": "admin", "evidence": "admin", **{name: target[name] for name in ("source", "id", "type", "time")}}
    return event(
        source="urn:admin",
        type="mentoring.event.retracted.v1",
        subject=target["subject"],
        program=target["program"],
        data=data,
    )


def new_id() -> str:
    return f"rel-{uuid4().hex}"


def test_the_second_programme_gets_a_conflict_at_once_and_for_ever(running: Gateway, senders: Senders) -> None:
    name = new_id()

    first = running.post(started(name, "a"), authorization=senders.a)
    at_once = running.post(started(name, "b"), authorization=senders.b)
    about_it = running.post(told(name, "b"), authorization=senders.b)

    assert first.status_code == 202
    assert (at_once.status_code, at_once.json()["errors"][0]["path"]) == (409, "subject")
    assert "use another id, or ask an administrator" in at_once.json()["detail"]
    assert (about_it.status_code, about_it.json()["errors"][0]["path"]) == (403, "subject")
    assert running.post(told(name, "a"), authorization=senders.a).status_code == 202


def test_of_two_who_start_at_the_same_time_one_is_admitted(running: Gateway, senders: Senders) -> None:
    for _ in range(10):
        name, answers = new_id(), list[int]()
        tried = [(started(name, "a"), senders.a), (started(name, "b"), senders.b)]
        ready = threading.Barrier(len(tried))

        def post(body: dict[str, Any], by: str) -> None:
            ready.wait(10)  # noqa: B023
            answers.append(running.post(body, authorization=by).status_code)  # noqa: B023

        threads = [threading.Thread(target=post, args=one) for one in tried]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        assert sorted(answers) == [202, 409]


def test_a_batch_of_another_programme_is_answered_event_by_event(running: Gateway, senders: Senders) -> None:
    taken, free = new_id(), new_id()
    running.post(started(taken, "a"), authorization=senders.a)

    answer = running.post([started(taken, "b"), started(free, "b")], BATCH, authorization=senders.b)

    assert answer.status_code == 207
    assert [(one["status"], one["reason"]) for one in answer.json()["events"]] == [(409, "conflict"), (202, "recorded")]


def test_after_an_administrator_has_retracted_the_wrong_start_the_id_is_free(
    running: Gateway, senders: Senders
) -> None:
    name = new_id()
    wrong = started(name, "a")
    running.post(wrong, authorization=senders.a)
    assert running.post(started(name, "b"), authorization=senders.b).status_code == 409

    retracted = running.post(retraction(wrong), authorization=senders.admin)

    assert retracted.status_code == 202
    eventually(lambda: running.post(started(name, "b"), authorization=senders.b).status_code == 202)
    eventually(lambda: running.post(told(name, "a"), authorization=senders.a).status_code == 403)
    assert running.post(started(name, "a"), authorization=senders.a).status_code == 409
    assert running.post(told(name, "b"), authorization=senders.b).status_code == 202


def test_an_administrator_moves_a_relationship_by_starting_it_anew(running: Gateway, senders: Senders) -> None:
    name = new_id()
    running.post(started(name, "a"), authorization=senders.a)

    moved = started(name, "b", source="urn:admin", time="2026-03-01T11:00:00Z")
    assert running.post(moved, authorization=senders.admin).status_code == 202

    eventually(lambda: running.post(told(name, "b"), authorization=senders.b).status_code == 202)
    assert running.post(told(name, "a"), authorization=senders.a).status_code == 403


def test_no_other_than_an_administrator_of_that_source_retracts_it(running: Gateway, senders: Senders) -> None:
    wrong = started(new_id(), "a")
    running.post(wrong, authorization=senders.a)
    theirs = retraction(wrong) | {"source": SOURCE_B, "program": "b"}

    assert running.post(theirs, authorization=senders.b).status_code == 403


def test_the_raw_topic_is_refused_alike(broker: Settings) -> None:
    name, kept, roster = new_id(), Log(broker, REJECTED.name), Roster()
    found = lookup(roster)
    judged(found, started(name, "a"))

    with raw_events(broker, Scope("acme", frozenset({SOURCE_B}), frozenset({"b"})), found) as work:
        outcomes = work.handle(raw_batch([json.dumps(started(name, "b")).encode()]))

    (rejected,) = kept.records()
    assert outcomes == {"conflict": 1}
    assert dict(rejected.headers)["reason"] == b"conflict"
    assert json.loads(rejected.value or b"")["subject"] == name


def lookup(roster: Roster) -> ProgramLookup:
    def told_of(tenant: str, relationship: str) -> str | None:
        found = roster.relationship(tenant, relationship)
        return found.program if found else None

    return ProgramLookup(told_of, roster.was_started, lambda: True)


def judged(found: ProgramLookup, raw: dict[str, Any]) -> Admitted | Rejected:
    scope = Scope("acme", frozenset({raw["source"]}), frozenset({raw["program"]}))
    verdict = admit(raw, scope, Clock(NOON), found.program_of)
    return verdict if isinstance(verdict, Rejected) else found.claim(verdict, scope)


def test_a_projected_start_is_decided_by_the_log_alone() -> None:
    roster = Roster()
    found = lookup(roster)
    first = judged(found, started("rel-1", "a", time="2026-01-01T10:00:00Z"))
    assert isinstance(first, Admitted)
    again = started("rel-1", "b", time="2026-01-01T10:00:00Z")
    assert isinstance(judged(found, again), Rejected)

    roster.apply(first.event)  # type: ignore[arg-type]
    assert isinstance(judged(found, again), Rejected)
    target = {name: getattr(first.event, name) for name in ("source", "id", "type", "time")}
    scope = Scope("acme", frozenset({SOURCE_A, "urn:admin"}), admin=True)
    raw = retraction(target | {"subject": "rel-1", "program": "a", "time": "2026-01-01T10:00:00Z"})
    taken_back = admit(raw | {"time": "2026-01-01T11:00:00Z"}, scope, Clock(NOON))
    assert isinstance(taken_back, Admitted), taken_back
    roster.apply(taken_back.event)  # type: ignore[arg-type]

    assert isinstance(judged(found, again), Admitted)


def test_pending_starts_over_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "MAX_CLAIMS", 2)
    monkeypatch.setattr(programs, "SCAN_SECONDS", 0.0)
    roster = Roster()
    found = lookup(roster)
    heard = judged(found, started("rel-1", "a", time="2026-01-01T10:00:00Z"))
    judged(found, started("rel-2", "a", time="2026-01-01T10:00:00Z"))

    with pytest.raises(UnavailableError):
        judged(found, started("rel-3", "a", time="2026-01-01T10:00:00Z"))

    assert isinstance(heard, Admitted)
    roster.apply(heard.event)  # type: ignore[arg-type]
    assert isinstance(judged(found, started("rel-3", "a", time="2026-01-01T10:00:00Z")), Admitted)


class Asked:
    """Whether any token is limited to programmes; becomes true at some moment."""

    def __init__(self) -> None:
        self.wanted = False
        self.looked = 0

    def __call__(self) -> bool:
        return self.wanted

    def heard(self, _tenant: str, _relationship: str) -> bool:
        self.looked += 1
        return False


def whole(found: ProgramLookup, raw: dict[str, Any]) -> Admitted | Rejected:
    scope = Scope("acme", frozenset({raw["source"]}))
    verdict = admit(raw, scope, Clock(NOON), found.program_of)
    return verdict if isinstance(verdict, Rejected) else found.claim(verdict, scope)


def test_a_start_that_was_under_way_when_the_first_token_of_a_programme_came_is_known() -> None:
    asked, roster = Asked(), Roster()
    found = ProgramLookup(lambda _tenant, _relationship: None, roster.was_started, asked)

    first = whole(found, started("rel-1", "a", time="2026-01-01T10:00:00Z"))
    asked.wanted = True
    second = judged(found, started("rel-1", "b", time="2026-01-01T10:00:00Z"))

    assert isinstance(first, Admitted)
    assert isinstance(second, Rejected)
    assert second.reason == "conflict"


def test_where_nobody_asks_starts_without_end_are_taken_and_cost_no_more_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "MAX_CLAIMS", 50)
    asked = Asked()
    found = ProgramLookup(lambda _tenant, _relationship: None, asked.heard, asked)

    for number in range(200):
        assert isinstance(whole(found, started(f"rel-{number}", "a", time="2026-01-01T10:00:00Z")), Admitted)
    asked.wanted, asked.looked = True, 0
    for number in range(200, 210):
        with pytest.raises(UnavailableError):
            whole(found, started(f"rel-{number}", "a", time="2026-01-01T10:00:00Z"))

    assert asked.looked < 2 * 50 + 3 * 10
