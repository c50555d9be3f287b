"""Mail to a list of which the server takes some addresses, and others later or never: each has an outcome of its own,
and nobody gets a message twice."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from schemas.alerts import Delivery
from services.notify.domain.decisions import delivery_changed
from services.notify.domain.deliveries import GIVE_UP
from services.notify.domain.destinations import DestinationConfig
from services.notify.domain.name_book import Erased
from services.notify.domain.preferences import address_digest
from tests.notify.dispatching import Running, running, webhook
from tests.notify.sending import episode
from tests.notify.test_smtp import MailServer, options, serving
from tests.receiver import receiving

ANA, BEN, CAM = TO = ("ana@example.org", "ben@example.org", "cam@example.org")


@contextmanager
def list_of_three(*others: DestinationConfig, **fields: str) -> Iterator[tuple[MailServer, Running]]:
    with serving(MailServer()) as server:
        config = DestinationConfig("team", "smtp", options(server.port, to=TO), **fields)  # type: ignore[arg-type]
        with running(config, *others) as found:
            yield server, found


@pytest.fixture
def team() -> Iterator[tuple[MailServer, Running]]:
    with list_of_three() as found:
        yield found


def arrived(server: MailServer) -> Counter[str]:
    return Counter(address for _, to in server.envelopes for address in to)


def alone(found: Running, address: str) -> list[Delivery]:
    return [one for one in found.written.values() if one.address == address_digest("team", address)]


FULL = "452 4.2.2 mailbox full"


def put_off(server: MailServer, found: Running, message: Delivery) -> None:
    """Send a message to a list of which one mailbox is full."""
    server.answers[BEN] = FULL
    found.step([message])
    found.until(lambda: alone(found, BEN))


def test_only_the_address_that_was_put_off_gets_it_again(team: tuple[MailServer, Running]) -> None:
    server, found = team
    server.answers[BEN] = "451 4.7.1 greylisted"
    found.step(episode("smtp", "team")[:1])
    found.until(lambda: [one.attempt for one in alone(found, BEN)] > [2])
    server.answers.clear()

    found.until(lambda: found.states("team") == ["delivered"] * 2)

    assert arrived(server) == {ANA: 1, BEN: 1, CAM: 1}
    assert "SMTP 250, 1 of 3 addresses put off: SMTP 451 4.7.1" in found.statuses("team")
    assert found.dispatch.parked == {}


def test_two_that_are_put_off_are_two_outcomes_and_one_of_them_is_refused(team: tuple[MailServer, Running]) -> None:
    server, found = team
    server.answers |= {BEN: FULL, CAM: "450 4.7.1 greylisted"}
    found.step(episode("smtp", "team")[:1])
    found.until(lambda: alone(found, BEN) and alone(found, CAM))
    server.answers[CAM] = "550 5.1.1 no such user"
    found.until(lambda: [one.state for one in alone(found, CAM)] == ["dead"])
    server.answers.clear()

    found.until(lambda: [one.state for one in alone(found, BEN)] == ["delivered"])

    assert [one.status for one in alone(found, CAM)] == ["SMTP 550: no address takes mail"]
    assert arrived(server) == {ANA: 1, BEN: 1}


def test_an_address_is_given_up_alone_and_no_fallback_gets_what_the_others_have() -> None:
    with receiving() as receiver, list_of_three(webhook("hook", receiver.url), fallback="hook") as (server, found):
        server.answers[BEN] = FULL
        (fired, *_) = episode("smtp", "team")
        found.step([fired])
        found.until(lambda: alone(found, BEN))

        found.clock.ahead = GIVE_UP[fired.alert.urgency] + timedelta(minutes=10)
        found.until(lambda: [one.state for one in alone(found, BEN)] == ["dead"])
        found.step()

        assert alone(found, BEN)[0].status.endswith("attempts: SMTP 452 4.2.2")
        assert found.states("hook") == []
        assert receiver.calls == []
        assert arrived(server) == {ANA: 1, CAM: 1}


def test_an_address_gets_the_latest_of_an_episode_and_nothing_that_came_before_it(
    team: tuple[MailServer, Running],
) -> None:
    """After the end of an alert its beginning would be read as a new one."""
    server, found = team
    fired, _, resolved = episode("smtp", "team")
    put_off(server, found, fired)
    first = alone(found, BEN)[0].delivery_id
    # Until it is not in flight.
    found.until(lambda: found.written[first].state == "planned" and not found.dispatch.in_flight)

    found.step([resolved])
    found.until(lambda: len(alone(found, BEN)) == 2 and found.written[first].state == "superseded")
    server.answers.clear()
    found.until(lambda: {one.state for one in alone(found, BEN)} == {"superseded", "delivered"})

    assert found.written[first].status == "SMTP 452 4.2.2, and resolved came after it"
    assert arrived(server) == {ANA: 2, CAM: 2, BEN: 1}
    assert server.mails[-1]["Subject"] == server.mails[0]["Subject"]


def test_an_address_that_is_put_off_when_a_later_message_waits_already_gets_that_one_alone(
    team: tuple[MailServer, Running],
) -> None:
    server, found = team
    fired, _, resolved = episode("smtp", "team")
    server.answers[BEN] = FULL

    found.step([fired, resolved])
    found.until(lambda: [one.transition for one in alone(found, BEN) if one.attempt > 1] == ["resolved"])
    server.answers.clear()
    found.until(lambda: {one.state for one in alone(found, BEN)} == {"superseded", "delivered"})

    assert [one.transition for one in alone(found, BEN) if one.state == "superseded"] == ["fired"]
    assert arrived(server) == {ANA: 2, CAM: 2, BEN: 1}


def test_what_is_on_its_way_to_an_address_is_not_tried_again_after_a_later_message(
    team: tuple[MailServer, Running],
) -> None:
    server, found = team
    fired, _, resolved = episode("smtp", "team")
    put_off(server, found, fired)
    server.rcpt_seconds, before = 0.5, alone(found, BEN)[0].attempt
    found.until(lambda: alone(found, BEN)[0].attempt > before + 1 and alone(found, BEN)[0].state == "started")

    found.step([resolved])
    found.until(lambda: [one.state for one in alone(found, BEN) if one.transition == "fired"] == ["superseded"])
    server.answers.clear()
    found.until(lambda: set(found.states("team")) == {"superseded", "delivered"} and not found.dispatch.waiting)

    assert arrived(server) == {ANA: 2, CAM: 2, BEN: 1}


def test_an_earlier_message_that_is_sent_again_takes_nothing_from_an_address(
    team: tuple[MailServer, Running],
) -> None:
    """Somebody replays a dead letter: the address still gets what came after it."""
    server, found = team
    fired, escalated, _ = episode("smtp", "team")
    put_off(server, found, escalated)
    found.until(lambda: alone(found, BEN)[0].state == "planned" and not found.dispatch.in_flight)

    found.step([fired])
    found.until(lambda: arrived(server)[ANA] == 2)
    server.answers.clear()
    found.until(lambda: not found.dispatch.waiting)

    delivered = {one.transition for one in alone(found, BEN) if one.state == "delivered"}
    assert "escalated" in delivered


def test_of_a_pair_that_is_erased_meanwhile_nothing_is_left_for_an_address(team: tuple[MailServer, Running]) -> None:
    server, found = team
    (fired, *_) = episode("smtp", "team")
    server.answers[BEN], server.rcpt_seconds = FULL, 0.3
    found.step([fired])
    found.until(lambda: found.dispatch.in_flight)

    found.dispatch.forget([Erased("relationship", fired.tenant, fired.relationship)])
    found.until(lambda: not found.dispatch.waiting)

    assert found.written == {}
    assert found.gone == [fired.delivery_id]
    assert arrived(server) == {ANA: 1, CAM: 1}


def test_a_delivery_to_all_has_no_field_that_older_readers_refuse() -> None:
    """An instance of an earlier build that takes over for a while still reads and sends what is open."""
    (fired, *_) = episode("smtp", "team")

    assert "address" not in json.loads(fired.model_dump_json())
    assert "address" not in json.loads(delivery_changed(fired).model_dump_json())["data"]


def test_nothing_is_kept_about_addresses_whose_mail_has_ended(team: tuple[MailServer, Running]) -> None:
    server, found = team
    server.answers[BEN] = FULL
    found.step([episode("smtp", "team", f"pair-{number}")[0] for number in range(3)])
    found.until(lambda: len(alone(found, BEN)) == 3)
    server.answers.clear()

    found.until(lambda: not found.dispatch.waiting)

    outboxes = [queue.outbox for queue in vars(found.dispatch)["_queues"]]
    assert [vars(one)["_address_queues"] for one in outboxes] == [{}]


def test_after_a_restart_only_the_rest_is_sent(team: tuple[MailServer, Running]) -> None:
    server, found = team
    server.answers[BEN] = FULL
    found.step(episode("smtp", "team")[:1])
    found.until(lambda: alone(found, BEN) and not found.dispatch.in_flight)
    open_ = [one for one in found.written.values() if one.state in {"planned", "started"}]
    ended = [one for one in found.written.values() if one.state == "delivered"]

    config = DestinationConfig("team", "smtp", options(server.port, to=TO))
    with running(config, finished=ended) as again:
        server.answers.clear()
        again.step([one.model_copy(update={"state": "planned"}) for one in open_])
        again.until(lambda: again.states("team") == ["delivered"])

    assert arrived(server) == {ANA: 1, BEN: 1, CAM: 1}


def test_the_destination_is_not_in_trouble_where_one_mailbox_is_full(team: tuple[MailServer, Running]) -> None:
    server, found = team
    server.answers[BEN] = FULL
    found.step([episode("smtp", "team", f"pair-{number}")[0] for number in range(5)])
    found.until(lambda: len(alone(found, BEN)) == 5 and all(one.attempt > 2 for one in alone(found, BEN)))

    assert found.dispatch.parked == {}
    found.step([episode("smtp", "team", "another")[0]])
    found.until(lambda: arrived(server)[ANA] == 6)
