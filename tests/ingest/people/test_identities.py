from hashlib import sha1

import pytest

from schemas.directory import ToolIdentity
from services.ingest.domain.activity import Person
from services.ingest.domain.ids import pseudonym_of
from services.ingest.domain.people.roster import Conflict, Roster
from services.ingest.domain.tools.allow_list import PERSON_ID
from tests.ingest.people.building import pair, participant

KEY = "a digest key of this test"


def roster(*people: object) -> Roster:
    made = Roster()
    for one in people:
        made.upsert(one)  # type: ignore[arg-type]
    return made


def test_an_address_is_found_without_regard_to_case_in_every_tool() -> None:
    known = roster(participant("ada"))

    assert known.participant("acme", "zoom", Person(address=" ADA@Example.COM ")) == "p-ada"
    assert known.participant("acme", "slack", Person(id="ada@example.com")) == "p-ada"


def test_an_id_of_a_tool_is_of_that_tool_only_and_exact() -> None:
    known = roster(participant("ada"))

    assert known.participant("acme", "slack", Person(id="UADA")) == "p-ada"
    assert known.participant("acme", "zoom", Person(id="UADA")) is None
    assert known.participant("acme", "slack", Person(id="uada")) is None


def test_an_identity_may_be_an_address_of_one_tool() -> None:
    known = roster(participant("ada", addresses=(), identities=(ToolIdentity(tool="zoom", id="A@example.org"),)))

    assert known.participant("acme", "zoom", Person(address="a@example.org")) == "p-ada"
    assert known.participant("acme", "slack", Person(address="a@example.org")) is None


def test_nothing_known_of_a_person_is_a_stranger() -> None:
    assert roster(participant("ada")).identify("acme", "zoom", Person()) == frozenset()


def test_an_identity_of_two_participants_identifies_neither_and_is_logged() -> None:
    known = roster(participant("ada"))

    conflicts = known.upsert(participant("ben", addresses=("ADA@example.com",)))

    assert conflicts == (Conflict("acme", "address", ("p-ada", "p-ben")),)
    assert known.participant("acme", "zoom", Person(address="ada@example.com")) is None
    assert known.identify("acme", "zoom", Person(address="ada@example.com")) == {"p-ada", "p-ben"}


def test_a_shared_address_does_not_hide_who_is_known_by_their_id() -> None:
    known = roster(
        participant("ada", addresses=("team@example.com",)), participant("ben", addresses=("team@example.com",))
    )

    assert known.participant("acme", "slack", Person(id="UADA", address="team@example.com")) == "p-ada"


def test_an_id_and_an_address_of_different_people_identify_nobody() -> None:
    known = roster(participant("ada"), participant("ben"))

    assert known.participant("acme", "slack", Person(id="UADA", address="ben@example.com")) is None


def test_who_has_left_gives_their_address_free() -> None:
    known = roster(participant("ada", status="exited"))
    assert known.participant("acme", "zoom", Person(address="ada@example.com")) == "p-ada"

    conflicts = known.upsert(participant("new", addresses=("ada@example.com",)))

    assert conflicts == ()
    assert known.participant("acme", "zoom", Person(address="ada@example.com")) == "p-new"


def test_a_new_record_replaces_what_was_known() -> None:
    known = roster(participant("ada"), participant("ada", addresses=("new@example.com",), identities=()))

    assert known.participant("acme", "zoom", Person(address="ada@example.com")) is None
    assert known.participant("acme", "slack", Person(id="UADA")) is None
    assert known.participant("acme", "zoom", Person(address="new@example.com")) == "p-ada"


def test_a_tombstone_forgets_all_identities_and_frees_them() -> None:
    known = roster(participant("ada"), participant("ben", addresses=("ada@example.com",)))

    known.forget("acme", "p-ada")
    known.forget("acme", "p-ada")
    known.forget("acme", "p-nobody")

    assert known.participant("acme", "zoom", Person(address="ada@example.com")) == "p-ben"
    assert known.registered("acme", "p-ada") is None


def test_somebody_in_a_relationship_is_known_by_their_own_id_without_a_directory() -> None:
    known = roster()
    known.apply(pair())

    assert known.participant("acme", "mapping", Person(participant="p-ada")) == "p-ada"
    assert known.participant("acme", "mapping", Person(participant="p-cat")) is None
    assert known.participant("beta", "mapping", Person(participant="p-ada")) is None


def test_an_id_that_may_be_text_is_known_by_the_digest_that_stands_for_it_in_payloads() -> None:
    known = Roster(KEY)
    known.upsert(participant("ada", identities=(ToolIdentity(tool="zoom", id="Ada Lovelace"),)))
    kept = PERSON_ID.redact("Ada Lovelace", pseudonym_of(KEY, "acme"))
    assert isinstance(kept, str)

    assert known.participant("acme", "zoom", Person(id=kept)) == "p-ada"
    assert known.participant("acme", "slack", Person(id=kept)) is None
    known.forget("acme", "p-ada")
    assert known.participant("acme", "zoom", Person(id=kept)) is None


def test_the_letters_of_an_address_may_be_spelt_in_two_ways() -> None:
    known = roster(participant("ben", addresses=("be\u0301n@example.com",)))

    assert known.participant("acme", "zoom", Person(address=" B\u00c9N@Example.com")) == "p-ben"


def test_the_domain_of_an_address_may_be_written_in_two_ways() -> None:
    known = roster(
        participant("ada", addresses=("ada@bücher.example",)),
        participant("ben", addresses=("ben@xn--bcher-kva.example",)),
    )

    assert known.participant("acme", "zoom", Person(address="Ada@XN--BCHER-KVA.example")) == "p-ada"
    assert known.participant("acme", "zoom", Person(address="ben@BÜCHER.example")) == "p-ben"
    assert known.participant("acme", "zoom", Person(address="ädä@x..y")) is None


def hashed(address: str) -> Person:
    return Person(id=sha1(f"mailto:{address}".encode(), usedforsecurity=False).hexdigest())


def test_the_sha1_of_an_address_identifies_its_owner() -> None:
    known = roster(participant("ada", addresses=("Ada@example.com",)), participant("ben", tenant="beta"))

    assert known.participant("acme", "xapi", hashed("Ada@example.com")) == "p-ada"
    assert known.participant("acme", "xapi", hashed("ada@example.com")) == "p-ada"
    assert known.participant("acme", "xapi", hashed("ben@example.com")) is None
    assert known.participant("acme", "xapi", Person(id="a" * 40)) is None


def test_the_sha1_of_an_address_goes_with_the_address() -> None:
    known = roster(participant("ada"), participant("ben", addresses=("ADA@example.com",)))
    assert known.identify("acme", "xapi", hashed("ada@example.com")) == {"p-ada", "p-ben"}

    known.forget("acme", "p-ben")
    assert known.participant("acme", "xapi", hashed("ada@example.com")) == "p-ada"
    known.upsert(participant("ada", addresses=("new@example.com",)))

    assert known.identify("acme", "xapi", hashed("ada@example.com")) == frozenset()
    assert known.participant("acme", "xapi", hashed("new@example.com")) == "p-ada"


@pytest.mark.parametrize(
    ("written", "who"),
    [
        ("https://lms.example.com/#ben", "p-ben"),
        ("HTTPS://LMS.Example.com#ben", "p-ben"),
        ("https://lms.example.com:443#ben", "p-ben"),
        ("https://lms.example.com/#Ben", None),
        ("http://lms.example.com#ben", None),
        ("https://lms.example.com/users#ben", None),
        ("https://lms.example.com:8443#ben", None),
        ("https://lms.example.com//#ben", None),
    ],
)
def test_pages_that_uris_hold_equal_are_one_page(written: str, who: str | None) -> None:
    """RFC 3986, 6.2.2 and 6.2.3. http and https may be two systems, and so may two paths."""
    known = roster(participant("ben", identities=(ToolIdentity(tool="xapi", id="https://lms.example.com#ben"),)))

    assert known.participant("acme", "xapi", Person(written)) == who


def test_the_digest_of_an_id_on_a_page_is_found_however_the_directory_writes_the_page() -> None:
    known = Roster(KEY)
    known.upsert(participant("ben", identities=(ToolIdentity(tool="xapi", id="https://LMS.example.com/#Ben M"),)))

    digest = pseudonym_of(KEY, "acme")("https://lms.example.com#Ben M")
    assert known.participant("acme", "xapi", Person(digest)) == "p-ben"
