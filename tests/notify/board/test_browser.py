"""The board in a real browser: live, by keyboard, without scripts, and for whoever sees it otherwise."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pydantic import SecretStr

from deploy.local.kafka import LocalKafka
from schemas.alert_commands import AlertSilence
from services.notify.board.meetings import Gateway
from services.notify.domain.deliveries import mark_dead
from services.notify.domain.preferences import PersonalSettings, SwitchedOff
from services.notify.domain.unsubscribe import UnsubscribeScope
from services.notify.topics import NotifyTopics
from services.runtime.settings import Settings
from tests.notify.board.world import LEAVING, QUIET, World, served
from tests.notify.building import Pair, clock, day, hour
from tests.notify.naming import participant
from tests.notify.sending import episode

FOUND = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = (Path(__file__).parent / "vendored" / "axe.min.js").read_text()
PATIENT_MS = 30_000
"""On a machine that is busy with other tests."""
SERIOUS = ("serious", "critical")
SIZES = ({"width": 1280, "height": 900}, {"width": 390, "height": 844})

pytestmark = pytest.mark.skipif(
    FOUND is None, reason="no browser is found: apt-get install chromium, or put a Chromium on the PATH"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENT_MS)
        # As root, as CI often is, Chromium's own walls cannot be built.
        launched = playwright.chromium.launch(executable_path=FOUND, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def site(local_kafka: LocalKafka, topics: NotifyTopics) -> Iterator[tuple[World, str]]:
    """One world for all: each test has pairs of its own."""
    settings, world = Settings(kafka=local_kafka.bootstrap), World(topics)
    with ExitStack() as stack:
        stack.enter_context(world.leading(settings))
        board = stack.enter_context(world.board(settings, is_open=True))
        yield world, stack.enter_context(served(board))


@contextmanager
def page_of(browser: Browser, **options: Any) -> Iterator[Page]:  # noqa: ANN401 (Playwright's)
    """What a script complains of fails the test."""
    context = browser.new_context(viewport=options.pop("viewport", SIZES[0]), **options)
    context.set_default_timeout(PATIENT_MS)
    page, faults = context.new_page(), list[str]()
    page.on("pageerror", lambda fault: faults.append(str(fault)))
    page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
    try:
        yield page
        assert faults == []
    finally:
        context.close()


def test_a_new_alert_is_counted_and_a_changed_one_is_patched_where_it_stands(
    browser: Browser, site: tuple[World, str]
) -> None:
    world, url = site
    world.low("live-1")
    with page_of(browser) as page:
        page.goto(url)
        row = page.locator(f"#row-{world.key('live-1')}")
        expect(row).to_contain_text("health 38")

        world.apply(Pair("live-1").changed(hour(26), position=2, health=30.0))
        expect(row).to_contain_text("health 30")
        world.apply(Pair("live-2").changed(hour(30), caps=("support_open",)), clock(hour(50)))

        expect(page.locator("#news")).to_have_text("1 new: show")
        expect(page).to_have_title("(1 urgent) Now · Rapport")
        assert page.get_attribute("#favicon", "href") == "/favicon.svg?urgent=1"
        page.click("#news")
        expect(page.locator(f"#row-{world.key('live-2', 'support_requested')}")).to_be_visible()


def test_while_a_box_is_ticked_the_page_rests_and_then_catches_up(browser: Browser, site: tuple[World, str]) -> None:
    world, url = site
    world.low("rest-1")
    with page_of(browser) as page:
        page.goto(url)
        row = page.locator(f"#row-{world.key('rest-1')}")
        with page.expect_response("**/stream?*"):
            page.reload()
        row.locator("input[name=key]").check()
        expect(page.locator("#ticked")).to_contain_text("1 ticked")

        world.apply(Pair("rest-1").changed(hour(27), position=2, health=31.0))
        world.low("rest-2")
        page.wait_for_timeout(1_000)
        assert "health 31" not in row.inner_text()

        row.locator("input[name=key]").uncheck()
        expect(row).to_contain_text("health 31")


def test_from_the_link_of_a_mail_to_acknowledged_are_two_clicks(browser: Browser, site: tuple[World, str]) -> None:
    world, url = site
    world.name("mail-1", "Ana Ruiz", "Ben Ode")
    world.low("mail-1")
    with page_of(browser) as page:
        page.goto("about:blank")
        page.set_content(f"<a href='{url}/relationships/acme/mail-1'>Open</a>")

        page.click("text=Open")
        page.click("text=Acknowledge")

        expect(page.locator("#notice")).to_contain_text("Acknowledged: Ana Ruiz & Ben Ode")
        expect(page.locator(f"#row-{world.key('mail-1')}")).to_contain_text("Acknowledged")
        page.click("#undo")
        expect(page.locator("#notice")).to_contain_text("Undone")
        expect(page.locator(f"#row-{world.key('mail-1')} .state")).to_have_text("Open")


def test_everything_is_reached_by_the_keyboard(browser: Browser, site: tuple[World, str]) -> None:
    world, url = site
    world.low("keys-1")
    key = world.key("keys-1")
    with page_of(browser) as page:
        page.goto(f"{url}/?q=keys-1")
        page.keyboard.press("j")
        page.keyboard.press("a")
        expect(page.locator(f"#row-{key} .state")).to_have_text("Acknowledged")

        page.goto(f"{url}/?q=keys-1")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{url}/alerts/{key}")
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "unacknowledge":
                break
        page.keyboard.press("Enter")
        expect(page.locator("#acknowledge")).to_be_visible()

        page.goto(f"{url}/?q=keys-1")
        page.uncheck("#keys-on")
        page.locator("#main").focus()
        page.keyboard.press("j")
        assert page.locator(".row.at").count() == 0


def test_everything_works_without_scripts(browser: Browser, site: tuple[World, str]) -> None:
    world, url = site
    world.low("plain-1", "plain-2")
    with page_of(browser, java_script_enabled=False) as page:
        page.goto(url)
        page.fill("#search", "plain")
        page.click(".filters button")
        for pair in ("plain-1", "plain-2"):
            page.check(f"#row-{world.key(pair)} input[name=key]")
        page.click("button[value=acknowledge]")
        expect(page.locator("#notice")).to_contain_text("Acknowledged: 2 of 2")

        page.click("#undo")
        expect(page.locator("#notice")).to_contain_text("Undone")
        page.click(f"#open-{world.key('plain-1')}")
        page.fill("input[name=note]", "they meet on Monday")
        page.click("text=Leave it")
        expect(page.locator("#facts")).to_contain_text("they meet on Monday")


def test_a_page_whose_stream_is_away_says_since_when(browser: Browser, site: tuple[World, str]) -> None:
    with page_of(browser) as page:
        page.route("**/stream?*", lambda route: route.abort())
        page.goto(site[1])

        expect(page.locator("#stale")).to_contain_text("Not live since")


@pytest.mark.parametrize(("scheme", "size"), [("light", SIZES[0]), ("dark", SIZES[1])], ids=["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(
    browser: Browser, site: tuple[World, str], scheme: str, size: dict[str, int]
) -> None:
    world, url = site
    world.low("axe-1")
    world.apply(Pair("axe-2").changed(hour(0), risk=QUIET, last_contact=day(-20)), clock(hour(60)))
    world.deliver(mark_dead(episode("smtp", "team", "axe-1")[0], "550", world.now))
    world.silence(AlertSilence(id="axe", tenant="acme", program="spruce", by="p-3", since=day(0), until=day(9)))
    paths = [
        "/",
        "/?q=nothing-like-it",
        f"/alerts/{world.key('axe-1')}",
        "/relationships/acme/axe-1",
        "/programmes",
        "/programmes/acme/spruce",
        "/silences",
        "/deliveries?show=all",
        "/rules",
        "/status",
        "/login",
        "/nothing",
    ]
    with page_of(browser, color_scheme=scheme, viewport=size, bypass_csp=True) as page:
        found = faults_by_path(page, url, paths)

    assert {where: faults for where, faults in found.items() if faults} == {}


@pytest.mark.parametrize(
    ("scheme", "size"),
    [("light", SIZES[1]), ("dark", SIZES[0]), ("light", {"width": 320, "height": 256})],
    ids=["light", "dark", "at 400 %"],
)
def test_axe_finds_nothing_serious_on_what_is_ones_own(browser: Browser, scheme: str, size: dict[str, int]) -> None:
    world, gateway = World(), Gateway("http://127.0.0.1:1", {"acme": SecretStr("t")})
    world.low("own-1")
    settings = PersonalSettings(tenant="acme", person="p-3", off=(SwitchedOff(rule="no_contact"),))
    world.write(world.names.shared_state, settings.key, settings.model_dump_json().encode())
    link = LEAVING.token(UnsubscribeScope("acme", "p-3", "health_low", "own-1"))
    paths = ["/settings", f"/unsubscribe/{link}", f"/alerts/{world.key('own-1')}", "/relationships/acme/own-1"]
    secret = world.token("p-3", "coordinator", "spruce")
    with ExitStack() as stack:
        board = stack.enter_context(world.board(Settings(kafka="127.0.0.1:1"), gateway=gateway))
        url = stack.enter_context(served(board))
        page = stack.enter_context(page_of(browser, color_scheme=scheme, viewport=size, bypass_csp=True))
        page.goto(f"{url}/login")
        page.fill("input[name=token]", secret)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{url}/")
        found = faults_by_path(page, url, paths)

    assert {where: faults for where, faults in found.items() if faults} == {}


@pytest.mark.parametrize("size", [SIZES[0], {"width": 375, "height": 700}], ids=["desktop", "phone"])
def test_the_longest_names_stay_on_the_page_and_leave_room_for_the_next_row(
    browser: Browser, size: dict[str, int]
) -> None:
    world = World()
    world.name("long-1", "M" * 200, "W" * 200)
    world.people.upsert(participant("p-3", "X" * 200))
    world.low("long-1")
    world.silence(AlertSilence(id="all", tenant="acme", relationship="long-1", by="p-3", since=day(0), until=day(9)))
    world.deliver(mark_dead(episode("smtp", "team", "long-1")[0], "550", world.now))
    own = ("/", f"/alerts/{world.key('long-1')}", "/relationships/acme/long-1", "/silences", "/deliveries?show=all")
    with ExitStack() as stack:
        url = stack.enter_context(served(stack.enter_context(world.board(Settings(kafka="127.0.0.1:1")))))
        page = stack.enter_context(page_of(browser, viewport=size))
        page.goto(f"{url}/login")
        page.fill("input[name=token]", world.token("p-3", "coordinator", "spruce"))
        page.keyboard.press("Enter")
        page.wait_for_url(f"{url}/")
        name, button = (page.locator(one).bounding_box() for one in (".row-link strong", ".row-acts button"))
        wide = []
        for path in (*own, "/programmes/acme/spruce", "/settings"):
            page.goto(url + path)
            wide += [path] if page.evaluate("document.documentElement.scrollWidth > innerWidth") else []

    assert wide == []
    assert name is not None
    assert button is not None
    assert name["height"] < 100, "three lines at most"
    assert button["height"] < 48, "its word stands on one line"


def test_they_met_and_settings_work_by_keyboard_and_without_scripts(
    browser: Browser, local_kafka: LocalKafka, topics: NotifyTopics
) -> None:
    settings, world = Settings(kafka=local_kafka.bootstrap), World(topics)
    world.low("met-1")
    secret = world.token("p-3", "coordinator", "spruce")
    with ExitStack() as stack:
        stack.enter_context(world.leading(settings))
        gateway = Gateway("http://127.0.0.1:1", {"acme": SecretStr("t")})
        url = stack.enter_context(served(stack.enter_context(world.board(settings, gateway=gateway))))
        page = stack.enter_context(page_of(browser, java_script_enabled=False))
        page.goto(f"{url}/login?next=/settings")
        page.fill("input[name=token]", secret)
        page.keyboard.press("Enter")

        page.select_option("form[action='/settings/off'] select", "no_contact")
        page.locator("form[action='/settings/off'] button").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#notice")).to_contain_text("Switched off")
        expect(page.locator(".card").last).to_contain_text("No contact")

        page.goto(f"{url}/relationships/acme/met-1")
        page.locator("input[name=day]").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#notice")).to_contain_text("Not noted")
        expect(page.locator("#notice")).to_contain_text("the gateway does not answer")


def faults_by_path(page: Page, url: str, paths: Sequence[str]) -> dict[str, list[str]]:
    """What axe finds, and whether anything lies beyond the edge."""
    found: dict[str, list[str]] = {}
    for path in paths:
        page.goto(url + path)
        page.evaluate(AXE)
        result = page.evaluate("axe.run({resultTypes: ['violations']})")
        faults = [
            f"{fault['id']}: {fault['nodes'][0]['html'][:200]}"
            for fault in result["violations"]
            if fault["impact"] in SERIOUS
        ]
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        found[path] = faults + (["it scrolls sideways"] if wide else [])
    return found
