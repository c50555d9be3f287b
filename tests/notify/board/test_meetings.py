"""A coordinator says that a pair has met: an event at the gateway, which scores follow, and which can be taken back."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler

import httpx
import pytest
from pydantic import SecretStr

from deploy.local.kafka import LocalKafka
from schemas.events import MENTORING_EVENT
from schemas.payloads import EventRetracted, SessionHeld
from schemas.topics import EVENTS
from services.notify.board.alert_commands import ActInvalidError
from services.notify.board.meetings import SOURCE, Gateway, parse_meeting
from services.notify.topics import NotifyTopics
from services.runtime.settings import Settings
from tests.http_server import serving
from tests.ingest.conftest import Log, make_token, make_topics, running_gateway
from tests.notify.board.conftest import Served, served_world
from tests.notify.board.world import NOW, hidden_fields

ABOUT = ("acme", "spruce", "4F2", "0" * 32)


@dataclass
class Met:
    """A board that may hand in what has happened in acme, and what has come onto the log."""

    site: Served
    log: Log

    def events(self) -> list[object]:
        return [MENTORING_EVENT.validate_json(record.value or b"").data for record in self.log.records()]


@pytest.fixture
def met(local_kafka: LocalKafka) -> Iterator[Met]:
    settings = make_topics(local_kafka.bootstrap)
    token = make_token(settings, sources=(SOURCE,))
    with running_gateway(settings.kafka, token) as ingest:
        address = f"http://127.0.0.1:{ingest.settings.ingest_port}"
        gateway = Gateway(address, {"acme": SecretStr(token), "globex": SecretStr(token)})
        with served_world(Settings(kafka="127.0.0.1:1"), NotifyTopics(), gateway) as site:
            yield Met(site, Log(settings, EVENTS.name))


def note(client: httpx.Client, day: str, path: str = "/relationships/acme/4F2", **given: str) -> httpx.Response:
    fields = {**hidden_fields(client), "back": "/", "day": day, **given}
    return client.post(f"{path}/met", data=fields, follow_redirects=True)


def test_what_a_coordinator_knows_becomes_an_event_and_can_be_taken_back(met: Met) -> None:
    world, client = met.site.world, met.site.enter("p-3", "coordinator", "spruce")
    world.name("4F2", "Ana Ruiz", "Ben Ode")
    world.low("4F2")
    yesterday = (NOW - timedelta(days=1)).date()
    same = hidden_fields(client)

    page = note(client, yesterday.isoformat(), **same).text
    again = note(client, yesterday.isoformat(), **same)

    (held,) = met.events()
    assert isinstance(held, SessionHeld)
    assert (held.by, held.evidence, held.session_id) == ("admin", "admin", f"met-{yesterday}")
    assert held.started_at.date() == yesterday
    assert "Noted: Ana Ruiz &amp; Ben Ode met on" in page
    assert "Noted" in again.text, "the same form is the same event"

    notice = page.partition('name="notice" value="')[2].partition('"')[0]
    undone = client.post("/undo", data={**hidden_fields(client), "notice": notice}, follow_redirects=True)

    assert "Undone" in undone.text
    retracted = met.events()[-1]
    assert isinstance(retracted, EventRetracted)
    assert retracted.source == SOURCE


def test_where_the_token_is_of_another_organisation_nothing_is_written_there(met: Met) -> None:
    client = met.site.enter("x-1", "admin", tenant="globex")
    world = met.site.world
    world.low("4F2", tenant="globex")

    page = note(client, NOW.date().isoformat(), "/relationships/globex/4F2").text

    assert "Not noted" in page
    assert "this sender speaks for &#39;acme&#39; only" in page
    assert met.events() == []


@pytest.mark.parametrize(
    ("day", "fault"),
    [("", "missing"), ("soon", "missing"), ("2024-06-30", "lies ahead"), ("2023-01-01", "longer ago than 90 days")],
)
def test_a_day_that_cannot_be_is_refused(day: str, fault: str) -> None:
    with pytest.raises(ActInvalidError, match=fault):
        parse_meeting(day, "Europe/Berlin", NOW, ABOUT)


def test_today_is_not_ahead_of_now_and_a_day_is_one_of_the_programmes_zone() -> None:
    morning = NOW.replace(hour=1)

    assert parse_meeting(NOW.date().isoformat(), "Europe/Berlin", morning, ABOUT).at == morning
    noon = parse_meeting((NOW - timedelta(days=2)).date().isoformat(), "Asia/Kolkata", NOW, ABOUT).at
    assert (noon.hour, noon.minute) == (6, 30)


class _Away(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(502)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
        """The test looks at the page."""


@pytest.mark.parametrize("is_there", [True, False])
def test_a_gateway_that_does_not_answer_is_reported_and_nothing_is_noted(is_there: bool) -> None:  # noqa: FBT001 (pytest's)
    with serving(_Away) as url:
        gateway = Gateway(url if is_there else "http://127.0.0.1:1", {"acme": SecretStr("t")})
        with served_world(Settings(kafka="127.0.0.1:1"), NotifyTopics(), gateway) as site:
            site.world.low("4F2")
            client = site.enter("p-3", "coordinator", "spruce")

            page = note(client, NOW.date().isoformat()).text

    assert ("HTTP 502" if is_there else "does not answer") in page
    assert "Not noted" in page


def test_without_a_gateway_no_page_offers_it(site: Served) -> None:
    site.world.low("4F2")
    client = site.enter("p-3", "coordinator", "spruce")

    pages = [client.get(f"/alerts/{site.world.key('4F2')}"), client.get("/relationships/acme/4F2")]

    assert not [page for page in pages if "They met on" in page.text]
    assert note(client, NOW.date().isoformat()).status_code == 503
