"""Histories as files: which are accepted, and which are refused with the location and the reason."""

import gzip
import json
from pathlib import Path

import pytest

from services.scoring.domain.backtesting.cases import PairHistories
from services.scoring.flow.histories import HistoryError, file_events, read_histories

DAY = 86_400
T = 1_600_000_000


def read(file: Path, program: str | None = None) -> PairHistories:
    return read_histories(file_events(file), program)


def csv(folder: Path, *rows: str, header: str = "pair_id,t,dir") -> Path:
    file = folder / "contacts.csv"
    file.write_text("\n".join([header, *rows]) + "\n")
    return file


def jsonl(folder: Path, *events: dict[str, object]) -> Path:
    file = folder / "events.jsonl"
    file.write_text("\n".join(json.dumps(event) for event in events))
    return file


def met(time: str, subject: str = "r", **more: object) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "source": "/s",
        "id": f"{subject}-{time}",
        "type": "mentoring.session.held.v1",
        "time": time,
        "subject": subject,
        "program": "p",
        "data": {"session_id": f"{subject}-{time[:10]}", "started_at": time},
        **more,
    }


def test_csv_rows_are_contacts_in_any_order(tmp_path: Path) -> None:
    histories = read(csv(tmp_path, f"b,{T + DAY},-1", f"a,{T},0", f"b,{T},1"))

    assert [(pair.name, pair.contacts) for pair in histories.pairs] == [
        ("history/a", (T * 1_000_000,)),
        ("history/b", (T * 1_000_000, (T + DAY) * 1_000_000)),
    ]
    assert histories.span == (T * 1_000_000, (T + DAY) * 1_000_000)


def test_a_side_makes_a_message_and_no_side_a_session(tmp_path: Path) -> None:
    (pair,) = read(csv(tmp_path, f"a,{T},-1", f"a,{T},0", f"a,{T},1")).pairs

    assert len(pair.facts) == 3
    assert len(set(pair.days)) == 1


def test_the_same_row_twice_is_one_contact(tmp_path: Path) -> None:
    (pair,) = read(csv(tmp_path, f"a,{T},-1", f"a,{T},-1")).pairs

    assert len(pair.contacts) == 1


def test_a_gzipped_file_reads_the_same(tmp_path: Path) -> None:
    plain = csv(tmp_path, f"a,{T},-1")
    packed = tmp_path / "contacts.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))

    assert read(packed) == read(plain)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a,soon,-1", "line 3, column t: must be whole seconds since 1970, in the years 1971 to 2199, not 'soon'"),
        (
            f"a,{T}000,-1",
            f"line 3, column t: must be whole seconds since 1970, in the years 1971 to 2199, not '{T}000'",
        ),
        (f"a,{T}.5,-1", "line 3, column t: must be whole seconds"),
        (f"a,{T},2", "line 3, column dir: must be one of -1, 0, 1, not '2'"),
        (f"a b,{T},-1", "line 3, column pair_id: must be letters and digits, not 'a b'"),
        (f"a,{T}", "line 3: must have 3 columns"),
        (f"a,{T},-1,x", "line 3: must have 3 columns"),
    ],
)
def test_a_bad_row_is_refused_by_line_and_column(tmp_path: Path, row: str, words: str) -> None:
    file = csv(tmp_path, f"a,{T},-1", row)

    with pytest.raises(HistoryError) as refused:
        read(file)

    assert str(refused.value).startswith(f"{file}: {words}")


@pytest.mark.parametrize("header", ["pair_id,t", "pair,t,dir", "pair_id,t,dir,more", ""])
def test_other_columns_are_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(HistoryError, match="line 1: the columns must be pair_id,t,dir"):
        read(csv(tmp_path, f"a,{T},-1", header=header))


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    assert len(read(csv(tmp_path, f"-1,a,{T}", header="dir,pair_id,t")).pairs) == 1


def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "contacts.csv.gz"
    broken.write_bytes(gzip.compress(f"pair_id,t,dir\na,{T},-1\n".encode())[:-9])
    strange = tmp_path / "contacts.csv"
    strange.write_bytes(b"pair_id,t,dir\n\xff\xfe,1,1\n")

    for file in (broken, strange):
        with pytest.raises(HistoryError, match="cannot be read"):
            read(file)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match=r"x\.parquet: must be named \.csv, \.csv\.gz, \.jsonl or \.jsonl\.gz"):
        read(tmp_path / "x.parquet")


def test_a_history_without_any_contact_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="no relationship was ever in contact"):
        read(csv(tmp_path))


def test_events_are_read_as_they_are_sent_in_or_as_they_stand_on_the_log(tmp_path: Path) -> None:
    sent = met("2024-01-01T10:00:00Z")
    logged = met(
        "2024-01-02T10:00:00Z", tenant="history", partitionkey="history/r", recordedtime="2024-01-03T00:00:00Z"
    )

    (pair,) = read(jsonl(tmp_path, sent, logged)).pairs

    assert (pair.name, len(pair.contacts)) == ("history/r", 2)


def test_a_history_ends_with_its_last_event_whenever_it_was_recorded(tmp_path: Path) -> None:
    late = met("2024-01-02T10:00:00Z", recordedtime="2026-01-01T00:00:00Z")

    histories = read(jsonl(tmp_path, met("2024-01-01T10:00:00Z"), late))

    assert histories.span.end == histories.pairs[0].contacts[-1]


def test_the_log_s_clock_says_that_the_history_goes_on_without_events(tmp_path: Path) -> None:
    clock: dict[str, object] = {
        "specversion": "1.0",
        "source": "/s",
        "id": "c",
        "type": "mentoring.clock.reached.v1",
        "time": "2024-03-01T00:00:00Z",
        "data": {"time": "2024-03-01T00:00:00Z"},
    }

    histories = read(jsonl(tmp_path, met("2024-01-01T10:00:00Z"), clock))

    assert histories.span.end - histories.span.begin > 59 * DAY * 1_000_000


def test_one_programme_may_be_chosen(tmp_path: Path) -> None:
    file = jsonl(tmp_path, met("2024-01-01T10:00:00Z"), met("2024-01-02T10:00:00Z", "other", program="q"))

    assert [pair.name for pair in read(file, "q").pairs] == ["history/other"]
    with pytest.raises(HistoryError, match="ever in contact; there are the programmes p, q"):
        read(file, "x")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2: is no JSON: "),
        ('{"a":' * 100_000, "line 2: is no JSON: "),
        ("[]", "line 2: must be one CloudEvent, a JSON object"),
        (json.dumps(met("soon")), "line 2, time: "),
        (json.dumps({**met("2024-01-01T10:00:00Z"), "data": {}}), "line 2, data.session_id: Field required"),
        (json.dumps({**met("2024-01-01T10:00:00Z"), "subject": 5}), "line 2, subject: "),
        (json.dumps({**met("2024-01-01T10:00:00Z"), "tenant": None}), "line 2, tenant: "),
    ],
)
def test_a_line_that_is_no_event_is_refused_by_line_and_path(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(f"{json.dumps(met('2024-01-01T10:00:00Z'))}\n{line}\n")

    with pytest.raises(HistoryError) as refused:
        read(file)

    assert str(refused.value).startswith(f"{file}: {words}")
