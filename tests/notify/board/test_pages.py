"""What pages say: whom to call, why, since when, and how far that can be relied on."""

import re
from datetime import timedelta

import pytest

from schemas.alerts import Alert
from schemas.programs import Programme, Source
from schemas.scores import SupportCall
from services.notify.board.access import DEVELOPER as ADMIN
from services.notify.board.now import PER_PAGE, AlertQuery, now_page
from services.notify.board.rows import AlertReader
from services.notify.domain import record
from services.notify.domain.deliveries import AttemptResult, DeliveryAccepted, apply_result, mark_dead, start_attempt
from services.notify.domain.record import WatchRecord
from services.notify.domain.rule_book import RuleBook
from services.notify.domain.shared_alerts import SharedAlerts
from services.notify.domain.subjects import Tally
from tests.notify.board.conftest import Served
from tests.notify.board.world import LOW, QUIET, World
from tests.notify.building import Pair, clock, day, hour
from tests.notify.naming import participant
from tests.notify.sending import episode
from tests.notify.test_rule_versions import applied


def test_nothing_open_is_all_clear_as_of_an_instant(site: Served) -> None:
    site.world.apply(Pair().changed(hour(0), health=90.0), clock(hour(24)))

    text = site.enter("p-3", "admin").get("/").text

    assert "All clear" in text
    assert "Data as of Thu 2 May 2024 00:00 UTC" in text
    assert "Nothing has been sent yet" in text


def test_nothing_that_matches_is_not_all_clear(site: Served) -> None:
    site.world.low("4F2")

    text = site.enter("p-3", "admin").get("/?q=nobody").text

    assert "Nothing matches" in text
    assert "All clear" not in text


def test_before_the_first_score_nothing_is_called_clear_without_a_warning(site: Served) -> None:
    text = site.enter("p-3", "admin").get("/").text

    assert "no scores have been decided on yet" in text.lower()
    assert "look at" in text


def test_a_row_says_who_what_since_when_why_whose_and_until_when(site: Served) -> None:
    site.world.name("4F2", "Ana Ruiz", "Ben Ode")
    site.world.low("4F2")

    text = site.enter("p-3", "admin").get("/").text

    for words in ("Ana Ruiz &amp; Ben Ode", "health 38, low since 1 May", "points of health", "Nobody yet"):
        assert words in text
    assert "Next: Ask Ana Ruiz (mentor) and Ben Ode (mentee) whether day and time still suit them" in text
    assert "for Ines Ortiz (coordinator)" in text
    assert "Fri 10 May" in text  # a P3 within the week
    assert "spruce" in text


def test_what_has_been_open_for_years_says_since_which_year(site: Served) -> None:
    site.world.low("4F2")
    (known,) = site.world.state.alerts()
    site.world.now += timedelta(days=1_043)
    person = site.enter("p-3", "admin")

    row, page = person.get("/").text, person.get(f"/alerts/{known.dedup_key}").text

    assert "health 38, low since 1 May 2024" in row
    assert re.search(r">[0-9]+ May 2024 [0-9:]{5}</time>", page)  # its timeline


def test_an_alert_says_how_to_reach_both_to_those_who_act(site: Served) -> None:
    site.world.name("4F2", "Ana Ruiz", "Ben Ode")
    site.world.people.upsert(participant("4F2-m", "Ana Ruiz", addresses=("ana@acme.example", "a.ruiz@acme.example")))
    site.world.low("4F2")
    (known,) = site.world.state.alerts()

    acting = site.enter("p-3", "coordinator", "spruce").get(f"/alerts/{known.dedup_key}").text
    viewing = site.enter("p-6", "viewer", "spruce").get(f"/alerts/{known.dedup_key}").text

    assert 'Ana Ruiz (mentor), <a href="mailto:ana@acme.example">ana@acme.example</a>' in acting
    assert "Ben Ode (mentee)" in acting
    assert "ana@acme.example" not in viewing


def test_the_page_that_mails_link_to_says_how_to_reach_both_to_those_who_act(site: Served) -> None:
    site.world.name("4F2", "Ana Ruiz", "Ben Ode")
    site.world.people.upsert(participant("4F2-m", "Ana Ruiz", addresses=("ana@acme.example",)))
    call = SupportCall(request_id="r-1", by="mentee")
    site.world.apply(Pair().changed(hour(0), caps=("support_open",), call=call), clock(hour(1)))

    acting = site.enter("p-3", "coordinator", "spruce").get("/relationships/acme/4F2").text
    viewing = site.enter("p-6", "viewer", "spruce").get("/relationships/acme/4F2").text

    assert 'Ana Ruiz (mentor), <a href="mailto:ana@acme.example">ana@acme.example</a>' in acting
    assert "Ben Ode (mentee, who has asked), " in acting
    assert acting.index("Whom to reach") < acting.index("Open alerts")
    assert "Whom to reach" not in viewing
    assert "ana@acme.example" not in viewing


def test_a_source_that_is_silent_and_a_programme_that_shifts_stand_on_the_board(site: Served) -> None:
    world, shared = site.world, SharedAlerts(RuleBook("wall"), {})
    feed = Source(source="/calendar", interval_hours=24)
    shared.upsert_programme(Programme(id="spruce", tenant="acme", sources=(feed,), recordedtime=day(0)))
    shared.advance(day(0), dict)
    for at in (day(0.1), day(1), day(3)):
        world.write_subjects(shared.advance(at, lambda: {("acme", "spruce"): Tally([80.0] * 20, 8)}))
    coordinator, stranger = site.enter("p-3", "coordinator", "spruce"), site.enter("p-5", "coordinator", "maple")

    text = coordinator.get("/").text

    keys = {one.rule: one.dedup_key for one in world.state.alerts()}
    assert set(keys) == {"source_silent", "programme_shift"}
    assert "source /calendar" in text
    assert "programme spruce" in text
    for key in keys.values():
        assert coordinator.get(f"/alerts/{key}").status_code == 200
        assert stranger.get(f"/alerts/{key}").status_code == 404


def test_the_rules_of_a_programme_are_those_that_its_alerts_are_explained_by(site: Served) -> None:
    tiers = [{"level": 35, "for_hours": 12, "urgency": "P2"}, {"level": 41, "for_hours": 12, "urgency": "P3"}]
    since = site.world.now - timedelta(days=3)
    site.world.rules.apply(applied({"health_low": {"tiers": tiers}}, since))
    site.world.low("4F2")
    owner, stranger = site.enter("p-3", "coordinator", "spruce"), site.enter("p-5", "coordinator", "maple")

    rules, (known,) = owner.get("/rules").text, site.world.state.alerts()

    assert "version strict, in force" in rules
    assert site.board.reader().rules_of(known.watch.subject)["health_low"].version == "strict"
    assert owner.get(f"/alerts/{known.dedup_key}").status_code == 200
    assert "strict" not in stranger.get("/rules").text


def test_the_most_urgent_stands_first_and_the_title_counts_it(site: Served) -> None:
    world = site.world
    world.low("mild")
    world.apply(Pair("urgent").changed(hour(30), caps=("support_open",)), clock(hour(48)))

    text = site.enter("p-3", "admin").get("/").text

    assert text.index("pair urgent") < text.index("pair mild")
    assert "<title>(1 urgent) Now · Rapport</title>" in text
    assert "favicon.svg?urgent=1" in text


def test_the_alerts_of_a_relationship_stand_by_urgency(site: Served) -> None:
    world = site.world
    world.low("4F2")
    world.apply(Pair("4F2").changed(hour(30), 2, health=LOW, risk=QUIET, last_contact=day(-20)), clock(hour(60)))

    text = site.enter("p-3", "admin").get("/relationships/acme/4F2").text

    assert text.index("going quiet since") < text.index("health 38, low since")


def test_the_page_of_a_call_says_who_has_asked_to_those_who_act(site: Served) -> None:
    site.world.name("4F2", "Ana Ruiz", "Ben Ode")
    call = SupportCall(request_id="r-1", by="mentee")
    site.world.apply(Pair().changed(hour(0), caps=("support_open",), call=call), clock(hour(1)))
    path = f"/alerts/{site.world.key('4F2', 'support_requested')}"

    seen = site.enter("p-3", "coordinator", "spruce").get(path).text
    looked = site.enter("p-9", "viewer", "spruce").get(path).text

    assert "Ben Ode (mentee, who has asked)" in seen
    assert "Ana Ruiz (mentor)" in seen
    assert "Call Ben Ode (mentee), who has asked for support" in seen
    assert "has asked" not in looked
    assert "Answer the request now" in looked


def test_the_page_of_an_alert_tells_all_about_it(site: Served) -> None:
    site.world.name("4F2", "Ana Ruiz", "Ben Ode")
    site.world.low("4F2")
    client = site.enter("p-3", "admin")

    text = client.get(f"/alerts/{site.world.key('4F2')}").text

    for words in (
        "Do next",
        "Ask Ana Ruiz (mentor) and Ben Ode (mentee)",
        "Health is 38 of 100 (strained)",
        "facts carry 60 % of the health score",
        "by Fri 10 May",
        "New (P3): health at or below 40 for 24 h",
        "rule health_low version 1, episode 1, transition 1",
        "route: passed",
    ):
        assert words.lower() in text.lower(), words
    assert "Nothing was sent about it" in text


def test_chances_are_points_and_never_log_odds(site: Served) -> None:
    world = site.world
    world.apply(Pair().changed(hour(0), risk=QUIET, last_contact=day(-20)), clock(hour(48)))

    client = site.enter("p-3", "admin")
    others = ("/", "/relationships/acme/4F2", "/programmes/acme/spruce", "/rules", "/deliveries?show=all")

    text = client.get(f"/alerts/{world.key('4F2', 'disengaging')}").text

    assert "points of chance" in text
    assert "New (P2): chance at or above 70 % for 24 h" in text
    for page in (text, *(client.get(path).text for path in others)):
        assert not re.search(r"\b1\.9\b", page)


def test_every_page_is_of_use_without_clickhouse_and_says_so(site: Served) -> None:
    world = site.world
    rows = [Pair().changed(hour(12 * n), health=60.0 - 8 * n, position=n) for n in range(5)]
    world.apply(*rows, clock(hour(80)))
    client = site.enter("p-3", "admin")

    alert = client.get(f"/alerts/{world.key('4F2')}").text
    pages = {path: client.get(path) for path in ("/relationships/acme/4F2", "/programmes/acme/spruce", "/status")}

    assert "Health was 60 on 1 May 2024 and is 28 as of 3 May 2024" in alert
    assert "Only the last two weeks: ClickHouse does not answer." in alert
    assert {answer.status_code for answer in pages.values()} == {200}
    assert all("ClickHouse does not answer" in answer.text for answer in pages.values())


def test_what_people_write_and_are_called_is_text_never_markup(site: Served) -> None:
    world, attack = site.world, "<script>alert(1)</script>"
    world.name("4F2", attack, '"><img src=x>')
    world.low("4F2")
    client = site.enter("p-3", "admin")

    pages = [
        client.get(path).text for path in ("/", f"/alerts/{world.key('4F2')}", f"/?q={attack}", f"/?rule={attack}")
    ]

    assert not [page for page in pages if "<script>alert" in page or "<img" in page]
    assert all("&lt;script&gt;" in page for page in pages)


def test_whoever_is_erased_is_called_by_no_name(site: Served) -> None:
    world = site.world
    world.name("4F2", "Ana Ruiz", "Ben Ode")
    world.low("4F2")
    world.people.forget("acme", "4F2-m")

    text = site.enter("p-3", "admin").get("/").text

    assert "Ana Ruiz" not in text
    assert "Ben Ode" in text


def test_the_light_tells_of_messages_that_do_not_arrive(site: Served) -> None:
    world, client = site.world, site.enter("p-9", "admin")
    fired = start_attempt(episode("smtp", "team")[0], day(1))
    world.deliver(apply_result(fired, AttemptResult(DeliveryAccepted("250"), day(1), 0.2), 0.5))
    assert "Messages arrive; last proven Thu 00:00 UTC" in client.get("/").text

    world.now += timedelta(seconds=3)
    world.deliver(mark_dead(episode("smtp", "team", "other")[0], "550 no such user", world.now))

    text = client.get("/deliveries").text
    assert "1 message was given up" in text
    assert "550 no such user" in text


def test_a_choice_stands_in_the_address_and_nonsense_counts_as_not_said() -> None:
    choice = AlertQuery.of({"owner": "mine", "q": " Ana  Ruiz ", "sort": "name", "page": "3"})

    assert choice.address(page=3) == "/?owner=mine&q=Ana+Ruiz&sort=name&page=3"
    assert AlertQuery.of({"owner": "x", "sort": "y", "page": "-1"}) == AlertQuery()
    assert AlertQuery.of({"page": "9" * 5_000}).page == 1_000
    assert len(AlertQuery.of({"q": "x" * 1_000}).search) == 100


def test_alerts_are_found_by_name_pair_and_rule_and_ordered_as_chosen() -> None:
    world = World()
    world.name("4F2", "Ana Ruiz", "Ben Ode")
    world.low("4F2", "7A1")
    reader = _reader(world)

    def found(**query: str) -> list[str]:
        page = now_page(reader, ADMIN, AlertQuery.of(query))
        return [row.subject for _, rows in page.groups for row in rows]

    assert found(q="ruiz") == ["4F2"]
    assert found(q="7a1") == ["7A1"]
    assert sorted(found(q="health low")) == ["4F2", "7A1"]
    assert found(rule="disengaging") == []
    assert found(sort="name") == ["4F2", "7A1"]
    assert sorted(found(sort="due")) == sorted(found(sort="newest")) == ["4F2", "7A1"]


def test_more_than_a_page_of_alerts_is_on_the_next_page() -> None:
    world = World()
    world.low(*(f"pair-{n}" for n in range(PER_PAGE + 5)))

    first, second = (now_page(_reader(world), ADMIN, AlertQuery(page=page)) for page in (1, 2))

    assert (first.pages, first.found) == (2, PER_PAGE + 5)
    assert [len(rows) for _, rows in first.groups] == [PER_PAGE]
    assert [len(rows) for _, rows in second.groups] == [5]


def test_an_alert_of_an_earlier_episode_leads_to_the_latest() -> None:
    world = World()
    world.low("4F2")
    key = world.key("4F2")

    found = _reader(world).alert(key.replace("-1", "-9"), ADMIN)

    assert found is not None
    assert found.dedup_key == key
    assert _reader(world).alert("nonsense", ADMIN) is None
    assert _reader(world).alert(f"{key[:1]}-1", ADMIN) is None


def test_an_open_alert_whose_telling_is_long_ago_is_explained_by_its_newest_row() -> None:
    world = World()
    world.low("4F2")
    (known,) = world.state.alerts()
    bare = World()
    bare.people, bare.alerts = world.people, world.alerts
    bare.write(bare.names.alert_state, known.watch.subject.key, _dumped(world))

    alert = _reader(bare).current_alert(bare.state.alerts()[0])

    assert isinstance(alert, Alert)
    assert (alert.why, alert.reading.health if alert.reading else 0) == ("health at or below 40 for 24 h", 38.0)


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b'{"kind":"watch.2"}', b"[" * 10_000])
def test_whatever_lies_on_the_topics_the_rest_is_shown(value: bytes) -> None:
    world = World()
    for topic in (
        world.names.alert_state,
        world.names.alerts,
        world.names.deliveries,
        world.names.shared_state,
        world.names.board_tokens,
    ):
        world.write(topic, "acme/silence/x", value)
    world.low("4F2")

    assert [alert.watch.subject.id for alert in world.state.alerts()] == ["4F2"]
    assert world.state.deliveries() == []


def _reader(world: World) -> AlertReader:
    return AlertReader(world.state, world.people, world.rules, world.now)


def _dumped(world: World) -> bytes:
    (watch,) = world.state.watches()
    return record.dump(WatchRecord(watch=watch))
