import json

import pytest
from pydantic import ValidationError

from schemas.directory import DirectoryStatement, Participant
from tests.schemas.golden import example, put


def living_in(zone: str) -> Participant:
    return Participant.model_validate_json(json.dumps(put(example("participant"), ("time_zone",), zone)))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kolkata"])
def test_a_person_lives_in_a_zone_of_the_iana_list(zone: str) -> None:
    assert living_in(zone).time_zone == zone


@pytest.mark.parametrize("zone", ["", "Berlin", "europe/berlin", "CET+1", "../../etc/passwd", "localtime", "Factory"])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError, match="is no IANA time zone"):
        living_in(zone)


@pytest.mark.parametrize("address", ["p2077", "@acme.example", "p2077@", "two p@acme.example", "a@b@c"])
def test_an_address_has_one_at_and_no_blanks(address: str) -> None:
    person = json.dumps(put(example("participant"), ("addresses",), [address]))

    with pytest.raises(ValidationError, match=r"addresses\.0"):
        Participant.model_validate_json(person)


@pytest.mark.parametrize("change", [{"kind": "erases"}, {"person": None}, {"kind": "replaces", "person": None}])
def test_only_an_erasure_describes_nobody(change: dict[str, object]) -> None:
    erasing = example("directorystatement") | {"kind": "erases", "person": None}

    assert DirectoryStatement.model_validate_json(json.dumps(erasing)).person is None
    with pytest.raises(ValidationError, match="`person` is required"):
        DirectoryStatement.model_validate_json(json.dumps(example("directorystatement") | change))


def test_empty_fields_that_were_added_later_are_not_written() -> None:
    """Older readers refuse unknown fields."""
    person = put(example("participant"), ("employment",), [])
    statement = put(example("directorystatement"), ("person", "change"), None)

    written = Participant.model_validate_json(json.dumps(person)).model_dump_json()
    said = DirectoryStatement.model_validate_json(json.dumps(statement)).model_dump_json()

    assert json.loads(written).keys() == person.keys() - {"employment"}
    assert json.loads(said)["person"].keys() == statement["person"].keys() - {"change"}
    assert Participant.model_validate_json(written).employment == ()
