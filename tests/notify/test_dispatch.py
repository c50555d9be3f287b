"""Deliveries on their way: several destinations, real receivers, and what becomes of each delivery."""

import asyncio
import json
import re
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import pytest

from schemas.alerts import Delivery, DeliveryItem, Urgency
from services.notify.domain.deliveries import Verdict, start_attempt, without_relationships
from services.notify.domain.name_book import Erased, PairRecord
from services.notify.flow.dispatch import NOT_CONFIGURED
from services.notify.flow.senders import SenderPool
from tests.notify.building import day
from tests.notify.dispatching import chat, gate, running, webhook
from tests.notify.emulators import Emulator, Slack, Teams, emulating, teams_error
from tests.notify.naming import participant
from tests.notify.sending import episode
from tests.receiver import Call, Receiver, receiving


def urgent(delivery: Delivery, urgency: Urgency) -> Delivery:
    return delivery.model_copy(update={"alert": delivery.alert.model_copy(update={"urgency": urgency})})


@contextmanager
def two_receivers() -> Iterator[tuple[Receiver, Receiver]]:
    with receiving() as one, receiving() as other:
        yield one, other


def test_a_stuck_destination_holds_up_no_other() -> None:
    with two_receivers() as (stuck, well), gate() as opened:
        stuck.answer = lambda _: (200, {}) if opened.wait(60) else (500, {})
        with running(webhook("stuck", stuck.url), webhook("well", well.url)) as found:
            found.step([*episode("webhook", "stuck"), *episode("webhook", "well")])
            found.until(lambda: found.states("well") == ["delivered"] * 3)

            assert sorted(found.states("stuck")) == ["started"]
            opened.set()
            found.until(lambda: found.states("stuck").count("delivered") == 3)


def test_what_is_planned_now_is_started_in_the_same_step() -> None:
    with receiving() as receiver, running(webhook("hook", receiver.url)) as found:
        found.step(episode("webhook", "hook")[:1])

        assert found.history == [("hook", "fired", "started")]


def test_a_destination_that_fails_parks_loses_nothing_and_keeps_the_order() -> None:
    with receiving() as receiver:
        receiver.answer = lambda _: (410, {})
        with running(webhook("hook", receiver.url)) as found:
            found.step([one for name in ("a", "b", "c") for one in episode("webhook", "hook", name)])
            found.until(lambda: "hook" in found.dispatch.parked)
            assert found.dispatch.parked["hook"].reason == "HTTP 410"
            found.clock.ahead = timedelta(days=3)
            receiver.answer = lambda _: (200, {})
            found.until(lambda: found.states("hook") == ["delivered"] * 9)

            assert found.dispatch.parked == {}
        arrived = [json.loads(call.body) for call in receiver.calls[-9:]]
        for name in ("a", "b", "c"):
            types = [one["type"].rpartition(".")[2] for one in arrived if one["data"]["relationship"] == name]
            assert types == ["fired", "escalated", "resolved"]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_message_that_fails_is_dead_with_its_reason_and_the_next_one_goes(status: int) -> None:
    def answer(call: Call) -> tuple[int, Mapping[str, str]]:
        return (status, {}) if call.data["relationship"] == "bad" else (200, {})

    with receiving() as receiver, running(webhook("hook", receiver.url)) as found:
        receiver.answer = answer
        found.step([episode("webhook", "hook", "bad")[0], episode("webhook", "hook", "good")[0]])
        found.until(lambda: len([s for s in found.states("hook") if s in {"dead", "delivered"}]) == 2)

        assert sorted(found.states("hook")) == ["dead", "delivered"]
        assert f"HTTP {status}" in found.statuses("hook")


def test_a_redirect_is_a_destination_at_fault_and_is_not_followed() -> None:
    with two_receivers() as (one, other):
        one.answer = lambda _: (302, {"location": other.url})
        with running(webhook("hook", one.url)) as found:
            found.step(episode("webhook", "hook")[:1])
            found.until(lambda: "hook" in found.dispatch.parked)

            assert found.dispatch.parked["hook"].reason == "HTTP 302: redirects are not followed"
            assert other.calls == []


def test_a_receiver_that_fails_gets_the_same_bytes_again_under_the_same_id() -> None:
    with receiving() as receiver:
        answers = iter([500, 500, 200])
        receiver.answer = lambda _: (next(answers), {})
        with running(webhook("hook", receiver.url)) as found:
            found.step(episode("webhook", "hook")[:1])
            found.until(lambda: found.states("hook") == ["delivered"])

        assert len(receiver.calls) == 3
        assert len({(call.webhook_id, call.body) for call in receiver.calls}) == 1


def test_retry_after_holds_up_the_destination() -> None:
    with receiving() as receiver:
        receiver.answer = lambda _: (429, {"retry-after": "3600"})
        with running(webhook("hook", receiver.url)) as found:
            found.step(episode("webhook", "hook")[:1])
            found.until(lambda: found.states("hook") == ["planned"])
            found.step(episode("webhook", "hook", "other")[:1])

            assert len(receiver.calls) == 1
            receiver.answer = lambda _: (200, {})
            found.clock.ahead = timedelta(hours=1)
            found.until(lambda: found.states("hook") == ["delivered"] * 2)


@contextmanager
def resetting() -> Iterator[tuple[str, list[bytes]]]:
    """A receiver that reads a request and resets the connection instead of answering."""
    taken: list[bytes] = []
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)

        def read(caller: socket.socket, so_far: bytes) -> bytes:
            return so_far + caller.recv(1 << 20)

        def serve() -> None:
            while not stop.is_set():
                try:
                    caller, _ = server.accept()
                except TimeoutError:
                    continue
                with caller:
                    head, _, body = read(caller, b"").partition(b"\r\n\r\n")
                    length = int(re.search(rb"content-length: (\d+)", head.lower())[1])  # type: ignore[index]
                    while len(body) < length:
                        body = read(caller, body)
                    taken.append(head + body)
                    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/hook", taken
        finally:
            stop.set()
            thread.join(5)


def test_after_a_reset_a_keyed_channel_sends_again_under_the_same_key() -> None:
    with resetting() as (url, taken), running(webhook("hook", url)) as found:
        found.step(episode("webhook", "hook")[:1])
        found.until(lambda: len(taken) >= 3)

        keys = {line for one in taken for line in one.split(b"\r\n") if line.startswith(b"webhook-id")}
        assert len(keys) == 1


@pytest.mark.parametrize(("urgency", "attempts"), [("P2", 2), ("P3", 1)])
def test_after_a_reset_a_channel_without_keys_sends_once_more_if_somebody_waits_for_it(
    urgency: Urgency, attempts: int
) -> None:
    with resetting() as (url, taken), running(chat("chat", "slack", url)) as found:
        found.step([urgent(episode("slack", "chat")[0], urgency)])
        found.until(lambda: len(taken) == attempts and found.states("chat") == ["unknown"])
        found.clock.ahead = timedelta(hours=1)
        found.step()

        assert len(taken) == attempts
        assert ["may be a repeat" in one.decode() for one in taken] == [False, True][:attempts]


@pytest.mark.parametrize(("urgency", "states"), [("P2", ["delivered"]), ("P3", ["unknown"])])
def test_what_a_crash_has_interrupted_is_unknown_after_the_restart(urgency: Urgency, states: list[str]) -> None:
    with emulating(Slack()) as slack, running(chat("chat", "slack", slack.url)) as found:
        found.step([start_attempt(urgent(episode("slack", "chat")[0], urgency), day(9))])
        found.until(lambda: found.states("chat") == states)

        assert len(slack.accepted) == (urgency == "P2")
        assert ("may be a repeat" in str(slack.accepted)) is (urgency == "P2")


@pytest.mark.parametrize(("urgency", "state"), [("P2", "superseded"), ("P3", "unknown")])
def test_the_end_of_an_episode_supersedes_a_notice_that_would_be_sent_again(urgency: Urgency, state: str) -> None:
    fired, _, resolved = (urgent(one, urgency) for one in episode("slack", "chat"))
    with emulating(Slack()) as slack, running(chat("chat", "slack", slack.url)) as found:
        found.step([start_attempt(fired, day(9)), resolved])
        found.until(lambda: found.written[resolved.delivery_id].state == "delivered")

        assert found.written[fired.delivery_id].state == state
        assert len(slack.accepted) == 1


def test_a_p1_falls_back_after_two_minutes_and_the_fallback_gets_the_end() -> None:
    fired, _, resolved = (urgent(one, "P1") for one in episode("slack", "chat"))
    with emulating(Slack()) as slack, receiving() as on_call:
        slack.fault = (403, {}, b"invalid_token")
        first = chat("chat", "slack", slack.url, fallback="on-call")
        with running(first, webhook("on-call", on_call.url, gets_alerts=False)) as found:
            found.step([fired])
            found.until(lambda: "chat" in found.dispatch.parked)
            assert on_call.calls == []
            found.clock.ahead = timedelta(minutes=2, seconds=5)
            found.until(lambda: found.states("on-call") == ["delivered"])

            found.step([resolved])
            found.until(lambda: found.states("on-call") == ["delivered"] * 2)
            assert [call.data["dedup_key"] for call in on_call.calls] == [fired.dedup_key] * 2
            slack.fault = None
            found.clock.ahead = timedelta(hours=3)
            found.until(lambda: found.states("chat") == ["delivered"] * 2)

        # The destination is back: it gets both, and the stand-in nothing twice.
        assert len(slack.accepted) == len(on_call.calls) == 2


def test_a_dead_message_goes_to_the_fallback_at_once_and_no_further() -> None:
    with receiving() as receiver, emulating(Teams()) as teams:
        receiver.answer = lambda _: (422, {})
        teams.fault = teams_error(400, "TriggerInputSchemaMismatch")
        loop = webhook("hook", receiver.url, fallback="chat"), chat("chat", "teams", teams.url, fallback="hook")
        with running(*loop) as found:
            found.step(episode("webhook", "hook")[:1])
            found.until(lambda: found.states("chat") == ["dead"])
            found.step()

            assert found.states("hook") == ["dead"]
            assert (len(receiver.calls), teams.attempts) == (1, 1)


def test_what_waits_for_a_destination_that_is_taken_away_is_dead_and_listed() -> None:
    with receiving() as receiver:
        receiver.answer = lambda _: (503, {"retry-after": "60"})
        with running(webhook("hook", receiver.url)) as found:
            found.step(episode("webhook", "hook"))
            found.until(lambda: "planned" in found.states("hook"))
            found.dispatch.configure([])
            found.step()
            found.step(episode("webhook", "hook", "late")[:1])

            assert found.statuses("hook") == [NOT_CONFIGURED] * 4
            assert found.dispatch.waiting == 0


def test_a_destination_that_was_mended_is_tried_at_once() -> None:
    with two_receivers() as (wrong, right):
        wrong.answer = lambda _: (429, {"retry-after": "3600"})
        with running(webhook("hook", wrong.url)) as found:
            found.step(episode("webhook", "hook"))
            found.until(lambda: found.states("hook") == ["planned"])
            found.dispatch.configure([webhook("hook", right.url)])

            found.until(lambda: found.states("hook") == ["delivered"] * 3)
        assert len(right.calls) == 3


def test_an_old_record_that_names_the_address_reaches_the_destination_that_has_it() -> None:
    with receiving() as receiver, running(webhook("hook", receiver.url)) as found:
        old = episode("webhook", receiver.url)[0]
        found.step([old])
        found.until(lambda: found.states("hook") == ["delivered"])

        assert found.written[old.delivery_id].recipient == "hook"
        assert receiver.calls[0].webhook_id == old.delivery_id


def test_what_ended_30_days_ago_gets_a_tombstone() -> None:
    with receiving() as receiver, running(webhook("hook", receiver.url)) as found:
        fired = episode("webhook", "hook")[0]
        found.step([fired])
        found.until(lambda: found.states("hook") == ["delivered"])
        found.clock.ahead = timedelta(days=29, hours=23)
        found.step()
        assert found.gone == []
        found.clock.ahead = timedelta(days=30, hours=1)
        found.step()

        assert found.gone == [fired.delivery_id]


def test_a_dead_letter_that_is_replayed_arrives_under_its_id_and_twice_is_as_once() -> None:
    with receiving() as receiver, running(webhook("hook", receiver.url)) as found:
        receiver.answer = lambda _: (422, {})
        fired = episode("webhook", "hook")[0]
        found.step([fired])
        found.until(lambda: found.states("hook") == ["dead"])
        receiver.answer = lambda _: (200, {})
        found.dispatch.replay(fired)
        found.dispatch.replay(fired)
        found.until(lambda: found.states("hook") == ["delivered"])

        assert [call.webhook_id for call in receiver.calls] == [fired.delivery_id] * 2


def named(slack: Emulator) -> str:
    return str(slack.accepted)


def test_a_person_who_is_erased_is_in_nothing_that_is_kept_or_still_sent() -> None:
    fired, _, resolved = episode("slack", "chat")
    with emulating(Slack()) as slack, running(chat("chat", "slack", slack.url)) as found:
        found.people.upsert(participant("p-1", "Ana Ruiz"))
        found.people.upsert_pair("acme", "4F2", PairRecord(("p-1",), ()))
        found.step([fired])
        found.until(lambda: found.states("chat") == ["delivered"])
        assert "Ana Ruiz" in named(slack)
        assert "Ana Ruiz" in (found.written[fired.delivery_id].body or "")
        # One that has failed once is rendered already, and waits with the name in it.
        slack.fault = (503, {"retry-after": "60"}, b"")
        found.clock.ahead = timedelta(seconds=5)
        found.step([resolved])
        found.until(lambda: found.written[resolved.delivery_id].state == "planned")
        assert "Ana Ruiz" in (found.written[resolved.delivery_id].body or "")

        found.people.forget("acme", "p-1")
        found.dispatch.forget([Erased("person", "acme", "p-1")])
        found.step()
        assert fired.delivery_id in found.gone
        assert found.written[resolved.delivery_id].body is None
        slack.fault = None
        found.clock.ahead = timedelta(minutes=2)
        found.until(lambda: found.written[resolved.delivery_id].state == "delivered")

        assert "Ana Ruiz" not in str(slack.accepted[1:])


def test_of_an_erased_relationship_nothing_is_sent_or_kept_but_the_end_of_its_alert() -> None:
    fired, escalated, resolved = episode("webhook", "hook")
    with receiving() as receiver, running(webhook("hook", receiver.url)) as found:
        found.step([fired])
        found.until(lambda: found.states("hook") == ["delivered"])
        receiver.answer = lambda _: (503, {"retry-after": "60"})
        found.step([escalated, resolved])
        found.until(lambda: found.written[escalated.delivery_id].state == "planned")

        found.dispatch.forget([Erased("relationship", "acme", "4F2")])
        receiver.answer = lambda _: (200, {})
        found.until(lambda: len(receiver.calls) == 3)
        found.until(lambda: len(found.gone) == 3)

        assert [call.verified()["type"] for call in receiver.calls][-1] == "mentoring.alert.resolved"
        assert found.written == {}
        found.step(episode("webhook", "hook")[:1])
        found.step()
        assert len(receiver.calls) == 3


def test_an_error_of_ours_makes_a_dead_letter_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Delivery:
        raise RuntimeError("Ana Ruiz cannot be rendered")

    with receiving() as receiver, running(webhook("hook", receiver.url)) as found:
        monkeypatch.setattr("services.notify.rendering.renderer.webhook_body", broken)
        found.step(episode("webhook", "hook")[:1])
        monkeypatch.undo()
        found.step(episode("webhook", "hook", "other")[:1])
        found.until(lambda: sorted(found.states("hook")) == ["dead", "delivered"])

        (status,) = [status for status in found.statuses("hook") if "rendered" in status]
        assert status.startswith("cannot be rendered: RuntimeError at tests/notify/test_dispatch.py")


def test_an_error_of_ours_while_sending_makes_a_dead_letter_and_says_nothing_of_the_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiving() as receiver, running(webhook("hook", receiver.url)) as found:
        monkeypatch.setattr("services.notify.rendering.renderer.webhook_body", lambda *_: "Ana \udc80")
        found.step(episode("webhook", "hook")[:1])
        found.until(lambda: found.states("hook") == ["dead"])

        assert found.statuses("hook")[0].startswith("an error of ours: UnicodeEncodeError at services/notify/channels")


def test_what_hangs_at_a_destination_that_is_taken_away_ends_too() -> None:
    with receiving() as receiver, gate() as opened:
        receiver.answer = lambda _: (200, {}) if opened.wait(60) else (500, {})
        with running(webhook("hook", receiver.url)) as found:
            found.step(episode("webhook", "hook"))
            found.until(lambda: receiver.calls)
            found.dispatch.configure([])
            found.until(lambda: found.states("hook") == ["dead"] * 3)

            assert set(found.statuses("hook")) == {NOT_CONFIGURED}


def test_a_destination_that_comes_back_while_it_leaves_stays() -> None:
    with receiving() as receiver, gate() as opened:
        receiver.answer = lambda _: (200, {}) if opened.wait(60) else (500, {})
        config = webhook("hook", receiver.url)
        with running(config) as found:
            found.step(episode("webhook", "hook")[:1])
            found.until(lambda: receiver.calls)
            found.dispatch.configure([])
            found.dispatch.configure([config])
            opened.set()

            found.until(lambda: found.states("hook") == ["delivered"])


def test_a_fallback_that_must_not_see_a_tenant_gets_nothing_of_it() -> None:
    with two_receivers() as (one, other):
        one.answer = lambda _: (422, {})
        first = webhook("hook", one.url, fallback="foreign")
        with running(first, webhook("foreign", other.url, gets_alerts=False, tenant="other")) as found:
            found.step(episode("webhook", "hook")[:1])
            found.until(lambda: found.states("hook") == ["dead"])
            found.step()

            assert other.calls == []


def test_a_list_goes_on_without_the_relationship_that_was_erased() -> None:
    first, other = episode("slack", "chat")[0], episode("slack", "chat", "9TB")[0]
    item = DeliveryItem(program="spruce", relationship="9TB", alert=other.alert)
    with emulating(Slack()) as slack, running(chat("chat", "slack", slack.url)) as found:
        found.dispatch.forget([Erased("relationship", "acme", "4F2")])
        found.step([first.model_copy(update={"items": (item,)})])
        found.until(lambda: found.states("chat") == ["delivered"])

        assert "9TB" in slack.accepted[0]["text"]
        assert "4F2" not in str(slack.accepted)


def test_what_a_list_leaves_out_leaves_the_rest_in_its_order() -> None:
    first, *others = (episode("slack", "chat", name)[0] for name in ("a", "b", "c"))
    items = tuple(DeliveryItem(program="spruce", relationship=o.relationship, alert=o.alert) for o in others)
    all_ = first.model_copy(update={"items": items})

    left = {name: without_relationships(all_, {name}) for name in ("a", "b", "z")}

    assert [left["a"].relationship, *(i.relationship for i in left["a"].items)] == ["b", "c"]  # type: ignore[union-attr]
    assert [left["b"].relationship, *(i.relationship for i in left["b"].items)] == ["a", "c"]  # type: ignore[union-attr]
    assert left["z"] == all_
    assert without_relationships(all_, {"a", "b", "c"}) is None


def test_a_receiver_that_hangs_counts_as_down_and_gets_one_at_a_time() -> None:
    with receiving() as receiver, gate() as opened:
        receiver.answer = lambda _: (200, {}) if opened.wait(60) else (500, {})
        config = webhook("hook", receiver.url, seconds=0.2)
        with running(config) as found:
            found.step([episode("webhook", "hook", f"pair-{number}")[0] for number in range(20)])
            found.until(lambda: "hook" in found.dispatch.parked)
            assert found.dispatch.parked["hook"].reason == "Timeout: no answer within 0.2 s"
            found.until(lambda: found.states("hook").count("started") <= 1)
            opened.set()

            found.until(lambda: found.states("hook") == ["delivered"] * 20)
            assert found.dispatch.parked == {}


class SlowToClose:
    """A destination that takes its time to say good-bye."""

    def __init__(self) -> None:
        self.closed = False

    async def send(self, delivery: Delivery) -> Verdict:
        raise AssertionError(delivery)

    async def close(self) -> None:
        await asyncio.sleep(0.2)
        self.closed = True


def test_a_stop_waits_for_a_destination_that_was_changed_just_before() -> None:
    channel, pool = SlowToClose(), SenderPool(lambda: day(0))
    sender = pool.open(lambda: channel)

    pool.close(sender, 1)
    pool.stop([], 1)

    assert channel.closed
