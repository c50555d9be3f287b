"""The projector of the directory on a broker of its own: restarts, an old directory, and statements that cannot be
merged."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from deploy.local.kafka import KafkaConfig, LocalKafka
from schemas.directory import MAX_ADDRESSES, MAX_IDENTITIES, DirectoryStatement, Participant, ToolIdentity
from schemas.topics import DIRECTORY, DIRECTORY_STATEMENTS
from services.ingest.commands.erase import read_erasable
from services.ingest.domain.people import participants
from services.ingest.domain.people.participants import merge_statement, replace_statement
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.people.directory_projector import MergedDirectory
from services.ingest.flow.people.followers import ProjectionBehindError, projection_now
from services.ingest.flow.people.projected_topics import PROGRESS_KEY
from services.ingest.flow.people.projector import projector
from services.ingest.flow.supervise import supervise
from services.ingest.flow.tools.statements import DirectoryStatementWriter
from services.ingest.settings import IngestSettings
from services.runtime.health import Health
from services.runtime.kafka import Producer, Record, client_options, create_topics, read_to_end
from services.runtime.kafka.admin import delete_topics
from services.runtime.settings import Settings
from tests.conftest import JARS_CACHE
from tests.foreign import ForeignProducer, foreign_producer
from tests.ingest.conftest import make_topics
from tests.ingest.people.building import employed, participant
from tests.ingest.people.test_directory_merge import person, tools
from tests.ingest.tooling import await_merged

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A broker without a projector, unless a test starts one."""
    with LocalKafka(KafkaConfig(data=tmp_path_factory.mktemp("kafka"), cache=JARS_CACHE)) as kafka:
        yield make_topics(kafka.bootstrap)


@pytest.fixture(scope="module")
def says(alone: Settings) -> Iterator[DirectoryStatementWriter]:
    with closing(Producer(alone)) as producer:
        yield DirectoryStatementWriter(producer)


@pytest.fixture(scope="module")
def writer(alone: Settings) -> Iterator[ForeignProducer]:
    with foreign_producer(alone) as producer:
        yield producer


@pytest.fixture
def tenant() -> str:
    return f"t{uuid4().hex}"


@contextmanager
def projecting(alone: Settings) -> Iterator[Health]:
    """Run the projector of the service; on exit, wait until all statements so far are merged."""
    stop, health = threading.Event(), Health()
    with projector(IngestSettings(kafka=alone.kafka), health, stop) as parts:
        thread = threading.Thread(target=supervise, args=(parts, stop))
        thread.start()
        try:
            yield health
            await_merged(alone)
        finally:
            stop.set()
            thread.join(30)


def say(says: DirectoryStatementWriter, *said: DirectoryStatement) -> None:
    for one in said:
        written = says.write(one)
        assert not isinstance(written, Rejected)
        written.result(20)


def row(tenant: str, name: str = "ada", **changes: Any) -> DirectoryStatement:  # noqa: ANN401 (any field)
    said = merge_statement(employed(name, "active", **changes), ConnectionScope(tenant, None, "hr", "hr_feed"))
    assert isinstance(said, DirectoryStatement)
    return said


def posted(tenant: str, name: str = "ada", **changes: Any) -> DirectoryStatement:  # noqa: ANN401 (any field)
    return replace_statement(participant(name, tenant=tenant, **changes), "api:token")


def records(alone: Settings, tenant: str) -> list[Record]:
    read = read_to_end(alone, [DIRECTORY.name], isolation_level="read_committed")
    return [one for one in read if (one.key or b"").startswith(tenant.encode())]


def outcomes(health: Health) -> Counter[str]:
    measured = [one for one in health.metrics.collect() if one.name == "rapport_ingest_directory_statements"]
    samples = [one for metric in measured for one in metric.samples if one.name.endswith("_total")]
    return Counter({one.labels["outcome"]: round(one.value) for one in samples})


def test_without_a_projector_statements_wait_and_lookups_fail(
    alone: Settings, says: DirectoryStatementWriter, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ingest.flow.people.followers.CATCH_UP_SECONDS", 1.0)
    say(says, posted(tenant), posted(tenant, "ben"))
    says.erase(tenant, "p-ben", "api:token", NOW).result(20)

    with pytest.raises(ProjectionBehindError, match="the directory is behind"):
        projection_now(alone)
    assert read_erasable(alone, tenant).people == {"p-ada"}
    assert person(alone, tenant) is None

    with projecting(alone):
        pass

    projection = projection_now(alone)
    assert projection.roster.registered(tenant, "p-ada") == person(alone, tenant)
    assert projection.roster.registered(tenant, "p-ben") is None


def test_a_restart_goes_on_where_it_stopped_and_doubles_nothing(
    alone: Settings, says: DirectoryStatementWriter, tenant: str
) -> None:
    say(says, posted(tenant, identities=(ToolIdentity(tool="slack", id="UADA"),)), row(tenant, name="ben"))
    with projecting(alone):
        pass
    before = records(alone, tenant)

    with projecting(alone):
        pass
    after_a_start = records(alone, tenant)
    say(says, row(tenant, identities=(("zoom", "z-1"),)), row(tenant, "ben"))
    with projecting(alone) as health:
        pass

    assert len(before) == 2
    assert after_a_start == before
    assert [record.key for record in records(alone, tenant)[2:]] == [f"{tenant}/p-ada".encode()]
    assert tools(person(alone, tenant)) == {("slack", "UADA"), ("zoom", "z-1")}
    assert outcomes(health) == {"merged": 1, "unchanged": 1}


def test_what_takes_many_transactions_is_the_same_directory(
    alone: Settings, says: DirectoryStatementWriter, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("projected_topics", "directory_projector"):
        monkeypatch.setattr(f"services.ingest.flow.people.{module}.MAX_WRITTEN_BYTES", 1)
    say(says, *(posted(tenant, f"p{number % 3}", addresses=(f"a{number}@example.com",)) for number in range(12)))

    with projecting(alone) as health:
        pass

    found = {(one.key or b"").decode(): json.loads(one.value or b"")["addresses"] for one in records(alone, tenant)}
    assert found == {f"{tenant}/p-p{number}": [f"a{9 + number}@example.com"] for number in range(3)}
    assert outcomes(health)["merged"] == 12


def test_where_the_offsets_are_lost_the_same_directory_comes_of_it(
    alone: Settings, says: DirectoryStatementWriter, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(says, posted(tenant), row(tenant, identities=(("zoom", "z-1"),)), posted(tenant, "ben"))
    says.erase(tenant, "p-ben", "api:token", NOW).result(20)
    with projecting(alone):
        pass
    before = person(alone, tenant)

    monkeypatch.setattr("services.ingest.flow.people.projector.GROUP", f"another-{tenant}")
    with projecting(alone):
        pass

    assert person(alone, tenant) == before
    assert tools(before) == {("slack", "UADA"), ("zoom", "z-1")}
    assert person(alone, tenant, "p-ben") is None


def test_a_directory_that_was_written_before_there_were_statements_is_what_they_are_merged_into(
    alone: Settings, says: DirectoryStatementWriter, writer: ForeignProducer, tenant: str
) -> None:
    ada = participant("ada", tenant=tenant)
    writer.put(DIRECTORY.name, f"{tenant}/p-ada".encode(), ada.model_dump_json().encode())
    writer.put(DIRECTORY.name, f"{tenant}/p-ben".encode(), b'{"id": 5}')
    writer.put(DIRECTORY.name, f"{tenant}/p-cat".encode(), b'{"id": 5}')
    say(says, row(tenant, identities=(("zoom", "z-1"),)), row(tenant, "ben"))
    says.erase(tenant, "p-cat", "api:token", NOW).result(20)

    with projecting(alone):
        pass

    assert tools(person(alone, tenant)) == {("slack", "UADA"), ("zoom", "z-1")}
    assert person(alone, tenant, "p-ben") is not None
    assert records(alone, tenant)[-1].value is None


def test_a_recreated_directory_is_filled_from_the_retained_statements(
    alone: Settings, says: DirectoryStatementWriter, tenant: str
) -> None:
    say(says, posted(tenant), row(tenant, identities=(("zoom", "z-1"),)))
    with projecting(alone):
        pass
    before = person(alone, tenant)
    delete_topics(alone, [DIRECTORY.name])
    create_topics(alone, {DIRECTORY.name: DIRECTORY.options(4, 1)})

    with projecting(alone):
        pass

    assert person(alone, tenant) == before is not None


def test_an_unmergeable_statement_is_logged_and_counted_and_the_next_is_merged(
    alone: Settings, says: DirectoryStatementWriter, writer: ForeignProducer, tenant: str
) -> None:
    full = tuple(ToolIdentity(tool="slack", id=f"{number}") for number in range(200))
    say(says, posted(tenant, identities=full))
    before = posted(tenant, identities=full)
    key, value = f"{tenant}/p-ada".encode(), posted(tenant).model_dump_json().encode()
    for other in (b"k", b"\xff", PROGRESS_KEY, f"{tenant}/p-other".encode(), None):
        writer.put(DIRECTORY_STATEMENTS.name, other, value)
    for garbage in (b"", b"{", b"[" * 100_000, b'{"version": 1}'):
        writer.put(DIRECTORY_STATEMENTS.name, key, garbage)
    writer.put(DIRECTORY_STATEMENTS.name, b"nobody", None)
    writer.put(DIRECTORY_STATEMENTS.name, PROGRESS_KEY, None)
    say(says, row(tenant, identities=(("zoom", "z-1"),)), row(tenant, "ben"))

    with projecting(alone) as health:
        pass

    known = person(alone, tenant)
    assert known is not None
    assert before.person is not None
    assert known.identities == before.person.identities
    assert known.name == before.person.name
    assert person(alone, tenant, "p-ben") is not None
    assert outcomes(health) == {"merged": 2, "misplaced": 5, "unreadable": 4, "unchanged": 2, "too_much": 1}


@pytest.mark.parametrize(("field", "more"), [("identities", 0), ("addresses", 1), ("identities", 1)])
def test_the_largest_statement_of_anybody_is_merged_and_one_more_is_not(
    alone: Settings, writer: ForeignProducer, tenant: str, field: str, more: int
) -> None:
    most = {"addresses": MAX_ADDRESSES, "identities": MAX_IDENTITIES}
    named = {one: [f"{number:03d}" for number in range(count + more * (one == field))] for one, count in most.items()}
    value = json.loads(posted(tenant).model_dump_json())
    value["person"] |= {
        "name": "ü" * 200,
        "addresses": [f"{one.ljust(310, 'ü')}@ü.example" for one in named["addresses"]],
        "identities": [{"tool": "slack", "id": one.ljust(320, "ü")} for one in named["identities"]],
    }
    writer.put(DIRECTORY_STATEMENTS.name, f"{tenant}/p-ada".encode(), json.dumps(value).encode())

    with projecting(alone) as health:
        pass

    assert outcomes(health) == {"unreadable" if more else "merged": 1}
    assert (person(alone, tenant) is None) == bool(more)


@pytest.mark.parametrize(("more", "outcome"), [(MAX_IDENTITIES - 150, "merged"), (MAX_IDENTITIES - 149, "too_much")])
def test_a_statement_over_the_limit_of_a_person_leaves_them_unchanged(
    alone: Settings, says: DirectoryStatementWriter, tenant: str, more: int, outcome: str
) -> None:
    say(says, posted(tenant, identities=tuple(ToolIdentity(tool="slack", id=f"{number}") for number in range(150))))
    with projecting(alone):
        pass

    say(says, row(tenant, identities=tuple(("zoom", f"{number}") for number in range(more))))
    with projecting(alone) as health:
        pass

    assert outcomes(health) == {outcome: 1}
    assert len(tools(person(alone, tenant))) == (MAX_IDENTITIES if outcome == "merged" else 150)


def test_two_members_take_turns_and_one_that_leaves_loses_nothing(
    alone: Settings, says: DirectoryStatementWriter, tenant: str
) -> None:
    with ExitStack() as first:
        first.enter_context(projecting(alone))
        say(says, posted(tenant))
        await_merged(alone)
        with projecting(alone):
            say(says, row(tenant, identities=(("zoom", "z-1"),)))
            await_merged(alone)
            first.close()
            say(says, row(tenant, identities=(("xapi", "x-1"),)))
            await_merged(alone)
        with projecting(alone):
            say(says, row(tenant, "ben"))

    assert tools(person(alone, tenant)) == {("slack", "UADA"), ("zoom", "z-1"), ("xapi", "x-1")}
    assert Counter(one.key for one in records(alone, tenant)) == {
        f"{tenant}/p-ada".encode(): 3,
        f"{tenant}/p-ben".encode(): 1,
    }


def test_expired_statements_are_not_waited_for(alone: Settings, says: DirectoryStatementWriter, tenant: str) -> None:
    say(says, posted(tenant))
    with projecting(alone):
        pass
    say(says, posted(tenant, "ben"))
    admin = KafkaAdminClient(**client_options(alone))
    admin.delete_records({TopicPartition(DIRECTORY_STATEMENTS.name, 0): -1})
    admin.close()

    with projecting(alone):
        pass

    known = projection_now(alone).roster.registered
    assert known(tenant, "p-ada") is not None
    assert known(tenant, "p-ben") is None


def test_a_batch_that_is_handed_over_again_is_merged_once_and_written_again() -> None:
    directory = MergedDirectory({})
    said = [posted("acme"), row("acme", identities=(("zoom", "z-1"),))]
    values = [(f"acme/{one.id}".encode(), one.model_dump_json().encode()) for one in said]
    batch = [Record(DIRECTORY_STATEMENTS.name, 0, offset, *one, (), 0) for offset, one in enumerate(values)]

    first = [directory.apply(record) for record in batch]
    unwritten = list(directory.unwritten)
    again = [directory.apply(record) for record in batch]

    assert (first, again) == (["merged", "merged"], [None, None])
    assert directory.unwritten == unwritten
    directory.mark_written()
    assert directory.unwritten == []


def test_a_statement_that_meets_an_error_of_ours_keeps_no_other_from_being_merged(
    alone: Settings, says: DirectoryStatementWriter, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = participants.apply_statement

    def broken(statement: DirectoryStatement, known: Participant | None) -> object:
        if statement.id == "p-poison":
            raise RuntimeError("this person")
        return whole(statement, known)

    monkeypatch.setattr("services.ingest.flow.people.directory_projector.apply_statement", broken)
    say(says, row(tenant, "poison"), row(tenant))

    with projecting(alone) as health:
        pass

    assert person(alone, tenant, "p-poison") is None
    assert person(alone, tenant) is not None
    assert outcomes(health) == {"failed": 1, "merged": 1}


def test_an_erasure_removes_earlier_statements_and_later_ones_start_afresh(
    alone: Settings, says: DirectoryStatementWriter, writer: ForeignProducer, tenant: str
) -> None:
    silent = {"time_zone": "UTC", "consent": False, "unsaid": frozenset({"time_zone", "consent"}), "addresses": ()}
    say(says, posted(tenant), posted(tenant, "ben"), posted(tenant, "cat"))
    says.erase(tenant, "p-ada", "api:token", NOW).result(20)
    writer.put(DIRECTORY_STATEMENTS.name, f"{tenant}/p-ben".encode(), None)
    says.erase(tenant, "p-cat", "api:token", NOW).result(20)
    say(says, row(tenant, "ben", **silent), row(tenant, "cat"))
    says.erase(tenant, "p-cat", "api:token", NOW).result(20)

    with projecting(alone):
        pass

    last = {record.key: record.value for record in records(alone, tenant)}
    assert (last[f"{tenant}/p-ada".encode()], last[f"{tenant}/p-cat".encode()]) == (None, None)
    ben = person(alone, tenant, "p-ben")
    assert ben is not None
    assert (ben.addresses, ben.identities, ben.time_zone, ben.consent) == ((), (), "UTC", False)
    roster = projection_now(alone).roster
    assert roster.registered(tenant, "p-ada") is None
    assert roster.registered(tenant, "p-ben") == ben
