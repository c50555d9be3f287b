"""What a page hears while it is looked at: exactly what has changed, from where it left off."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx
from hypothesis import given
from hypothesis import strategies as st

from services.notify.board.changes import TopicPartition, format_positions, parse_positions
from services.notify.board.stream import MAX_PATCHED, MAX_STREAMS_OF_ONE
from tests.notify.board.conftest import Served
from tests.notify.board.world import World
from tests.notify.building import Pair, clock, hour

PLACES = st.dictionaries(
    st.builds(TopicPartition, st.sampled_from("snda"), st.integers(0, 99_999)), st.integers(0, 2**59), max_size=60
)


@dataclass(frozen=True)
class Message:
    id: str
    data: str


def messages(answer: httpx.Response) -> Iterator[Message]:
    """Of a stream of server-sent events; its pings are none."""
    id_, data = "", list[str]()
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if name == "id":
            id_ = value
        elif name == "data":
            data.append(value)
        elif not line and data:
            yield Message(id_, "\n".join(data))
            data = []


@contextmanager
def streaming(client: httpx.Client, path: str, **headers: str) -> Iterator[Iterator[Message]]:
    with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        yield messages(answer)


def begun(client: httpx.Client, path: str = "/") -> str:
    """The address of the stream of a page, as the page names it."""
    return client.get(path).text.partition('sse-connect="')[2].partition('"')[0].replace("&amp;", "&")


@given(PLACES)
def test_positions_are_read_as_they_were_written(positions: dict[TopicPartition, int]) -> None:
    assert parse_positions(format_positions(positions)) == positions


@given(st.text(max_size=200))
def test_any_text_is_read_as_positions(text: str) -> None:
    assert all(offset >= 0 for offset in parse_positions(text).values())


def test_a_change_is_sent_where_the_row_stands_with_the_position_as_its_id(site: Served) -> None:
    world, client = site.world, site.enter("p-3", "admin")
    world.low("4F2")

    with streaming(client, begun(client)) as found:
        first = next(found)
        world.apply(Pair().changed(hour(26), position=2, health=20.0), clock(hour(40)))
        second = next(found)

    assert "cells-" not in first.data
    assert f'id="cells-{world.key("4F2")}" hx-swap-oob="innerHTML" data-new="{world.key("4F2")}"' in second.data
    assert "health 20" in second.data
    assert parse_positions(second.id) == dict(world.state.positions())


def test_whoever_comes_back_gets_what_came_meanwhile_and_nothing_else(site: Served) -> None:
    world, client = site.world, site.enter("p-3", "admin")
    world.low("first", "second")
    address = begun(client)
    with streaming(client, address) as found:
        last = next(found)

    world.apply(Pair("second").changed(hour(26), position=2, health=22.0), clock(hour(40)))
    with streaming(client, address, **{"last-event-id": last.id}) as found:
        back = next(found)
    with streaming(client, address, **{"last-event-id": back.id}) as found:
        again = next(found)

    assert world.key("second") in back.data
    assert world.key("first") not in back.data
    assert "cells-" not in again.data


def test_from_the_address_of_the_page_nothing_is_missed(site: Served) -> None:
    world, client = site.world, site.enter("p-3", "admin")
    world.low("first")
    address = begun(client)

    world.low("second")

    with streaming(client, address) as found:
        assert f'data-new="{world.key("second")}"' in next(found).data


def test_only_rows_that_the_page_would_show_count_as_new(site: Served) -> None:
    world, client = site.world, site.enter("p-3", "admin")
    address = begun(client, "/?program=maple")

    world.low("4F2")
    world.low("7A1", program="maple")

    with streaming(client, address) as found:
        patch = next(found).data
    assert f'data-new="{world.key("7A1")}"' in patch
    assert world.key("4F2") not in patch


def test_the_page_of_an_alert_gets_its_changes_alone(site: Served) -> None:
    world, client = site.world, site.enter("p-3", "admin")
    world.low("first", "second")

    with streaming(client, begun(client, f"/alerts/{world.key('first')}")) as found:
        next(found)
        world.apply(Pair("second").changed(hour(26), position=2, health=22.0))
        other = next(found)
        world.apply(Pair("first").changed(hour(27), position=2, health=21.0), clock(hour(40)))
        own = next(patch for patch in itertools.islice(found, 5) if 'id="facts"' in patch.data)

    assert 'id="facts"' not in other.data
    assert "Health is 21 of 100" in own.data


def test_when_very_much_has_changed_the_page_says_so_and_a_patch_stays_small(site: Served) -> None:
    world, client = site.world, site.enter("p-3", "admin")
    address = begun(client)

    world.low(*(f"pair-{number}" for number in range(MAX_PATCHED + 20)))

    with streaming(client, address) as found:
        patch = next(found).data
    assert patch.count('id="cells-') == MAX_PATCHED
    assert "data-many" in patch


def test_a_stream_ends_with_the_session(site: Served) -> None:
    world, client = site.world, site.enter("p-3", "admin")

    with streaming(client, begun(client)) as found:
        next(found)
        world.now += timedelta(hours=13)
        assert list(found) == []


def test_one_person_has_so_many_streams_and_no_more(site: Served) -> None:
    client = site.enter("p-3", "admin")
    address = begun(client)

    with httpx.Client(
        base_url=site.url, cookies=client.cookies, timeout=30, limits=httpx.Limits(max_connections=None)
    ) as many:
        opened = [many.send(many.build_request("GET", address), stream=True) for _ in range(MAX_STREAMS_OF_ONE)]
        lines = [answer.iter_lines() for answer in opened]
        first = [next(one) for one in lines]
        refused = many.get(address)
        for answer in opened:
            answer.close()

    assert len(first) == MAX_STREAMS_OF_ONE
    assert refused.status_code == 503


def test_changes_are_those_beyond_a_position_however_they_are_asked_for() -> None:
    world = World()
    world.low("first")
    before, count = world.state.positions(), world.state.changes({}).count
    world.low("second")

    assert set(world.state.changes({}).keys) >= {"acme/first", "acme/second"}
    assert world.state.changes(before).keys == ["acme/second"]
    assert world.state.changes_after(count).keys == ["acme/second"]
    assert world.state.changes(world.state.positions()).keys == []
