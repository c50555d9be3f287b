"""Whoever asks for support hears that it was closed, and nothing of what it was about; nobody else hears of it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.alerts import ChannelName
from schemas.primitives import Side
from schemas.scores import ScoreChanged, SupportCall, Trigger
from services.ingest.domain.people.relationship_history import RelationshipHistory
from services.ingest.flow.people.projected_topics import roster_value
from services.notify.domain.decisions import alert_changed, plan_deliveries
from services.notify.domain.destinations import DestinationConfig, DestinationsConfig
from services.notify.domain.evaluation import Evaluator
from services.notify.domain.ids import Destination
from services.notify.domain.name_book import NameBook, PairRecord
from services.notify.domain.partition_alerts import MAX_CALLS, ClosedCall, PartitionAlerts
from services.notify.domain.preferences import AddressesOff
from services.notify.domain.record import WatchRecord, dump, load
from services.notify.domain.routing import Addressing
from services.notify.flow.notice_planner import NoticePlanner
from services.notify.rendering.renderer import Renderer
from tests.notify.building import WITHOUT_FALLS, Pair, day, hour, new_alerts
from tests.notify.conftest import Notify
from tests.notify.harness import mailed, mailing
from tests.notify.naming import participant, programme
from tests.notify.test_destinations_flow import write
from tests.receiver import eventually
from tests.schemas.golden import read

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
PAIR = Pair()
DESTINATIONS = """
destinations:
  - {name: owners, channel: smtp, host: mail.invalid, sender: r@acme.example, to: owner}
  - {name: chat, channel: slack, url_file: chat-url}
otherwise: chat
"""


def of_support(
    what: str, at: datetime, by: Side | None = None, request: str = "q", late: timedelta = timedelta(0)
) -> ScoreChanged:
    trigger = Trigger(
        source="/s", id=f"{request}-{what}", type=f"mentoring.support.{what}.v1", time=at - late, recordedtime=at
    )
    return PAIR.changed(at, trigger=trigger, call=SupportCall(request_id=request, by=by))


def asked(at: datetime, by: Side | None = "mentee", request: str = "q", **more: Any) -> ScoreChanged:  # noqa: ANN401
    return of_support("requested", at, by, request, **more)


def closed(at: datetime, request: str = "q", **more: Any) -> ScoreChanged:  # noqa: ANN401
    return of_support("resolved", at, None, request, **more)


def calls(alerts: PartitionAlerts, *events: ScoreChanged) -> list[ClosedCall]:
    for event in events:
        alerts.apply(event)
    return alerts.drain_closed_calls()


def call(request: str = "q", by: Side = "mentee") -> ClosedCall:
    return ClosedCall("acme", "spruce", "4F2", request, by)


def test_a_call_is_known_until_it_is_closed_whatever_instance_works() -> None:
    alerts = new_alerts()
    assert calls(alerts, asked(day(0)), asked(hour(1), "mentor", "r"), PAIR.changed(day(1))) == []
    kept = {
        key: load(dump(WatchRecord(watch=one))).watch  # type: ignore[union-attr]
        for key, one in alerts.drain_changes().watches.items()
    }

    later = PartitionAlerts(Evaluator(WITHOUT_FALLS, "log"), kept, None)

    assert calls(later, closed(day(2), "r")) == [call("r", "mentor")]
    assert calls(later, closed(day(3))) == [call()]
    # Told once, however often it is closed.
    assert calls(later, closed(day(4))) == []
    assert dict(later.drain_changes().watches["acme/4F2"].calls) == {}


def test_of_what_an_administrator_asked_for_or_nobody_did_nobody_hears() -> None:
    assert calls(new_alerts(), asked(day(0), None), closed(day(1))) == []
    assert calls(new_alerts(), closed(day(1))) == []


def test_of_what_is_imported_nobody_is_notified_and_of_a_close_that_is_late_they_are() -> None:
    years, days = timedelta(days=700), timedelta(days=3)

    assert calls(new_alerts("wall"), asked(day(0), late=years), closed(hour(1), late=years)) == []
    assert calls(new_alerts("wall"), asked(day(0)), closed(day(9), late=days)) == [call()]


def test_of_a_pair_that_asks_and_asks_so_many_calls_are_known() -> None:
    alerts = new_alerts()
    events = [asked(hour(number), request=f"q{number}") for number in range(MAX_CALLS + 2)]

    assert calls(alerts, *events, closed(day(2), "q1"), closed(day(3), "q2")) == [call("q2")]


def test_what_is_erased_is_answered_to_nobody() -> None:
    alerts = new_alerts()
    calls(alerts, asked(day(0)))
    alerts.erase("acme/4F2", day(1))
    alerts.remove_erased("acme/4F2")

    assert calls(alerts, closed(day(2))) == []


def names() -> NameBook:
    people = NameBook()
    people.upsert_programme(programme(time_zone="UTC"))
    people.upsert(participant("e-1", "Ben Ode", addresses=("ben@acme.example",), time_zone="UTC"))
    people.upsert(participant("m-1", "Ana Ruiz"))
    people.upsert(participant("m-2", "Eva Lind", addresses=("eva@acme.example",)))
    people.upsert_pair("acme", "4F2", PairRecord(("m-1",), ("e-1",)))
    people.upsert_pair("acme", "group", PairRecord(("m-2", "m-1"), ("e-1",)))
    return people


def noticing(*configs: DestinationConfig, **fields: Any) -> NoticePlanner:  # noqa: ANN401
    config = DestinationsConfig(configs, **fields)
    return NoticePlanner(Addressing(config, names(), AddressesOff()), AddressesOff(), "wall", lambda: NOON)


def test_whoever_asked_gets_a_mail_of_their_own_once_without_names_or_content() -> None:
    found = noticing(mailed(), mailing(), otherwise="team")

    (told,) = found.support_closed([call()])
    again = found.support_closed([call()])

    assert (told.recipient, told.person, told.relationship, told.due_at) == ("owners", "e-1", "4F2", NOON)
    assert [one.delivery_id for one in again] == [told.delivery_id]
    assert found.support_closed([call("another")])[0].delivery_id != told.delivery_id
    body = Renderer(names(), "https://board.example/{relationship}").render(told).body or ""
    assert "Your request for support was closed" in body
    assert not [word for word in ("Ana", "Ben", "spruce", "4F2", "board.example") if word in body]


@pytest.mark.parametrize(
    ("by", "act"),
    [
        (("mentee",), "Call Ben Ode (mentee), who has asked for support, and acknowledge this, so that others know."),
        (("mentor",), "Call Ana Ruiz (mentor), who has asked for support, and acknowledge this, so that others know."),
        (("mentor", "mentee"), "Call Ana Ruiz (mentor) and Ben Ode (mentee), who have asked for support, and "),
        ((None,), "Answer the request now, and acknowledge this, so that others know."),
    ],
)
def test_the_mail_to_whoever_shall_help_says_who_asks(by: tuple[Side | None, ...], act: str) -> None:
    alerts = new_alerts()
    for number, side in enumerate(by):
        call = SupportCall(request_id=f"q{number}", by=side)
        alerts.apply(PAIR.changed(hour(number), position=number, caps=("support_open",), call=call))
    (asks,) = alerts.remind("acme/4F2", "support_requested", day(1), "nobody has answered")
    (mail,) = plan_deliveries(alert_changed(asks, NOON), [Destination("smtp", "team")])

    body = json.loads(Renderer(names(), None).render(mail).body or "")

    assert act in body["text"]
    assert act in body["html"]


def test_who_asks_is_said_to_people_who_answer_and_neither_to_machines_nor_in_the_log_nor_in_the_audit_trail() -> None:
    alerts = new_alerts()
    (asks,) = alerts.apply(PAIR.changed(hour(0), caps=("support_open",), call=SupportCall(request_id="q", by="mentee")))
    event = alert_changed(asks, NOON)
    channels: tuple[ChannelName, ...] = ("webhook", "pagerduty", "log", "slack")
    bodies = {
        sent.channel: Renderer(names(), None).render(sent).body or ""
        for sent in plan_deliveries(event, [Destination(channel, "team") for channel in channels])
    }

    assert "mentee" not in f"{event.data.summary} {event.data.next_step}"
    assert [name for name, body in bodies.items() if "mentee" in body] == ["slack"]
    assert "an immediate request for support is open" in bodies["webhook"]
    assert "an immediate request for support is open" in bodies["pagerduty"]


@pytest.mark.parametrize(
    ("closed_call", "why"),
    [
        (call(by="mentor"), "of the mentor no address is known: the team is not told instead"),
        (ClosedCall("acme", "spruce", "group", "q", "mentor"), "which of the mentors asked nobody knows"),
        (ClosedCall("acme", "spruce", "unknown", "q", "mentee"), "no directory names the pair"),
    ],
)
def test_where_nobody_knows_who_asked_nobody_is_notified(closed_call: ClosedCall, why: str) -> None:
    assert noticing(mailed(), mailing(), otherwise="team").support_closed([closed_call]) == [], why


def test_where_mails_do_not_go_to_persons_nobody_is_notified() -> None:
    assert noticing(mailing(), otherwise="team").support_closed([call()]) == []


def test_a_running_notify_plans_the_mail_with_the_score_that_says_so(notify: Notify, tmp_path: Path) -> None:
    mentee = participant("p-2077", "Ben Ode", addresses=("ben@acme.example",))
    started = RelationshipHistory().with_event(read("relationship.started.v1"))  # type: ignore[arg-type]
    write(notify, notify.names.directory, "acme/p-2077", mentee.model_dump_json().encode())
    write(notify, notify.names.roster, "acme/4F2", roster_value(1, started))
    file = tmp_path / "destinations.yaml"
    (tmp_path / "chat-url").write_text("https://hooks.slack.invalid/services/T0/B0/none")
    file.write_text(DESTINATIONS)
    notify.start(RAPPORT_NOTIFY_DESTINATIONS=str(file))
    notify.write(asked(day(0)), closed(day(1)))

    eventually(lambda: notify.deliveries("4F2", "smtp"), what="the mail")

    (mail,) = notify.deliveries("4F2", "smtp")
    assert (mail.alert.rule, mail.person) == ("support_closed", "p-2077")
    assert [one for one in notify.alerts() if "support_closed" in str(one)] == []
