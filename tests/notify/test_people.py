"""Who is called what: from directory, programmes and roster, and from nothing that cannot be read."""

import json

import pytest
from prometheus_client import CollectorRegistry

from services.ingest.domain.people.relationship_history import RelationshipHistory
from services.ingest.flow.people.projected_topics import PROGRESS_KEY, ProgressRecord, RosterRecord, dump, roster_value
from services.notify.domain.name_book import Erased, NameBook
from services.notify.domain.wording import truncate
from services.notify.flow.inputs import PeopleRecords
from services.notify.flow.report import Metrics
from services.notify.topics import NotifyTopics
from services.runtime.kafka import Record
from tests.notify.naming import participant, programme
from tests.schemas.golden import read

NAMES = NotifyTopics()


class Reading:
    def __init__(self) -> None:
        self.people = NameBook()
        self.registry = CollectorRegistry()
        self.records = PeopleRecords(self.people, NAMES, Metrics(self.registry))

    def apply(self, topic: str, key: str, value: bytes | None) -> None:
        self.records.apply(Record(topic, 0, 7, key.encode(), value, (), 0))

    @property
    def left_out(self) -> float | None:
        return self.registry.get_sample_value("rapport_notify_people_unreadable_total")


def named() -> Reading:
    found = Reading()
    for id_, name in (("p-1041", "Ana Ruiz"), ("p-2077", "Ben Ode"), ("p-3", "Dana Cole")):
        found.apply(NAMES.directory, f"acme/{id_}", participant(id_, name).model_dump_json().encode())
    found.apply(NAMES.programs, "acme/spruce", programme().model_dump_json().encode())
    history = RelationshipHistory()
    for name in ("relationship.started.v1", "relationship.paused.v1", "relationship.ended.v1"):
        history = history.with_event(read(name))  # type: ignore[arg-type]
    found.apply(NAMES.roster, "acme/rel-4F2", roster_value(7, history))
    return found


def test_a_pair_is_named_as_ingest_projects_it() -> None:
    naming = named().people.naming("acme", "spruce", "rel-4F2")

    assert naming.pair == "Ana Ruiz & Ben Ode"
    assert naming.owner == "Dana Cole (coordinator)"
    assert naming.zone == "Europe/Berlin"
    assert naming.people == ("p-1041", "p-2077", "p-3")


def test_a_name_from_right_to_left_turns_nothing_around_it() -> None:
    found = named()
    arabic = "\u0623\u062d\u0645\u062f \u0639\u0644\u064a"
    found.people.upsert(participant("p-1041", arabic))

    naming = found.people.naming("acme", "spruce", "rel-4F2")

    assert naming.pair == f"\u2068{arabic}\u2069 & Ben Ode"
    assert found.people.name("acme", "p-1041") == f"\u2068{arabic}\u2069"
    assert truncate(naming.pair or "", 6) == f"\u2068{arabic[:3]}\u2069…"
    assert len(truncate(naming.pair or "", 6)) == 6


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("\u202eAna Ruiz", "Ana Ruiz"),
        ("Ana \u2067Ruiz", "Ana Ruiz"),
        ("A\x00na\x1b Ruiz\x7f", "Ana Ruiz"),
        ("Ana\r\nBcc: x@acme.example", "Ana Bcc: x@acme.example"),
        # Joiners and marks belong to the spelling of names and to pictures.
        ("\u0645\u06cc\u200c\u0646\u0627", "\u2068\u0645\u06cc\u200c\u0646\u0627\u2069"),
    ],
)
def test_signs_of_a_name_that_nobody_sees_turn_and_hide_nothing(written: str, shown: str) -> None:
    found = named()
    found.people.upsert(participant("p-1041", written))

    assert found.people.naming("acme", "spruce", "rel-4F2").pair == f"{shown} & Ben Ode"


def test_a_name_of_nothing_that_is_seen_is_no_name() -> None:
    found = named()
    found.people.upsert(participant("p-1041", "\u202e\u2066"))
    found.people.upsert(participant("p-3", " "))

    naming = found.people.naming("acme", "spruce", "rel-4F2")

    assert naming.pair == "Ben Ode"
    assert naming.owner == "p-3 (coordinator)"
    assert found.people.name("acme", "p-1041") is None


def test_the_same_ids_of_another_tenant_are_other_people() -> None:
    assert named().people.naming("other", "spruce", "rel-4F2").people == ()


def test_whoever_is_erased_has_no_name_and_is_reported() -> None:
    found = named()

    found.apply(NAMES.directory, "acme/p-1041", None)

    assert found.people.naming("acme", "spruce", "rel-4F2").pair == "Ben Ode"
    assert found.records.drain_erased() == [Erased("person", "acme", "p-1041")]
    assert found.records.drain_erased() == []


def test_an_erased_relationship_names_nobody_and_is_reported() -> None:
    found = named()

    found.apply(NAMES.roster, "acme/rel-4F2", dump(RosterRecord(position=8, erased=True)))

    assert found.people.naming("acme", "spruce", "rel-4F2").pair is None
    assert found.records.drain_erased() == [Erased("relationship", "acme", "rel-4F2")]


def test_a_programme_that_is_no_more_names_nobody() -> None:
    found = named()

    found.apply(NAMES.programs, "acme/spruce", None)

    assert found.people.naming("acme", "spruce", "rel-4F2").owner is None


@pytest.mark.parametrize(
    ("topic", "key"),
    [(NAMES.directory, "acme/p-1041"), (NAMES.programs, "acme/spruce"), (NAMES.roster, "acme/rel-4F2")],
)
@pytest.mark.parametrize("value", [b"", b"{", b"\xff", b'{"history": {"facts": [[[1], 2]]}}', b"[" * 100_000])
def test_what_cannot_be_read_is_reported_and_nobody_is_called_what_once_was_known(
    topic: str, key: str, value: bytes
) -> None:
    found = named()

    found.apply(topic, key, value)

    assert found.left_out == 1
    before, after = named().people.naming("acme", "spruce", "rel-4F2"), found.people.naming("acme", "spruce", "rel-4F2")
    assert after != before


def test_how_far_a_projector_is_is_nobody() -> None:
    found = named()

    found.apply(NAMES.roster, PROGRESS_KEY.decode(), dump(ProgressRecord(next_offset=9)))

    assert found.left_out == 0


def test_a_start_without_its_sides_is_left_out() -> None:
    found = Reading()
    facts = [[["urn:x", "1", "mentoring.relationship.started.v1", "2026-01-05T09:00:00Z"], ["spruce"]]]

    found.apply(NAMES.roster, "acme/r", json.dumps({"history": {"facts": facts}}).encode())

    assert found.left_out == 1


def test_whoever_was_described_again_is_not_erased() -> None:
    found = named()
    found.apply(NAMES.directory, "acme/p-1041", None)
    found.apply(NAMES.directory, "acme/p-1041", participant("p-1041", "Ana Ruiz").model_dump_json().encode())

    assert found.records.drain_erased() == []
