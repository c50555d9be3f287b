from services.warehouse.domain.plan import Broken, Plan, broken, parse_metadata, plan

VALUES = [b"a", None, b"c"]
PLANNED = plan([5, 6, 7], VALUES)


def test_a_plan_is_parsed_from_its_offset_metadata() -> None:
    assert parse_metadata(5, PLANNED.to_metadata()) == PLANNED


def test_metadata_in_another_format_is_no_plan() -> None:
    assert parse_metadata(5, "") is None
    assert parse_metadata(5, "v2;last=7") is None


def test_the_same_records_fulfil_the_plan() -> None:
    assert broken(PLANNED, plan([5, 6, 7], VALUES), plain=True) is None


def test_another_content_breaks_the_plan_of_a_plain_topic() -> None:
    found = plan([5, 6, 7], [b"a", None, b"d"])

    assert broken(PLANNED, found, plain=True) == Broken("5..7 holds other records than were planned")


def test_fewer_records_break_the_plan_of_a_plain_topic_only() -> None:
    found = plan([5, 7], [b"a", b"c"])

    assert isinstance(broken(PLANNED, found, plain=True), Broken)
    assert broken(PLANNED, found, plain=False) is None


def test_a_range_that_begins_later_breaks_the_plan_of_a_plain_topic_only() -> None:
    found = plan([6, 7], [None, b"c"])

    assert broken(PLANNED, found, plain=True) == Broken("planned 5..7, the log gives 6..7")
    assert broken(PLANNED, found, plain=False) is None


def test_a_range_that_ends_elsewhere_breaks_every_plan() -> None:
    found = Plan(5, 8, 4, 0)

    assert broken(PLANNED, found, plain=False) == Broken("planned 5..7, the log gives 5..8")
