"""What people do on the board reaches notify, is answered row by row, and leads back for ten seconds."""

from collections.abc import Sequence
from datetime import timedelta

import httpx
import pytest

from schemas.alerts import Delivery
from services.notify.board.access import DEVELOPER
from services.notify.board.alert_commands import ActInvalidError, prepare_act
from services.notify.domain.deliveries import AttemptResult, DeliveryAccepted, apply_result, mark_dead, start_attempt
from services.notify.flow.command_processor import HEADER, REPLAY
from services.runtime.kafka import Record, read_to_end
from tests.notify.board.conftest import Served
from tests.notify.board.world import World, hidden_fields
from tests.notify.building import day
from tests.notify.sending import episode


def act(client: httpx.Client, path: str, **fields: str) -> str:
    """The page that comes after."""
    answer = client.post(path, data={**hidden_fields(client), **fields}, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return answer.text


def commands(site: Served) -> Sequence[Record]:
    return list(read_to_end(site.settings, [site.world.names.commands]))


def test_an_alert_is_acknowledged_and_taken_back_within_ten_seconds(acted_on: Served, pair: str) -> None:
    world, client = acted_on.world, acted_on.enter("p-3", "coordinator", "spruce")
    world.low(pair)
    key = world.key(pair)

    done = act(client, f"/alerts/{key}/acknowledge", back=f"/alerts/{key}")

    (alert,) = world.state.alerts()
    assert (alert.handling.state, alert.handling.by) == ("acknowledged", "p-3")
    assert "Acknowledged: pair" in done
    assert "Ines Ortiz acknowledged it" in done
    notice = done.partition('name="notice" value="')[2].partition('"')[0]

    undone = act(client, "/undo", notice=notice, back="/")

    (alert,) = world.state.alerts()
    assert alert.handling.state == "open"
    assert "Undone" in undone


def test_after_ten_seconds_there_is_no_way_back(acted_on: Served, pair: str) -> None:
    world, client = acted_on.world, acted_on.enter("p-3", "admin")
    world.low(pair)
    done = act(client, f"/alerts/{world.key(pair)}/acknowledge")
    notice = done.partition('name="notice" value="')[2].partition('"')[0]

    world.now += timedelta(seconds=14)
    answer = client.post("/undo", data={**hidden_fields(client), "notice": notice})

    assert answer.status_code == 400
    assert world.state.alerts()[0].handling.state == "acknowledged"


def test_each_act_does_what_it_says(acted_on: Served, pair: str) -> None:
    world, client = acted_on.world, acted_on.enter("p-3", "coordinator", "spruce")
    world.low(pair)
    page = f"/alerts/{world.key(pair)}"

    act(client, f"{page}/snooze", until="1w", wakes_on="change")
    assert world.state.alerts()[0].handling.until == world.now + timedelta(weeks=1)
    act(client, f"{page}/unacknowledge")
    act(client, f"{page}/assign", assignee="p-4")
    assert world.state.alerts()[0].handling.assignee == "p-4"
    act(client, f"{page}/note", note="call\nthem <b>")
    assert world.state.alerts()[0].note == "call them <b>"
    act(client, f"{page}/vote", useful="no", reason="knew")

    text = client.get(page).text
    assert "Ines Ortiz gave it to Noor Haddad" in text
    assert "call them &lt;b&gt;" in text
    assert "called it not useful: it was known" in text
    rules = client.get("/rules").text
    assert "0 of 1" in rules
    assert "What became of them: it was known 1" in rules
    assert "Health at or below 40 for 24 h is P3" in rules
    assert pair in client.get("/?owner=all").text
    assert pair not in client.get("/?owner=mine").text


def test_a_form_that_is_sent_twice_is_one_command(acted_on: Served, pair: str) -> None:
    world, client = acted_on.world, acted_on.enter("p-3", "admin")
    world.low(pair)
    fields, before = hidden_fields(client), len(commands(acted_on))

    for _ in range(2):
        client.post(f"/alerts/{world.key(pair)}/acknowledge", data=fields)

    assert len(commands(acted_on)) == before + 1


def test_two_hundred_at_once_have_a_result_each(acted_on: Served, pair: str) -> None:
    world, client = acted_on.world, acted_on.enter("p-3", "coordinator", "spruce")
    world.low(*(f"{pair}-{number}" for number in range(200)))
    keys = [world.key(f"{pair}-{number}") for number in range(200)]
    act(client, f"/alerts/{keys[0]}/acknowledge")

    answer = client.post(
        "/alerts", data={**hidden_fields(client), "act": "acknowledge", "key": keys}, follow_redirects=True
    )

    assert "Acknowledged: 199 of 199; 1 could not be done" in answer.text
    assert answer.text.count("that cannot be done with it as it is") == 1
    assert all(alert.handling.state == "acknowledged" for alert in world.state.alerts())


def test_a_silence_is_previewed_put_and_ended(acted_on: Served, pair: str) -> None:
    world, client = acted_on.world, acted_on.enter("p-3", "coordinator", "spruce")
    world.low(f"{pair}-1", f"{pair}-2")
    wanted = {"program": "spruce", "rule": "health_low", "until": "3d", "note": "a fair"}

    assert "would mute 2 open alerts" in act(client, "/silences/preview", **wanted)
    assert world.state.silences() == []
    act(client, "/silences", **wanted, back="/silences")
    (silence,) = world.state.silences()
    assert (silence.program, silence.rule, silence.until) == ("spruce", "health_low", world.now + timedelta(days=3))

    act(client, f"/silences/acme/{silence.id}/end", back="/silences")

    assert world.state.silences() == []


def test_dead_letters_are_sent_again_and_discarded_by_an_admin(acted_on: Served, pair: str) -> None:
    world, client = acted_on.world, acted_on.enter("p-9", "admin")
    letters = [mark_dead(episode("webhook", "there", f"{pair}-{n}")[0], "HTTP 422", day(2)) for n in range(2)]
    for letter in letters:
        world.deliver(letter)
    assert "HTTP 422" in client.get("/deliveries").text

    act(client, f"/deliveries/{letters[0].delivery_id}/replay")
    act(client, f"/deliveries/{letters[1].delivery_id}/discard")

    topic = read_to_end(acted_on.settings, [world.names.deliveries])
    last = {record.key: record for record in topic}
    again = last[letters[0].delivery_id.encode()]
    assert again.headers == ((HEADER, REPLAY),)
    assert Delivery.model_validate_json(again.value or b"").state == "planned"
    assert last[letters[1].delivery_id.encode()].value is None


def test_an_end_that_pagerduty_may_have_dropped_is_sent_again_by_an_admin(acted_on: Served, pair: str) -> None:
    world, client = acted_on.world, acted_on.enter("p-9", "admin")
    fired, _, resolved = episode("pagerduty", "on-call", pair)
    arrived = AttemptResult(DeliveryAccepted("HTTP 202"), day(2), 0.1)
    for one in (fired, resolved):
        world.deliver(apply_result(start_attempt(one, day(2)), arrived, 0.0))
    page = client.get("/deliveries?show=all").text
    assert page.count("Resolve again:") == 1

    act(client, f"/deliveries/{resolved.delivery_id}/replay")
    refusal = client.post(f"/deliveries/{fired.delivery_id}/replay", data=hidden_fields(client))
    discarded = client.post(f"/deliveries/{resolved.delivery_id}/discard", data=hidden_fields(client))

    last = {record.key: record for record in read_to_end(acted_on.settings, [world.names.deliveries])}
    assert last[resolved.delivery_id.encode()].headers == ((HEADER, REPLAY),)
    assert (refusal.status_code, discarded.status_code) == (400, 400)


def test_where_the_log_takes_nothing_it_says_so_and_nothing_is_done(site: Served) -> None:
    client = site.enter("p-9", "admin")
    site.world.low("4F2")

    answer = client.post(f"/alerts/{site.world.key('4F2')}/acknowledge", data=hidden_fields(client))

    assert answer.status_code == 503
    assert "nothing was done" in answer.text
    assert "4F2" in client.get("/").text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"act": "snooze", "until": "forever"}, "until: choose one of"),
        ({"act": "note", "note": "  "}, "the note is empty"),
        ({"act": "note", "note": "x" * 501}, "note"),
        ({"act": "assign", "assignee": "two words"}, "assignee"),
        ({"act": "vote", "useful": "yes", "reason": "because"}, "reason"),
        ({"act": "erase"}, "there is no such act"),
    ],
)
def test_what_makes_no_act_is_refused_with_its_reason(fields: dict[str, str], words: str) -> None:
    world = World()
    world.low("4F2")
    (known,) = world.state.alerts()

    with pytest.raises(ActInvalidError, match=words):
        prepare_act(known, fields, (DEVELOPER, "0" * 32, world.now))
