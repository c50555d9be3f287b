"""What is detected of a table, and what is asked."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from services.ingest.importing.cell_formats import CellFormats, InvalidCellError
from services.ingest.importing.detection import DetectedTable, TableOptions, detect
from services.ingest.importing.kinds import KINDS
from services.ingest.importing.options import OptionQuestion, question_handler
from services.ingest.importing.row import RowDefaults
from services.ingest.importing.sender import ImportStoppedError
from services.ingest.importing.table import HeaderOptions
from services.ingest.importing.translation import guess_value, read_translation
from services.ingest.sources.day_formats import DAY_FORMATS
from services.ingest.sources.table_words import COLUMN_WORDS, VALUE_WORDS
from services.ingest.sources.tables import ENCODINGS, Line

EVERY = TableOptions(defaults=RowDefaults("urn:csv", "spruce", "Europe/Berlin"))
HEAD = "relationship;status;starts_at;minutes\n"


def detected(text: str | bytes, given: TableOptions = EVERY) -> DetectedTable | OptionQuestion:
    content = text.encode() if isinstance(text, str) else text
    return detect([Line(number, line) for number, line in enumerate(content.split(b"\n"), 1)], given)


def recognised(text: str | bytes, given: TableOptions = EVERY) -> DetectedTable:
    found = detected(text, given)
    assert isinstance(found, DetectedTable), found
    return found


def asked(text: str | bytes, given: TableOptions = EVERY) -> OptionQuestion:
    found = detected(text, given)
    assert isinstance(found, OptionQuestion), found
    return found


@pytest.mark.parametrize(
    ("days", "day_format"),
    [
        (["31.03.2026 16:30", "1.4.2026 8:00"], "dd.mm.yyyy"),
        (["01.04.26 16:30"], "dd.mm.yy"),
        (["3/31/2026 4:30 PM", "4/1/2026 8:00 AM"], "mm/dd/yyyy"),
        (["31/03/2026 16:30", "04/03/2026 16:30"], "dd/mm/yyyy"),
        (["2026/03/31 16:30"], "yyyy/mm/dd"),
        (["31.03.2026 16:30", "32.13.2026 16:30", "soon"], "dd.mm.yyyy"),
        (["2026-03-31 16:30", "soon", ""], "yyyy-mm-dd"),
    ],
)
def test_the_form_of_days_is_recognised(days: list[str], day_format: str) -> None:
    assert recognised(HEAD + "\n".join(f"r;held;{day};45" for day in days)).formats.day_format == day_format


@pytest.mark.parametrize(
    "days", [["3/4/2026 10:00"], ["3/31/2026 10:00"] * 5 + ["31/3/2026 10:00"], ["01/02/2026 1:00 PM"] * 9]
)
def test_ambiguous_days_are_asked(days: list[str]) -> None:
    question = asked(HEAD + "\n".join(f"r;held;{day};45" for day in days))

    assert question.option == "--day-format"
    assert set(question.choices) == {"dd/mm/yyyy", "mm/dd/yyyy"}
    assert "which day is '" in question.text


def test_decimal_commas_are_recognised_unless_they_may_group_thousands() -> None:
    row = HEAD + "r;held;2026-03-31 16:30;"

    assert recognised(row + "4,5").formats.has_decimal_comma
    assert recognised(row + "4,5\nr;held;2026-03-31 17:30;1,500").formats.has_decimal_comma
    assert not recognised(row + "4.5").formats.has_decimal_comma
    assert asked(row + "1,500").choices == ("--decimal-comma", "--no-decimal-comma")
    # Semicolons are Excel's where the comma is the decimal sign.
    assert asked(row + "1.500").choices == ("--decimal-comma", "--no-decimal-comma")
    assert not recognised(row + "1.500\nr;held;2026-03-31 17:30;4.5").formats.has_decimal_comma
    assert not recognised((row + "1.500").replace(";", ",")).formats.has_decimal_comma


def test_an_encoding_that_is_not_utf_8_is_asked_with_how_each_reads() -> None:
    head = "participant;name;consent\n"
    question = asked((head + "p-1;Jäger;yes").encode("cp1252"))

    assert (question.option, question.choices) == ("--encoding", ENCODINGS)
    assert "cp1252: 'p-1;Jäger;yes'" in question.text
    assert recognised((head + "p-1;Jörg;yes\n").encode() + b"p-2;J\xf6rg;yes").encoding == "utf-8"


@pytest.mark.parametrize(
    ("option", "defaults"),
    [
        ("--program", RowDefaults("urn:csv", "", "UTC")),
        ("--source", RowDefaults("", "spruce", "UTC")),
        ("--time-zone", RowDefaults("urn:csv", "spruce")),
    ],
)
def test_missing_options_are_asked(option: str, defaults: RowDefaults) -> None:
    assert asked(HEAD + "r;held;2026-03-31 16:30;4", TableOptions(defaults=defaults)).option == option


def test_times_with_their_offset_need_no_zone() -> None:
    given = TableOptions(defaults=RowDefaults("urn:csv", "spruce"))

    assert isinstance(detected(HEAD + "r;held;2026-03-31 16:30+02:00;4", given), DetectedTable)


def test_values_in_other_words_are_proposed_and_typing_errors_are_not() -> None:
    question = asked(HEAD + "r;stattgefunden;2026-03-31 16:30;4\nr;irgendwie;2026-03-31 16:30;4")

    assert question.option == "--columns"
    assert yaml.safe_load(question.proposal)["values"] == {"status": {"stattgefunden": "held"}}
    assert isinstance(detected(HEAD + "r;irgendwie;2026-03-31 16:30;4"), DetectedTable)


def test_an_unrecognisable_header_stops_the_import() -> None:
    with pytest.raises(ImportStoppedError, match="matches no known table"):
        detected("Foo;Bar\n1;2")


def test_the_guesses_are_of_our_columns_and_values() -> None:
    columns = {name: column for kind in KINDS.values() for name, column in kind.columns.items()}
    values = {value for kind in KINDS.values() for column in kind.columns.values() for value in column.values}

    assert set(COLUMN_WORDS) <= set(columns)
    assert {ours for words in VALUE_WORDS.values() for ours in words} <= values


@pytest.mark.parametrize("word", ["ausgefallen", "entfallen", "did not take place", "verschoben", "abwesend"])
def test_a_meeting_that_did_not_take_place_is_not_proposed_as_missed_by_anybody(word: str) -> None:
    assert guess_value(KINDS["sessions"].columns["status"], word) == ""


def test_a_mapping_file_is_read_as_text_only(tmp_path: Path) -> None:
    file = tmp_path / "columns.yaml"
    file.write_text("columns: {Ja/Nein: consent, Notiz: }\nvalues: {consent: {ja: yes, Nein: no}}\n")

    translation = read_translation([file])

    assert (translation.column("JA/nein"), translation.column("Notiz"), translation.column("name")) == (
        "consent",
        "",
        "name",
    )
    assert [translation.value("consent", text) for text in ("JA", "nein", "x")] == ["yes", "no", "x"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("columns: {a: b}", "no table has a column 'b'"),
        ("column: {a: name}", "column: is not known here"),
        ("columns: [a]", "columns: "),
        ("columns: {a: !!python/object:os.system x}", "no table has a column 'x'"),
        ("{", "cannot be read"),
        ("#" * 70_000, "has more than 65536 bytes"),
    ],
)
def test_an_invalid_mapping_file_is_reported_with_its_fault(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "columns.yaml").write_text(text)

    with pytest.raises(ImportStoppedError, match=words):
        read_translation([tmp_path / "columns.yaml"])


def test_without_a_terminal_a_question_names_what_to_give() -> None:
    with pytest.raises(ImportStoppedError) as stopped:
        question_handler()(OptionQuestion("--day-format", "which?", ("dd/mm/yyyy", "mm/dd/yyyy")))

    assert str(stopped.value) == "which?: give --day-format dd/mm/yyyy or --day-format mm/dd/yyyy"


@pytest.mark.parametrize("day_format", DAY_FORMATS)
def test_every_form_of_a_day_is_read(day_format: str) -> None:
    written = day_format.replace("yyyy", "2026").replace("yy", "26").replace("mm", "3").replace("dd", "09")
    written = written.replace("-3-", "-03-") if day_format == "yyyy-mm-dd" else written

    assert CellFormats(day_format).day(written) == "2026-03-09"
    assert CellFormats(day_format).day("2026-03-09") == "2026-03-09"
    assert CellFormats(day_format).timestamp(f"{written} 16:30+02:00", None) == "2026-03-09T14:30:00.000000Z"


@pytest.mark.parametrize(
    ("text", "utc"),
    [("3/9/2026 12:00 AM", "00:00"), ("3/9/2026 12:05 PM", "12:05"), ("3/9/2026, 1:30:15 p.m.", "13:30:15")],
)
def test_halves_of_a_day_are_read(text: str, utc: str) -> None:
    assert CellFormats("mm/dd/yyyy").timestamp(text, ZoneInfo("UTC")).startswith(f"2026-03-09T{utc}")


@pytest.mark.parametrize(
    "text", ["3/9/2026 13:30 PM", "3/9/2026 0:30 AM", "13/9/2026 10:00", "46090", "9.3.2026 10:00"]
)
def test_what_no_clock_shows_is_no_time(text: str) -> None:
    with pytest.raises(InvalidCellError, match="is no time"):
        CellFormats("mm/dd/yyyy").timestamp(text, None)


def test_numbers_with_a_comma_are_read_unless_they_may_be_two() -> None:
    formats = CellFormats(has_decimal_comma=True)

    assert [formats.number(text) for text in ("4,5", "1.234,5", "4.5", "7", "1.1250")] == [4.5, 1234.5, 4.5, 7, 1.125]
    for text in ("1.500", "1,2,3", "x"):
        with pytest.raises(InvalidCellError):
            formats.number(text)


def test_a_requested_kind_is_used() -> None:
    given = TableOptions(HeaderOptions("directory"), defaults=EVERY.defaults)

    assert recognised("participant;name;consent\n", given).header.kind.name == "directory"


RATED = "relationship,by,at,rating\n"


@pytest.mark.parametrize(
    ("ratings", "words"),
    [
        (["3", "8", "9"], "on which scale are the ratings? 8 (line 3) is not on that from 1 to 5"),
        (["0", "4", "0"], "on which scale are the ratings? 0 (line 2)"),
        (["3"] * 18 + ["10", "9"], "on which scale are the ratings? 10 (line 20)"),
    ],
)
def test_ratings_off_the_usual_scale_say_that_the_others_are_on_another(ratings: list[str], words: str) -> None:
    text = RATED + "\n".join(f"r,mentee,2026-03-0{1 + at % 9}T10:00:00Z,{one}" for at, one in enumerate(ratings))

    with pytest.raises(ImportStoppedError) as stopped:
        detected(text)

    assert words in str(stopped.value)
    assert "add the columns scale_min and scale_max" in str(stopped.value)


def test_a_typing_error_is_not_another_scale_and_a_given_scale_is_trusted() -> None:
    row = "r,mentee,2026-03-01T10:00:00Z,"

    recognised(RATED + "\n".join(f"{row}{one}" for one in ["3"] * 19 + ["44", "soon"]))
    recognised(RATED + f"{row}3\n{row}9\n{row}4")
    recognised(f"{RATED.strip()},scale_max\n{row}8,10")
    with pytest.raises(ImportStoppedError, match="on which scale"):
        detected(f"{RATED.strip()},scale_max\n{row}8,\n{row}3,\n{row}7,")


def test_empty_cells_do_not_affect_the_day_format() -> None:
    rows = ["23/04/2026 10:00", "00/01/1900", "31/12/9999", "NULL", "3/4/2026\u00a010:00"]

    assert recognised(HEAD + "\n".join(f"r;held;{one};45" for one in rows)).formats.day_format == "dd/mm/yyyy"


@pytest.mark.parametrize("written", [["0.4", "1"], ["0.25", "0", "0.5"]])
def test_shares_may_be_percentages_and_are_asked(written: list[str]) -> None:
    head = "relationship,goal_id,change,at,percent\n"

    with pytest.raises(ImportStoppedError) as stopped:
        detected(head + "\n".join(f"r,g,progressed,2026-03-01T10:00:00Z,{one}" for one in written))

    assert "less than one percent? Write" in str(stopped.value)
    for certain in (["0.4%", "1%"], ["0", "1"], ["0.5", "40"]):
        recognised(head + "\n".join(f"r,g,progressed,2026-03-01T10:00:00Z,{one}" for one in certain))


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        (["Jörg Groß", "Jürgen"], "cp1252"),
        (["Zoë", "André", "Müller \u2013 Lüdenscheid", "„Max“ Weiß"], "cp1252"),
        (["Šárka Dvořáková", "Łukasz Żółć"], "cp1250"),
        (["Jürgen", "José Ibáñez"], "mac_roman"),
        (["Jürgen", "André"], "cp850"),
        (["MÜLLER", "GROßE"], "cp1252"),
    ],
)
def test_an_encoding_in_which_alone_all_names_are_words_is_recognised(names: list[str], encoding: str) -> None:
    text = "participant;name;consent\r\n" + "\r\n".join(f"p-{place};{one};yes" for place, one in enumerate(names))

    found = recognised(text.encode(encoding))

    readings = {name.encode(encoding).decode(found.encoding) for name in names}
    assert readings == set(names)
    assert found.encoding in found.describe()


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        (["Y\u0131ld\u0131z"], "cp1254"),
        (["Petraitienė", "Žukas"], "cp1257"),
        (["Jānis"], "cp1257"),
        (["Волнов"], "cp1251"),
        (["Kovać"], "cp852"),
        (["Havlíček"], "mac_latin2"),
    ],
)
def test_names_that_would_read_as_others_of_the_west_are_asked(names: list[str], encoding: str) -> None:
    text = "participant;name;consent\n" + "".join(f"p-{at};{name};yes\n" for at, name in enumerate(names))

    assert asked(text.encode(encoding)).option == "--encoding"


@pytest.mark.parametrize("name", ["Hélène", "Jäger", "Nuñez", "Søren", "\x81"])
def test_names_that_read_as_words_in_two_encodings_are_asked(name: str) -> None:
    text = f"participant;name;consent\np-1;{name};yes".encode("latin-1")

    assert asked(text).option == "--encoding"


@pytest.mark.parametrize(
    "above",
    [
        "Personnel list of 1 March 2026\n",
        "Personnel list;;\r\nFilter: status = all;;\r\n\r\n",
        "sep=;\nPersonnel list\n;;\n",
        '"A title of\ntwo lines";;\n',
        "Name: Acme;Export of 2026-03-01;\n",
    ],
)
def test_a_header_below_titles_is_found(above: str) -> None:
    found = recognised(f"{above}participant;name;consent\np-1;A;yes\n")

    assert found.header.columns == ("participant", "name", "consent")
    assert found.header.last == above.count("\n") + 1
    assert f"header in line {found.header.last}" in found.describe()


def test_a_header_in_other_words_below_titles_is_proposed() -> None:
    question = asked("Treffen 2026\n\nTandem;Ergebnis;Datum\nr;held;2026-03-31 16:30\n")

    assert yaml.safe_load(question.proposal)["columns"] == {
        "Tandem": "relationship",
        "Ergebnis": "status",
        "Datum": "starts_at",
    }


def test_where_no_header_is_found_the_first_row_is_reported() -> None:
    with pytest.raises(ImportStoppedError, match="line 2: the header 'foo, bar' matches no known table"):
        detected("\nFoo;Bar\n1;2\n3;4\n")


def test_days_with_the_name_of_a_month_say_nothing_of_the_form_of_the_others() -> None:
    rows = ["23/04/2026 10:00", "20-Nov-2026 10:00", "Nov 20, 2026 4:30 PM", "3/4/2026 10:00"]
    found = recognised(HEAD + "\n".join(f"r;held;{one};45" for one in rows)).formats

    assert found.day_format == "dd/mm/yyyy"
    assert [found.timestamp(one, ZoneInfo("UTC"))[:16] for one in rows[1:3]] == ["2026-11-20T10:00", "2026-11-20T16:30"]
    assert CellFormats().day("20-Nov-26") == "2026-11-20"
