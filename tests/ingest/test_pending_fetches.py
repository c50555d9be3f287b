"""Pending fetches: folded, bounded, and restored after a restart."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.ingest.domain.verdict import Rejected
from services.ingest.flow.tools import pending_fetches
from services.ingest.flow.tools.pending_fetches import Fetch, FetchKey, PendingFetches, note_of, oldest_noted
from services.ingest.flow.tools.statements import OpenedPayload
from services.ingest.sources.google_calendar import TOOL, GoogleCalendarSettings
from services.runtime.kafka import Partition, Record
from services.runtime.settings import Settings
from tests.ingest.fetching import Following, following
from tests.ingest.vendor_apis import Reply, Vendors, vendor_apis
from tests.receiver import eventually

HERE, THERE = Partition("mentoring.raw.google_calendar", 0), Partition("mentoring.raw.google_calendar", 1)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
POINTED = "calendars/c/events"


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with vendor_apis() as running:
        running.write("c")
        yield running


@pytest.fixture
def google(broker: Settings, vendors: Vendors) -> Iterator[Following]:
    with following(broker, TOOL, GoogleCalendarSettings(api_url=vendors.google)) as ready:
        yield ready


def fetch(google: Following, offset: int, resource: str = POINTED, partition: Partition = HERE) -> Fetch:
    record = Record(partition.topic, partition.number, offset, b"k", None, (), 0)
    payload = OpenedPayload(google.connection, google.connection.redact(b"{}", "application/json"))
    key = FetchKey(partition, google.connection.connection_scope.connection, resource)
    return Fetch(key, offset, record, payload, NOON + timedelta(minutes=offset), 1_000)


def test_several_notifications_of_one_resource_are_one_fetch_of_the_oldest_offset(google: Following) -> None:
    pending = PendingFetches(google.fetcher)

    for offset in (5, 6, 9):
        assert pending.add(fetch(google, offset)) is None
    pending.add(fetch(google, 7, "calendars/d/events"))
    pending.add(fetch(google, 2, partition=THERE))

    assert (len(pending), pending.oldest(HERE), pending.oldest(THERE)) == (3, 5, 2)
    pending.forget(HERE)
    assert (len(pending), pending.oldest(HERE), pending.oldest(THERE)) == (1, None, 2)


def test_what_comes_while_it_is_fetched_is_fetched_once_more(google: Following, vendors: Vendors) -> None:
    pending = PendingFetches(google.fetcher)
    pending.add(fetch(google, 1))
    pending.start()
    eventually(lambda: len(vendors.asked) == 1)
    google.clock.now = NOON
    pending.add(fetch(google, 2))

    eventually(lambda: [one.fetch.first for one in pending.done()] == [1])
    assert pending.oldest(HERE) == 1

    pending.start()
    eventually(lambda: list(pending.done()))
    assert (len(pending), len(vendors.asked)) == (0, 2)


def test_one_that_waits_is_tried_again_by_itself(google: Following, vendors: Vendors) -> None:
    vendors.scripted.extend([Reply(503)] * 2)
    pending = PendingFetches(google.fetcher)
    pending.add(fetch(google, 1))

    def tried() -> bool:
        pending.start()
        return bool(list(pending.done()))

    eventually(tried)
    assert len(pending) == 0
    assert len(vendors.asked) == 3


@pytest.mark.parametrize(("name", "most"), [("MOST", 2), ("MAX_OF_ONE", 2), ("MAX_OCTETS", 2_500)])
def test_more_than_is_remembered_is_put_aside_and_what_is_known_is_not(
    google: Following, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    monkeypatch.setattr(pending_fetches, name, most)
    pending = PendingFetches(google.fetcher)
    taken = [pending.add(fetch(google, offset, f"calendars/{offset}/events")) for offset in range(2)]

    refused = pending.add(fetch(google, 2, "calendars/2/events"))
    known = pending.add(fetch(google, 3, "calendars/1/events"))

    assert taken == [None, None]
    assert isinstance(refused, Rejected)
    assert (refused.reason, known) == ("unresolved", None)


def test_an_internal_error_is_logged_and_the_next_resource_is_fetched(google: Following, vendors: Vendors) -> None:
    pending = PendingFetches(google.fetcher)
    broken = fetch(google, 1)
    # Its connection has no settings of an API, which `sources` never lets happen.
    wrong = replace(google.connection, settings=None)  # type: ignore[arg-type]
    pending.add(replace(broken, payload=replace(broken.payload, connection=wrong)))
    pending.start()

    (ended,) = awaited(pending)
    pending.add(fetch(google, 2))
    pending.start()
    (after,) = awaited(pending)

    assert isinstance(ended.outcome, Rejected)
    assert "error of ours" in ended.outcome.errors[0].reason
    assert not isinstance(after.outcome, Rejected)
    assert vendors.asked


def awaited(pending: PendingFetches) -> list[pending_fetches.FinishedFetch]:
    found: list[pending_fetches.FinishedFetch] = []
    eventually(lambda: found.extend(pending.done()) or found)  # type: ignore[func-returns-value]
    return found


@pytest.mark.parametrize("oldest", [None, 0, 17, 2**62])
def test_the_oldest_is_noted_and_read_again(oldest: int | None) -> None:
    assert oldest_noted(note_of(oldest)) == oldest


@pytest.mark.parametrize("note", ["", "v2;waiting=3", "v1;waiting=-3", "v1;waiting=", "nonsense"])
def test_a_note_of_another_version_is_ignored(note: str) -> None:
    assert oldest_noted(note) is None
