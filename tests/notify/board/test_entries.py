"""A pair stands once on the page of what is open, with all its reasons: whoever calls it calls once."""

import re

import pytest
from playwright.sync_api import Browser, expect

from services.notify.domain.ids import Destination
from services.notify.flow.notice_planner import trial_deliveries
from tests.notify.board.conftest import Served
from tests.notify.board.test_acting import act
from tests.notify.board.test_browser import browser, page_of
from tests.notify.board.test_browser import pytestmark as needs_browser
from tests.notify.board.test_browser import site as live_site
from tests.notify.board.world import LOW, QUIET, World
from tests.notify.building import Pair, clock, day, hour
from tests.notify.sending import episode

__all__ = ["browser", "live_site"]


def both(world: World, *pairs: str) -> None:
    """Each is low for a day (P3) and going quiet (P2)."""
    world.apply(
        *(Pair(one).changed(hour(0), health=LOW, risk=QUIET, last_contact=day(-20)) for one in pairs), clock(hour(60))
    )


def test_a_pair_with_two_open_alerts_is_one_entry_with_both_reasons_the_more_urgent_first(site: Served) -> None:
    site.world.name("4F2", "Ana Ruiz", "Ben Ode")
    both(site.world, "4F2")
    site.world.low("5A1")

    text = site.enter("p-3", "admin").get("/").text

    assert len(re.findall(r'<li class="row ', text)) == 2
    (entry,) = (one for one in text.split('<li class="row ') if "<strong>Ana Ruiz &amp; Ben Ode</strong>" in one)
    assert entry.index("going quiet since") < entry.index("health 38, low since")
    assert f'href="/alerts/{site.world.key("4F2", "health_low")}"' in entry
    assert '<span id="open-count">3</span> open alerts' in text


def test_a_filter_leaves_the_reasons_that_fit_it(site: Served) -> None:
    both(site.world, "4F2")

    text = site.enter("p-3", "admin").get("/?rule=health_low").text

    assert "health 38, low since" in text
    assert "going quiet since" not in text


@pytest.mark.parametrize("way", ["button", "tick"])
def test_who_takes_a_pair_takes_all_that_it_stands_for(acted_on: Served, pair: str, way: str) -> None:
    world, client = acted_on.world, acted_on.enter("p-3", "coordinator", "spruce")
    both(world, pair)
    text = client.get("/").text
    tick = re.findall(r'name="key" value="([^"]+)"', text)
    (button,) = re.findall(r'formaction="([^"]+acknowledge[^"]*)"', text)
    assert len(tick) == 1

    if way == "button":
        done = act(client, button.replace("&amp;", "&"))
    else:
        done = act(client, "/alerts", act="acknowledge", key=tick[0])

    assert {alert.handling.state for alert in world.state.alerts()} == {"acknowledged"}
    assert "Acknowledged: 2 of 2" in done


def test_of_a_pair_of_which_one_alert_is_in_hand_the_rest_is_taken_without_a_complaint(
    acted_on: Served, pair: str
) -> None:
    world, client = acted_on.world, acted_on.enter("p-3", "coordinator", "spruce")
    both(world, pair)
    act(client, f"/alerts/{world.key(pair, 'disengaging')}/acknowledge")
    (tick,) = re.findall(r'name="key" value="([^"]+)"', client.get("/").text)

    done = act(client, "/alerts", act="acknowledge", key=tick)

    assert {alert.handling.state for alert in world.state.alerts()} == {"acknowledged"}
    assert "Acknowledged" in done
    assert "could not be done" not in done
    again = act(client, "/alerts", act="acknowledge", key=tick)
    assert "2 could not be done" in again


def test_who_has_a_further_alert_of_a_pair_stands_beside_it(acted_on: Served, pair: str) -> None:
    world, client = acted_on.world, acted_on.enter("p-3", "coordinator", "spruce")
    both(world, pair)
    act(client, f"/alerts/{world.key(pair, 'health_low')}/assign", assignee="p-4")

    text = client.get("/").text

    assert re.search(r"Also P3: health 38, low since[^<]*</a> · Noor Haddad", text)


@needs_browser
def test_a_reason_that_comes_or_goes_is_patched_into_the_entry(browser: Browser, live_site: tuple[World, str]) -> None:
    world, url = live_site
    world.apply(Pair("more-1").changed(hour(0), risk=QUIET, last_contact=day(-20)), clock(hour(60)))
    with page_of(browser) as page:
        page.goto(f"{url}/?q=more-1")
        row = page.locator(f"#row-{world.key('more-1', 'disengaging')}")
        expect(row).to_contain_text("going quiet")

        world.apply(Pair("more-1").changed(hour(61), position=2, health=LOW, risk=QUIET), clock(hour(90)))

        expect(row).to_contain_text("health 38, low since")
        expect(page.locator("#news")).to_be_hidden()
        assert len((row.locator("input[name=key]").get_attribute("value") or "").split()) == 2
        world.apply(Pair("more-1").changed(hour(91), position=3, health=LOW, risk=QUIET, caps=("support_open",)))
        expect(page.locator("#news")).to_have_text("1 new: show")

        row.locator("button.primary").click()
        expect(page.locator("#notice")).to_contain_text("Acknowledged: 3 of 3")


@needs_browser
def test_a_pair_whose_other_alert_comes_first_now_is_not_called_new(
    browser: Browser, live_site: tuple[World, str]
) -> None:
    world, url = live_site
    world.apply(Pair("turn-1").changed(hour(0), health=20.0, risk=QUIET, last_contact=day(-20)), clock(hour(60)))
    with page_of(browser) as page:
        page.goto(f"{url}/?q=turn-1")
        row = page.locator(f"#row-{world.key('turn-1', 'health_low')}")
        expect(row).to_contain_text("Also P2: going quiet")

        world.apply(Pair("turn-1").changed(hour(61), position=2, health=60.0, risk=QUIET, last_contact=day(-20)))

        expect(row).to_contain_text("Recovering")
        expect(page.locator("#news")).to_be_hidden()


def test_a_pair_stands_once_on_the_page_of_its_programme_too(site: Served) -> None:
    both(site.world, "4F2", "5A1")

    text = site.enter("p-3", "admin").get("/programmes/acme/spruce").text

    assert len(re.findall(r'<li class="row ', text)) == 2
    assert text.count("Also P3: health 38, low since") == 2


def test_rules_speak_of_chances_as_alerts_do(site: Served) -> None:
    text = site.enter("p-3", "admin").get("/rules").text

    assert "Chance at or above 70 % for 24 h is P2" in text
    assert "clears when below 55 % for 48 h" in text
    assert "Health at or below 40 for 24 h is P3" in text


def test_whoever_silences_one_pair_may_choose_it_by_name(site: Served) -> None:
    site.world.name("4F2", "Ana Ruiz", "Ben Ode")
    site.world.name("5A1", "Not Seen", "By Them")
    site.world.low("4F2")
    site.world.low("5A1", program="maple")

    text = site.enter("p-3", "coordinator", "spruce").get("/silences").text

    assert '<option value="4F2">Ana Ruiz &amp; Ben Ode</option>' in text
    assert "Not Seen" not in text


def test_a_message_about_no_pair_is_not_called_one(site: Served) -> None:
    world = site.world
    for kind, id_ in (("programme", "spruce"), ("source", "zoom")):
        sent = episode("smtp", "team", id_)[0]
        world.deliver(sent.model_copy(update={"alert": sent.alert.model_copy(update={"subject_kind": kind})}))
    (trial,) = trial_deliveries(Destination("smtp", "team"), world.now)
    world.deliver(trial.model_copy(update={"tenant": "acme"}))

    text = site.enter("p-3", "admin").get("/deliveries?show=all").text

    assert "programme spruce: health low" in text
    assert "source zoom: health low" in text
    assert "Rapport reaches you here" in text
    assert "pair spruce" not in text
    assert "pair zoom" not in text
    assert "pair team" not in text
    assert f'href="/alerts/{trial.dedup_key}"' not in text


def test_whoever_cannot_be_written_to_is_said_to_have_no_address(site: Served) -> None:
    site.world.name("4F2", "Ana Ruiz", "Ben Ode")
    site.world.low("4F2")

    text = site.enter("p-3", "admin").get(f"/alerts/{site.world.key('4F2')}").text

    assert text.count("no address in the directory") == 2
