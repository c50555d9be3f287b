"""The sample history: selected, shifted and described as the demo promises."""

from datetime import UTC, date, datetime, timedelta

from deploy.local.demo import sample
from deploy.local.demo.people import participants_of
from schemas.directory import PersonDescription

TODAY = date(2026, 11, 24)


def test_the_sample_is_the_pairs_that_met_on_three_days_of_the_span() -> None:
    chosen = sample.contacts()

    assert len({contact.pair for contact in chosen}) == 250
    assert len(chosen) == 2833
    assert chosen == sorted(chosen, key=lambda contact: contact.time)


def test_the_shift_is_of_whole_days_and_ends_the_history_yesterday() -> None:
    chosen = sample.contacts()
    shift = sample.shift_to(TODAY, chosen)

    assert shift % timedelta(days=1) == timedelta()
    assert (chosen[-1].time + shift).date() == date(2026, 11, 23)
    assert sample.end_of(chosen, shift) == datetime(2026, 11, 24, tzinfo=UTC)


def test_the_first_contact_of_a_pair_also_starts_it() -> None:
    participants = list(sample.events(sample.contacts(), timedelta()))
    starts = [event for event in participants if event["type"] == "mentoring.relationship.started.v1"]

    assert len(starts) == 250
    assert len(participants) == 2833 + 250
    for event in starts:
        following = participants[participants.index(event) + 1]
        assert (following["subject"], following["time"]) == (event["subject"], event["time"])


def test_ids_are_unique_and_do_not_depend_on_the_day_of_the_demo() -> None:
    chosen = sample.contacts()
    now, later = (list(sample.events(chosen, timedelta(days=days))) for days in (0, 400))

    assert [event["id"] for event in now] == [event["id"] for event in later]
    assert len({event["id"] for event in now}) == len(now)
    assert [event["time"] for event in now] != [event["time"] for event in later]


def test_both_sides_of_every_pair_have_an_invented_name_of_their_own() -> None:
    chosen = sample.contacts()
    participants = participants_of(chosen)

    told_of = [event["data"] for event in sample.events(chosen, timedelta())]
    sides = {side for data in told_of for side in (*data.get("mentors", ()), *data.get("mentees", ()))}

    assert {one["id"] for one in participants} == sides
    assert all(PersonDescription.model_validate(one | {"id": None}, extra="ignore") for one in participants)
    assert participants_of(chosen) == participants
