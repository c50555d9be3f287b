"""Files that people write mean what they say: what YAML 1.1 would make of a time or of a leading zero is text."""

from pathlib import Path

import pytest

from services.runtime.strict_yaml import UnreadableError, documents, one_document


def read(folder: Path, text: str) -> object:
    file = folder / "file.yaml"
    file.write_text(text)
    return one_document(file)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("10:30", "10:30"),  # not 630, which an hour of the day would become
        ("08:30", "08:30"),
        ("1:30:00.5", "1:30:00.5"),
        ("010", "010"),  # not 8
        ("0x10", "0x10"),
        ("0b11", "0b11"),
        ("2024-05-01", "2024-05-01"),
        ("0", 0),
        ("-12", -12),
        ("1_000", 1000),
        ("0.25", 0.25),
        ("'12'", "12"),
        ("true", True),
        ("null", None),
    ],
)
def test_numbers_are_decimal_and_times_stay_text(written: str, value: object, tmp_path: Path) -> None:
    found = read(tmp_path, f"at: {written}")

    assert found == {"at": value}
    assert isinstance(found, dict)
    assert type(found["at"]) is type(value)


def test_a_name_that_appears_twice_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=r"(?s)'a' appears twice.*line 1, column 1"):
        read(tmp_path, "a: 1\na: 2")


def test_one_document_is_asked_for_and_several_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="holds 2 documents instead of one"):
        read(tmp_path, "a: 1\n---\nb: 2")

    assert documents(tmp_path / "file.yaml") == [{"a": 1}, {"b": 2}]
