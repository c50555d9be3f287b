"""Allow-lists that are built from pydantic models: what they keep and what they drop."""

from datetime import date
from enum import Enum
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, Field

from services.ingest.domain.ids import NoDigestKeyError, pseudonym_of
from services.ingest.domain.tools.allow_list import (
    ADDRESS,
    ADDRESSES,
    ID,
    PERSON_ID,
    TIME,
    WORD,
    AllowList,
    allow_list,
    cut_paths,
)

Kind = TypeVar("Kind")
TEXT = "Zorblax went quietly home, call 0171 555"
PSEUDONYM = pseudonym_of("a key of this test", "acme")


class Colour(Enum):
    RED = "red"


class Guest(BaseModel):
    address: Annotated[str, ADDRESS] = ""
    came: bool | None = None


class Meeting(BaseModel):
    id: Annotated[str, ID]
    starts: date = Field(alias="startTime")
    minutes: int | float | None = None
    status: Annotated[str, WORD] = ""
    answer: Literal["yes", "no", 7] = "yes"
    colour: Colour = Colour.RED
    host: Annotated[str, PERSON_ID] = Field("", validation_alias=AliasChoices("host", "owner"))
    others: Annotated[str, ADDRESSES] = ""
    guests: tuple[Guest, ...] = ()
    by_name: dict[str, Guest] = Field(default_factory=dict)


FULL: dict[str, Any] = {
    "id": 84512,
    "startTime": "2026-03-02T10:00:00.0000000Z",
    "minutes": 30,
    "status": "confirmed",
    "answer": "no",
    "colour": "red",
    "owner": "Ada <ada@example.com>",
    "others": "bob@example.com, Cy <cy@example.com>",
    "guests": [{"address": "dee@example.com", "came": True}, None],
    "by_name": {"dee": {"came": False}},
}


def kept(value: object, *models: type[BaseModel]) -> Any:  # noqa: ANN401 (JSON)
    return allow_list(*(models or (Meeting,))).redact(value, PSEUDONYM)


def test_what_a_model_reads_is_kept_and_of_addresses_the_addresses() -> None:
    assert kept(FULL) == FULL | {"owner": "ada@example.com", "others": "bob@example.com;cy@example.com"}


def test_what_is_kept_once_is_kept_again_as_it_is() -> None:
    odd = FULL | {"id": TEXT, "startTime": TEXT, "status": TEXT, "owner": TEXT, "others": TEXT, "minutes": [TEXT]}

    assert kept(kept(odd)) == kept(odd)


def test_no_text_is_kept_wherever_it_stands() -> None:
    for name in (*FULL, "topic", "id@odata.type"):
        for text in (TEXT, [TEXT], {TEXT: TEXT}, {"address": TEXT}, [{"address": TEXT, "came": TEXT, "note": TEXT}]):
            found = repr(kept(FULL | {name: text}))

            assert "Zorblax" not in found, (name, text)
            assert "0171" not in found, (name, text)
    assert kept(TEXT) == ""
    assert kept([TEXT]) == []
    assert kept({TEXT: TEXT}) == {}
    assert kept(FULL | {"by_name": {TEXT: {"came": True}}})["by_name"] == {}


def test_what_does_not_fit_is_told_apart_from_what_is_missing() -> None:
    odd = kept({"id": TEXT, "startTime": TEXT, "status": TEXT, "minutes": TEXT, "guests": TEXT, "owner": None})

    assert odd == {
        "id": PSEUDONYM(TEXT),
        "startTime": "cut",
        "minutes": "cut",
        "status": "cut",
        "owner": None,
        "guests": "",
    }


@pytest.mark.parametrize(
    "time",
    [
        *(
            "2026-03-02T10:00:00Z",
            "2026-03-02T10:00:00+01:00",
            "2026-03-02 10:00",
            "2026-03-02",
            "2026-13-42T25:00:00Z",
        ),
        *("1772445600.000100", 1772445600000, ""),
    ],
)
def test_a_time_is_what_looks_like_one(time: object) -> None:
    assert TIME.redact(time, PSEUDONYM) == time


@pytest.mark.parametrize("text", ["2026-03-02T10:00:00Z, call me", "soon", "2026-03-02T10:00 Zorblax", "1 " * 40])
def test_a_time_with_words_beside_it_is_none(text: str) -> None:
    assert TIME.redact(text, PSEUDONYM) == "cut"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada L <ada@example.com>", "ada@example.com"),
        ("<ada@example.com>", "ada@example.com"),
        (" jürgen@exämple.de ", "jürgen@exämple.de"),
        ("Ada Lovelace", ""),
        ('"went quietly home"@example.com', ""),
        ("call me at ada@example.com", ""),
        ("a@b c", ""),
        ("<" * 100_000, ""),
    ],
)
def test_of_an_address_the_address_is_kept(text: str, address: str) -> None:
    assert ADDRESS.redact(text, PSEUDONYM) == address


def test_an_id_that_may_be_text_is_a_digest_and_that_of_a_person_may_be_an_address() -> None:
    assert ID.redact("ada@example.com", PSEUDONYM) == PSEUDONYM("ada@example.com")
    assert PERSON_ID.redact("ada@example.com", PSEUDONYM) == "ada@example.com"
    assert PERSON_ID.redact("Ada Lovelace", PSEUDONYM) == PSEUDONYM("Ada Lovelace")
    assert PERSON_ID.redact("  ", PSEUDONYM) == ""
    assert ID.redact(10**200, PSEUDONYM) == PSEUDONYM(str(10**200))
    with pytest.raises(NoDigestKeyError):
        ID.redact(TEXT, pseudonym_of("", "acme"))


def test_a_payload_that_several_models_read_keeps_what_any_of_them_reads() -> None:
    class Head(BaseModel):
        id: Annotated[str, ID]
        guests: tuple[Guest, ...] = ()

    class Whom(BaseModel):
        name: Annotated[str, WORD] = ""

    class People(BaseModel):
        guests: tuple[Whom, ...] = ()

    value = {"id": "1", "topic": "x", "guests": [{"address": "a@example.com", "name": "guest", "more": "x"}]}

    found = kept(value, Head, People)

    assert found == {"id": "1", "guests": [{"address": "a@example.com", "name": "guest"}]}


def test_a_list_of_its_own_stands_beside_a_type_that_says_nothing() -> None:
    class Loose(BaseModel):
        data: Annotated[dict[str, object], AllowList(members={"id": AllowList(ID)})]

    assert kept({"data": {"id": 7, "note": TEXT}}, Loose) == {"data": {"id": 7}}


def test_what_has_the_wrong_type_of_json_is_emptied() -> None:
    assert [ADDRESS.redact(value, PSEUDONYM) for value in (5, 1.5, True)] == [0, 0.0, False]


def test_a_field_that_does_not_say_what_of_it_is_kept_makes_no_allow_list() -> None:
    class Text(BaseModel):
        topic: str = ""

    class Anything(BaseModel):
        extra: dict[str, object]

    class Hidden(BaseModel):
        id: Annotated[str, ID] = Field(validation_alias=AliasPath("data", 0))

    class Other(BaseModel):
        id: Annotated[str, WORD]

    class Every(BaseModel):
        value: Any

    class Some(BaseModel, Generic[Kind]):
        value: Kind

    for models in ((Text,), (Anything,), (Hidden,), (Every,), (Some,), (Meeting, Other)):
        with pytest.raises(TypeError):
            allow_list(*models)


def test_what_is_cut_is_named_by_its_path_once_for_all_items_of_a_list() -> None:
    value = {
        "id": "1",
        "topic": TEXT,
        "startTime": "soon",
        "guests": [{"address": "a@example.com", "name": "A"}, {"name": "B"}],
    }

    assert list(cut_paths(value, kept(value))) == ["topic", "startTime", "guests.*.name"]
    assert list(cut_paths([TEXT], kept([TEXT]))) == [""]
    assert list(cut_paths(FULL, FULL)) == []
