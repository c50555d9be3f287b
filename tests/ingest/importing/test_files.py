"""Lines, batches, the checkpoint of an import, and late rows."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.ingest.domain.admission import Clock
from services.ingest.importing.dry_run import LateRows
from services.ingest.importing.entry import MAX_MESSAGES, Checkpoint, ImportEntry, LineReader, batches
from services.ingest.importing.sender import ImportStoppedError
from services.ingest.sources.tables import MAX_BYTES, Line

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def read(file: Path) -> list[Line]:
    with LineReader(file) as lines:
        return list(lines)


def test_lines_end_in_any_way_and_a_mark_of_utf_8_is_none(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"\xef\xbb\xbfa\tb\t\r\n\n c \nlast")

    assert read(file) == [Line(1, b"a\tb\t"), Line(2, b""), Line(3, b" c "), Line(4, b"last")]


def test_a_line_that_never_ends_takes_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl.gz"
    with gzip.open(file, "wb") as packed:
        packed.write(b"x" * (5 * MAX_BYTES) + b"\nnext\n")

    long, following = read(file)

    assert (len(long.text), long.number) == (MAX_BYTES + 1, 1)
    assert following == Line(2, b"next")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_utf_16_is_read_by_its_mark_or_by_its_name(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("ä\u2028,b\r\nnext\n", encoding=encoding, newline="")

    with LineReader(file, None if encoding == "utf-16" else encoding) as lines:
        assert list(lines) == [Line(1, "ä\u2028,b".encode()), Line(2, b"next")]


def test_truncated_utf_16_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes("a,b\nc".encode("utf-16")[:-1])

    with pytest.raises(ImportStoppedError, match="cannot be read on after line 1"):
        read(file)


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "a").touch()

    assert read(tmp_path / "a") == []


def test_batches_hold_what_one_request_may() -> None:
    small = [ImportEntry(Line(n, b""), (b"x", b"y")) for n in range(150)]
    large = [ImportEntry(Line(n, b""), (b"x" * (MAX_BYTES // 2),)) for n in range(3)]
    refused = [ImportEntry(Line(n, b"")) for n in range(MAX_MESSAGES + 1)]

    assert [len(batch) for batch in batches(small)] == [100, 50]
    assert [len(batch) for batch in batches(large)] == [1, 1, 1]
    assert [len(batch) for batch in batches(refused)] == [MAX_MESSAGES, 1]


LINES = [Line(number, b"line %d" % number) for number in range(1, 6)]


def test_an_import_resumes_after_the_last_processed_line(tmp_path: Path) -> None:
    first = Checkpoint(tmp_path / "state")
    taken = [ImportEntry(line) for line in first.remaining(LINES)][:3]
    first.advance(taken)
    first.save()

    assert [line.number for line in Checkpoint(tmp_path / "state").remaining(LINES)] == [4, 5]
    assert [line.number for line in Checkpoint(tmp_path / "state").remaining([*LINES, Line(6, b"new")])] == [4, 5, 6]


@pytest.mark.parametrize(
    "changed", [[Line(1, b"other"), *LINES[1:]], LINES[:2], [LINES[0], LINES[1], Line(4, b"line 3")], []]
)
def test_an_input_that_changed_since_is_noticed(changed: list[Line], tmp_path: Path) -> None:
    first = Checkpoint(tmp_path / "state")
    first.advance([ImportEntry(line) for line in LINES[:3]])
    first.save()

    with pytest.raises(ImportStoppedError, match="the input has changed since"):
        list(Checkpoint(tmp_path / "state").remaining(changed))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"line": 3}', '{"line": "x", "digest": ""}'])
def test_a_broken_checkpoint_is_reported(text: str, tmp_path: Path) -> None:
    (tmp_path / "state").write_text(text)

    with pytest.raises(ImportStoppedError, match="run it without --resume"):
        list(Checkpoint(tmp_path / "state").remaining(LINES))


def test_without_a_file_no_checkpoint_is_stored(tmp_path: Path) -> None:
    checkpoint = Checkpoint(None)
    checkpoint.advance([ImportEntry(LINES[0])])
    checkpoint.save()
    checkpoint.delete()

    assert (checkpoint.line, checkpoint.exists, list(tmp_path.iterdir())) == (1, False, [])


def test_late_is_what_lies_a_month_behind_now() -> None:
    late_rows = LateRows(Clock(NOW))

    late_rows.add(["2026-05-30T00:00:00Z"])
    late_rows.add(["2026-05-30T00:00:00Z", "2026-04-01T00:00:00+02:00"])
    late_rows.add(["no time", "2026-04-01"])

    assert late_rows.late == 1


def test_on_the_logs_clock_late_is_what_lies_a_month_behind_the_latest_recorded_time() -> None:
    late_rows = LateRows(Clock(NOW, "log"))

    for day in ("2020-01-01", "2020-03-01", "2020-02-01", "2020-01-15"):
        late_rows.add([f"{day}T00:00:00Z"])

    assert late_rows.late == 1
