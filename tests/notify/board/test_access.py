"""Nobody reaches what is not theirs, by no route: a test for each line of the list of all routes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import httpx
import pytest
from fastapi.routing import APIRoute

from schemas.alert_commands import AlertSilence
from schemas.alerts import Alert, DeliveryItem
from schemas.tokens import BoardRole
from services.notify.board.access import SESSION
from services.notify.board.service import create_app
from services.notify.domain.deliveries import mark_dead
from tests.notify.board.conftest import Served
from tests.notify.board.world import hidden_fields
from tests.notify.building import day
from tests.notify.sending import episode

BY_A_SIGNED_LINK = frozenset({"GET /unsubscribe/{token}", "POST /unsubscribe/{token}"})
"""Of mails: without a session, for the person that the link names, which test_personal shows."""
OWN = frozenset({"GET /settings", "POST /settings/{act}"})
"""Of whoever is signed in, and of nobody else."""
PUBLIC = frozenset({"GET /login", "POST /login", "GET /static/{name}", "GET /favicon.svg", "GET /healthz"})
WITHOUT_OBJECTS = frozenset(
    {"GET /", "GET /programmes", "GET /silences", "GET /deliveries", "GET /rules", "GET /status", "POST /logout"}
)
"""Pages of what the person may see: they list nothing of others, which the last test shows."""


@dataclass(frozen=True)
class Reach:
    """One request for what is not the person's."""

    route: str
    path: str
    fields: Mapping[str, str] = field(default_factory=dict)

    def send(self, client: httpx.Client, **given: str) -> httpx.Response:
        if self.route.startswith("GET"):
            return client.get(self.path)
        return client.post(self.path, data={**self.fields, **given})


@pytest.fixture
def foreign(site: Served) -> list[Reach]:
    """Everything of maple, as somebody of spruce would ask for it."""
    world = site.world
    world.low("mine")
    world.name("theirs", "Xenia Young", "Yuri Zander")
    world.low("theirs", program="maple")
    letter = mark_dead(episode("webhook", "there", "theirs")[0], "HTTP 422", day(2)).model_copy(
        update={"program": "maple"}
    )
    world.deliver(letter)
    world.silence(
        AlertSilence(id="quiet", tenant="acme", program="maple", by="p-5", since=day(0), until=day(9), note="fair")
    )
    world.silence(AlertSilence(id="one", tenant="acme", relationship="theirs", by="p-5", since=day(0), until=day(9)))
    key, sent = world.key("theirs"), letter.delivery_id
    return [
        Reach("GET /alerts/{key}", f"/alerts/{key}"),
        Reach("GET /relationships/{tenant}/{relationship}", "/relationships/acme/theirs"),
        Reach("GET /programmes/{tenant}/{program}", "/programmes/acme/maple"),
        Reach("GET /stream", f"/stream?view=alert&key={key}"),
        Reach("GET /stream", "/stream?view=relationship&tenant=acme&relationship=theirs"),
        Reach("GET /stream", "/stream?view=relationship&tenant=acme&program=maple"),
        Reach("GET /stream", "/stream?view=now&program=maple"),
        *(
            Reach("POST /alerts/{key}/{act}", f"/alerts/{key}/{act}", {"until": "1d", "note": "x", "reason": "knew"})
            for act in ("acknowledge", "unacknowledge", "snooze", "assign", "note", "vote")
        ),
        Reach(
            "POST /relationships/{tenant}/{relationship}/met", "/relationships/acme/theirs/met", {"day": "2024-05-01"}
        ),
        Reach("POST /silences", "/silences", {"program": "maple", "until": "1d"}),
        Reach("POST /silences/preview", "/silences/preview", {"program": "maple", "until": "1d"}),
        Reach("POST /silences/{tenant}/{name}/end", "/silences/acme/quiet/end"),
        Reach("POST /silences/{tenant}/{name}/end", "/silences/acme/one/end"),
        Reach("POST /deliveries/{delivery_id}/replay", f"/deliveries/{sent}/replay"),
        Reach("POST /deliveries/{delivery_id}/discard", f"/deliveries/{sent}/discard"),
        Reach("POST /undo", "/undo", {"notice": "of-somebody-else"}),
    ]


IN_RESULTS = frozenset({"POST /alerts"})
"""Of many at once each has a result of its own."""


def routes(site: Served) -> Iterator[str]:
    for route in create_app(site.board).routes:
        if isinstance(route, APIRoute):
            yield from (f"{method} {route.path}" for method in route.methods or ())


def test_the_list_names_every_route(site: Served, foreign: list[Reach]) -> None:
    listed = {reach.route for reach in foreign} | PUBLIC | WITHOUT_OBJECTS | IN_RESULTS | OWN | BY_A_SIGNED_LINK

    assert set(routes(site)) == listed


def test_a_coordinator_of_another_programme_finds_nothing_by_any_route(site: Served, foreign: list[Reach]) -> None:
    client = site.enter("p-3", "coordinator", "spruce")
    given = hidden_fields(client)

    found = {f"{reach.route} {reach.path}": reach.send(client, **given).status_code for reach in foreign}

    assert set(found.values()) == {404}, found


def test_an_admin_of_another_organisation_finds_nothing_by_any_route(site: Served, foreign: list[Reach]) -> None:
    client = site.enter("x-1", "admin", tenant="globex")
    given = hidden_fields(client)
    # They may silence and look at what is their own, under whatever name.
    own = {"POST /silences", "POST /silences/preview"}

    found = {
        f"{reach.route} {reach.path}": reach.send(client, **given).status_code
        for reach in foreign
        if reach.route not in own and reach.path != "/stream?view=now&program=maple"
    }

    assert set(found.values()) == {404}, found


def test_of_many_at_once_those_of_others_are_not_there(site: Served, foreign: list[Reach]) -> None:
    assert foreign
    client = site.enter("p-3", "coordinator", "spruce")
    fields = {**hidden_fields(client), "key": site.world.key("theirs"), "act": "acknowledge"}

    answer = client.post("/alerts", data=fields, follow_redirects=True)

    assert "there is no such alert any more" in answer.text
    assert "Xenia" not in answer.text


def of_every_route(site: Served, foreign: list[Reach]) -> list[Reach]:
    """A request for each route that asks for a session, generated from the application: none can be forgotten."""
    known = {reach.route for reach in foreign}
    rest = (route for route in routes(site) if route not in known | PUBLIC | BY_A_SIGNED_LINK)
    return [*foreign, *(Reach(route, route.split()[1].replace("{act}", "off")) for route in rest)]


def asks_to_sign_in(client: httpx.Client, reach: Reach) -> bool:
    answer = reach.send(client)
    if reach.route.startswith("GET") and "stream" not in reach.route:
        return answer.status_code == 303 and answer.headers["location"].startswith("/login?next=")
    return answer.status_code == 401


def test_without_a_session_every_route_asks_to_sign_in(site: Served, foreign: list[Reach]) -> None:
    client = site.stranger()

    assert [reach for reach in of_every_route(site, foreign) if not asks_to_sign_in(client, reach)] == []


def test_when_a_session_has_ended_every_route_asks_to_sign_in(site: Served, foreign: list[Reach]) -> None:
    client = site.enter("p-9", "admin")
    site.world.now += SESSION

    assert [reach for reach in of_every_route(site, foreign) if not asks_to_sign_in(client, reach)] == []


def test_every_route_keeps_scripts_of_others_out_whatever_it_answers(site: Served, foreign: list[Reach]) -> None:
    everybody = site.enter("p-9", "admin"), site.enter("p-3", "coordinator", "spruce"), site.stranger()
    open_to_all = (Reach(route, route.split()[1]) for route in PUBLIC | BY_A_SIGNED_LINK)
    asked = [*of_every_route(site, foreign), *open_to_all]
    assert {reach.route for reach in asked} == set(routes(site))

    for client in everybody:
        for reach in asked:
            # A stream has no end: its head is what is looked at.
            with client.stream(reach.route.split()[0], reach.path, data=dict(reach.fields)) as answer:
                policy = answer.headers["content-security-policy"]
            assert "script-src 'self';" in policy, reach
            assert "frame-ancestors 'none'" in policy, reach
            assert "unsafe" not in policy, reach
            assert answer.headers["x-content-type-options"] == "nosniff", reach


def test_no_page_has_a_script_of_its_own(site: Served, foreign: list[Reach]) -> None:
    client = site.enter("p-9", "admin")
    pages = [one for one in of_every_route(site, foreign) if one.route.startswith("GET") and "stream" not in one.route]

    for reach in pages:
        text = reach.send(client).text
        assert re.findall(r"<script(?![^>]* src=\"/static/)", text) == [], reach
        assert re.findall(r"<[^>]+ (?:on[a-z]+|style)=", text) == [], reach
        assert "javascript:" not in text, reach


def test_a_form_that_the_session_was_not_given_changes_nothing(site: Served, foreign: list[Reach]) -> None:
    client, other = site.enter("p-9", "admin"), site.enter("p-8", "admin")
    posts = [reach for reach in of_every_route(site, foreign) if reach.route.startswith("POST")]

    for reach in posts:
        assert reach.send(client, csrf="").status_code == 403, reach
        assert reach.send(client, csrf=hidden_fields(other)["csrf"]).status_code == 403, reach
        answer = client.post(
            reach.path, data={**reach.fields, **hidden_fields(client)}, headers={"sec-fetch-site": "cross-site"}
        )
        assert answer.status_code == 403, reach


@pytest.mark.parametrize("role", ["viewer"])
def test_whoever_may_look_only_acts_by_no_route(site: Served, foreign: list[Reach], role: BoardRole) -> None:
    client = site.enter("p-7", role)
    posts = [reach for reach in foreign if reach.route.startswith("POST") and reach.path != "/undo"]
    given = hidden_fields(client)

    statuses = {f"{reach.route} {reach.path}": reach.send(client, **given).status_code for reach in posts}

    assert set(statuses.values()) == {403}, statuses
    assert (
        client.post("/alerts", data={**given, "key": site.world.key("mine"), "act": "acknowledge"}).status_code == 403
    )
    assert "Acknowledge" not in client.get(f"/alerts/{site.world.key('mine')}").text


def test_what_one_person_did_another_of_the_same_id_neither_sees_nor_undoes(site: Served, foreign: list[Reach]) -> None:
    assert foreign
    ours, theirs = site.enter("p-3", "admin"), site.enter("p-3", "admin", tenant="globex", token_id="t_globex")
    notice = ours.post("/alerts", data=hidden_fields(ours)).headers["location"].partition("notice=")[2]

    assert "Tick the alerts first" in ours.get(f"/?notice={notice}").text
    assert "Tick the alerts first" not in theirs.get(f"/?notice={notice}").text
    assert theirs.post("/undo", data={**hidden_fields(theirs), "notice": notice}).status_code == 404


def test_no_page_lists_what_is_of_others(site: Served, foreign: list[Reach]) -> None:
    client = site.enter("p-3", "coordinator", "spruce")

    pages = [client.get(route.split()[1]).text for route in WITHOUT_OBJECTS if route.startswith("GET")]
    pages += [client.get("/deliveries?show=all").text, client.get("/?q=theirs").text]

    assert foreign
    assert not [page for page in pages if re.search('Xenia|maple|theirs(?!")', page)]


def test_a_message_that_lists_alerts_of_several_programmes_shows_each_coordinator_their_own(
    site: Served, foreign: list[Reach]
) -> None:
    assert foreign
    world, client = site.world, site.enter("p-3", "coordinator", "spruce")
    (theirs,) = [one for one in world.state.deliveries() if one.program == "maple"]
    mine = next(event.data for event in world.state.events("acme/mine") if isinstance(event.data, Alert))
    item = DeliveryItem(program="spruce", relationship="mine", alert=mine)
    world.deliver(theirs.model_copy(update={"delivery_id": "1" * 64, "items": (item,)}))

    page, listed = client.get(f"/alerts/{world.key('mine')}").text, client.get("/deliveries?show=all").text

    assert "pair mine: health low" in page
    assert "HTTP 422" in page
    assert "Xenia" not in page + listed
    assert "HTTP 422" not in listed


def test_what_is_erased_is_on_no_page(site: Served, foreign: list[Reach]) -> None:
    assert foreign
    client, key = site.enter("p-9", "admin"), site.world.key("theirs")
    assert client.get(f"/alerts/{key}").status_code == 200

    site.world.erase("theirs")

    assert client.get(f"/alerts/{key}").status_code == 404
    assert client.get("/relationships/acme/theirs").status_code == 404
    assert "theirs" not in client.get("/").text
