"""What people set for themselves: on the page of their settings, and by the link in a mail."""

import httpx
import pytest

from services.notify.domain.preferences import SwitchedOff
from services.notify.domain.unsubscribe import UnsubscribeScope
from tests.notify.board.conftest import Served
from tests.notify.board.world import LEAVING, hidden_fields
from tests.notify.naming import participant

OF_RULE = UnsubscribeScope("acme", "p-3", "health_low", "4F2")


def link(leaving: UnsubscribeScope = OF_RULE) -> str:
    return f"/unsubscribe/{LEAVING.token(leaving)}"


def change(client: httpx.Client, act: str, **fields: str) -> str:
    given = {**hidden_fields(client, "/settings"), "back": "/settings", **fields}
    answer = client.post(f"/settings/{act}", data=given, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return answer.text


def off(site: Served, person: str = "p-3") -> tuple[SwitchedOff, ...]:
    return site.world.state.personal("acme", person).off


def test_a_page_says_who_is_notified_of_what_when_and_where(site: Served) -> None:
    site.world.people.upsert(participant("p-3", "Ines Ortiz", addresses=("ines@acme.example",)))
    client = site.enter("p-3", "viewer", "spruce")

    page = client.get("/settings").text

    assert "you are its coordinator" in page
    assert "ines@acme.example" in page
    assert "Nothing: you get all that is for you" in page
    assert 'href="/settings"' in client.get("/").text


def test_mails_are_switched_off_and_on_again_and_the_digest_gets_an_hour(acted_on: Served) -> None:
    client = acted_on.enter("p-3", "viewer", "spruce")

    assert "Health low" in change(client, "off", rule="health_low")
    assert off(acted_on) == (SwitchedOff(rule="health_low"),)
    page = change(client, "time", at="07:30")
    assert "<option selected>07:30" in page
    assert "Health low" in page

    change(client, "on", rule="health_low")

    assert off(acted_on) == ()
    assert str(acted_on.world.state.personal("acme", "p-3").digest_at) == "07:30:00"


def test_the_board_opens_with_what_somebody_wants_to_see_and_all_stays_a_click_away(acted_on: Served) -> None:
    world = acted_on.world
    world.low("mine")
    world.low("theirs", program="maple")
    client = acted_on.enter("p-4", "admin")

    page = change(client, "scope", scope="team")

    assert '<option value="team" selected>' in page
    opened = client.get("/", follow_redirects=True)
    assert str(opened.url).endswith("/?owner=team")
    assert "pair mine" in opened.text
    assert "pair theirs" not in opened.text
    assert 'href="/?owner=all"' in opened.text
    assert "pair theirs" in client.get("/?owner=all").text
    # Nobody else's board is another one.
    assert "pair theirs" in acted_on.enter("p-5", "admin").get("/").text

    change(client, "scope", scope="mine")
    assert "Nothing matches" in client.get("/", follow_redirects=True).text
    change(client, "scope", scope="all")
    assert "pair theirs" in client.get("/").text


def test_what_was_switched_off_is_on_again_within_ten_seconds(acted_on: Served) -> None:
    client = acted_on.enter("p-4", "viewer", "spruce")
    done = change(client, "off")
    assert off(acted_on, "p-4") == (SwitchedOff(),)
    notice = done.partition('name="notice" value="')[2].partition('"')[0]

    # Whoever may look only may still undo what is their own.
    answer = client.post("/undo", data={**hidden_fields(client), "notice": notice})

    assert answer.status_code == 303
    assert off(acted_on, "p-4") == ()


def test_one_click_in_a_mail_programme_is_enough_and_to_look_is_not(acted_on: Served) -> None:
    stranger = acted_on.stranger()

    looked = stranger.get(link())
    assert "No more mails of the rule “health low”" in looked.text
    assert off(acted_on) == ()
    answer = stranger.post(link(), data={"List-Unsubscribe": "One-Click"})

    assert answer.status_code == 200
    assert off(acted_on) == (SwitchedOff(rule="health_low"),)
    assert "You get no more mails of the rule" in answer.text

    stranger.post(link(), data={"what": "rule", "undo": "yes"})
    assert off(acted_on) == ()


@pytest.mark.parametrize(
    ("what", "meant"),
    [("pair", SwitchedOff(relationship="4F2")), ("all", SwitchedOff())],
)
def test_whoever_leaves_says_how_much(acted_on: Served, what: str, meant: SwitchedOff) -> None:
    acted_on.stranger().post(link(), data={"what": what})

    assert off(acted_on) == (meant,)


@pytest.mark.parametrize(
    "path",
    [
        "/unsubscribe/x",
        "/unsubscribe/W10.0000",
        link()[:-1],
        link(UnsubscribeScope("acme", "nobody", None, None)),
        link(UnsubscribeScope("globex", "p-3", None, None)),
        "/unsubscribe/" + "A" * 5_000,
    ],
)
def test_a_link_that_we_did_not_sign_or_of_somebody_who_is_no_more_leads_nowhere(site: Served, path: str) -> None:
    stranger = site.stranger()

    assert stranger.get(path).status_code == 404
    assert stranger.post(path, data={"what": "all"}).status_code == 404
    assert off(site) == ()


@pytest.mark.parametrize("fields", [{"what": "pair"}, {"what": "everything"}])
def test_of_a_mail_that_is_about_no_pair_none_can_be_left(site: Served, fields: dict[str, str]) -> None:
    assert site.stranger().post(link(UnsubscribeScope("acme", "p-3", None, None)), data=fields).status_code == 400


@pytest.mark.parametrize(
    ("act", "fields"),
    [("time", {"at": "half past"}), ("off", {"rule": "x" * 200}), ("scope", {"scope": "nobody"}), ("scope", {})],
)
def test_a_setting_that_cannot_be_is_refused(site: Served, act: str, fields: dict[str, str]) -> None:
    client = site.enter("p-3", "viewer", "spruce")

    assert client.post(f"/settings/{act}", data={**hidden_fields(client), **fields}).status_code == 400
    assert client.post("/settings/all", data={**hidden_fields(client)}).status_code == 404


def test_settings_are_changed_by_a_form_of_ones_own_session_only(site: Served) -> None:
    client, other = site.enter("p-3", "viewer", "spruce"), site.enter("p-4", "viewer", "spruce")

    assert client.post("/settings/off", data={"csrf": ""}).status_code == 403
    assert client.post("/settings/off", data={"csrf": hidden_fields(other)["csrf"]}).status_code == 403
    assert site.stranger().post("/settings/off", data={}).status_code == 401
    assert site.stranger().get("/settings").headers["location"].startswith("/login")
