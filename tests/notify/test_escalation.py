"""Who is asked by name: the next in line when nobody acknowledges, and whoever an alert is given to."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from schemas.alert_commands import Acknowledge, Act, AlertCommand, AlertReference, Assign
from schemas.alerts import Delivery
from services.notify.domain.alert_episode import episodes_of
from services.notify.domain.destinations import DestinationConfig, DestinationsConfig
from services.notify.domain.preferences import AddressesOff
from services.notify.domain.routing import Addressing, DecisionContext
from services.notify.domain.rule_book import RuleBook
from services.notify.domain.shared_alerts import SharedAlerts
from services.notify.domain.working_hours import WorkCalendar, escalates_at
from services.notify.flow.command_processor import CommandProcessor
from services.notify.flow.escalation import AssignedAlert, EscalationPlanner
from services.notify.flow.report import Metrics
from services.notify.rendering.renderer import Renderer
from services.runtime.kafka import Record
from tests.notify.building import Pair
from tests.notify.harness import NotifyHarness, mailed, mailing
from tests.notify.naming import participant, programme

MONDAY = datetime(2024, 5, 6, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = MONDAY + DAY + 12 * HOUR
"""By then somebody shall have acknowledged what fired on Monday as P2."""


class Line:
    """An office whose deliveries are observed, as rounds do."""

    def __init__(self, *others: DestinationConfig, **people: Any) -> None:  # noqa: ANN401
        config = DestinationsConfig((mailed(), mailing(), *others), otherwise="team")
        self.office = NotifyHarness(config, MONDAY - 30 * DAY)
        named = {"coordinator": "p-3", "deputy": "p-4", "manager": "p-5", "time_zone": "UTC"} | people
        self.office.people.upsert_programme(programme(**named))
        for person, name in (("p-3", "Ines"), ("p-4", "Noor"), ("p-5", "Jo")):
            address = (f"{person}@acme.example",)
            self.office.people.upsert(participant(person, name, addresses=address, time_zone="UTC"))
        self.begin()

    def begin(self) -> None:
        addressing = Addressing(self.office.config, self.office.people, AddressesOff())
        self.context = DecisionContext("wall", lambda: self.office.now, addressing)
        self.shared = SharedAlerts(RuleBook("wall"), {})
        self.asking = EscalationPlanner((self.office.partition, self.shared), RuleBook("wall"), self.context)

    def critical(self, *pairs: Pair, moment: datetime = MONDAY + 10 * HOUR) -> None:
        """P2 fires at that instant."""
        low = moment - 6 * HOUR
        self.office.at(low, *(pair.changed(low, health=20.0) for pair in pairs))
        decisions = self.office.at(moment)
        self.asking.observe([delivery for decision in decisions for delivery in decision.deliveries])

    def asked(self, moment: datetime) -> list[Delivery]:
        self.office.now = moment
        return self.asking.plan(())

    def acknowledge(self, pair: Pair) -> None:
        key = f"acme/{pair.relationship}"
        watch = self.office.partition.watch(key)
        assert watch is not None
        (known,) = episodes_of(watch)
        held = known.handling.model_copy(update={"state": "acknowledged", "by": "p-3", "until": NOON + DAY})
        self.office.partition.set_handling(key, known.rule, held)


@pytest.mark.parametrize(
    ("urgency", "decided", "at"),
    [
        ("P1", MONDAY, MONDAY + HOUR / 2),
        ("P2", MONDAY, NOON),
        ("P2", MONDAY + 23 * HOUR, NOON),
        ("P2", MONDAY + 4 * DAY, MONDAY + 8 * DAY + 12 * HOUR),
        ("P3", MONDAY, None),
    ],
)
def test_somebody_has_half_an_hour_or_until_noon_of_the_next_working_day(
    urgency: Any,  # noqa: ANN401
    decided: datetime,
    at: datetime | None,
) -> None:
    holidays = WorkCalendar("UTC", frozenset({date(2024, 5, 13)}))

    assert escalates_at(urgency, decided, holidays) == at


def test_what_nobody_acknowledges_goes_to_the_deputy_in_one_message() -> None:
    line = Line()
    line.critical(Pair("one"), Pair("two"), Pair("seen"))
    line.acknowledge(Pair("seen"))

    assert line.asked(NOON - HOUR) == []
    (message,) = line.asked(NOON)

    assert (message.recipient, message.person, message.transition) == ("owners", "p-4", "reminded")
    assert {message.relationship, *(item.relationship for item in message.items)} == {"one", "two"}
    assert message.alert.why == "nobody has acknowledged it by Tue 7 May 12:00"
    assert message.due_at == NOON
    assert line.asked(NOON + DAY) == []


def test_it_is_sent_with_all_that_somebody_needs_and_the_first_mail_says_who_comes_next() -> None:
    line = Line()
    line.critical(Pair("one"))
    line.office.until(MONDAY + 11 * HOUR)
    renderer = Renderer(line.office.people, None)

    first = next(message for _, message in line.office.sent if message.recipient == "owners")
    told = renderer.render(first)
    asked = renderer.render(line.asked(NOON)[0])

    assert "If nobody acknowledges it: it goes to Noor (deputy) on Tue 7 May at 12:00" in (told.body or "")
    assert "p-4" in told.people
    assert "nobody has acknowledged it by Tue 7 May 12:00" in (asked.body or "")
    assert "If nobody acknowledges it" not in (asked.body or "")


@pytest.mark.parametrize("people", [{"deputy": None, "manager": None}, {"deputy": "p-3", "manager": None}])
def test_where_nobody_else_looks_after_the_programme_nobody_else_is_asked(people: dict[str, Any]) -> None:
    line = Line(**people)
    line.critical(Pair("one"))

    assert line.asked(NOON) == []


def test_only_a_destination_that_goes_to_persons_of_the_programme_asks_the_next_one() -> None:
    shut = Line(mailed("elsewhere", tenant="globex"))
    shut.office.config = DestinationsConfig((mailing(),), otherwise="team")
    shut.begin()
    shut.critical(Pair("one"))
    of_another = DestinationsConfig((mailed("elsewhere", tenant="globex"), mailed(), mailing()), otherwise="team")

    assert shut.asked(NOON) == []
    shut.office.config = of_another
    shut.begin()
    shut.asking.remember(list(shut.office.written.values()))
    shut.office.now = NOON
    assert [one.recipient for one in shut.asking.plan(())] == ["owners"]


def test_what_is_over_by_then_or_of_a_pair_that_is_gone_is_asked_of_nobody() -> None:
    line = Line()
    line.critical(Pair("better"), Pair("gone"))
    later = MONDAY + 20 * HOUR
    line.office.at(later, Pair("better").changed(later, health=95.0))
    line.office.until(MONDAY + 4 * DAY, HOUR)
    line.office.erase("relationship", "gone")

    assert line.asked(MONDAY + 5 * DAY) == []


def test_another_instance_asks_once_more_for_nothing_and_for_all_that_came_due_meanwhile() -> None:
    line = Line()
    line.critical(Pair("one"))
    line.critical(Pair("two"), moment=MONDAY + DAY + 9 * HOUR)
    (asked,) = line.asked(NOON)
    told = [asked, *line.office.written.values()]

    line.begin()
    line.asking.remember(told)

    assert line.asked(NOON + HOUR) == []
    (later,) = line.asked(NOON + DAY + HOUR)
    assert later.relationship == "two"


def test_before_the_first_message_a_start_looks_back_for_a_day_only() -> None:
    line = Line()
    line.critical(Pair("one"))
    line.office.now = NOON + 2 * DAY

    line.begin()
    line.asking.remember(list(line.office.written.values()))

    assert line.asked(NOON + 2 * DAY) == []


def test_whoever_gets_an_alert_is_notified_of_it_as_it_is_now() -> None:
    line = Line()
    line.critical(Pair("one"))
    watch = line.office.partition.watch("acme/one")
    assert watch is not None

    (message,) = line.asking.plan([AssignedAlert(watch, "health_low", "p-5", "act-1")])
    again = line.asking.plan([AssignedAlert(watch, "health_low", "p-5", "act-1")])

    assert (message.recipient, message.person) == ("owners", "p-5")
    assert "it was given to you" in (Renderer(line.office.people, None).render(message).body or "")
    assert [one.delivery_id for one in again] == [message.delivery_id]
    assert line.asking.plan([AssignedAlert(watch, "health_low", "nobody", "act-2")]) == []


def reference(line: Line) -> AlertReference:
    watch = line.office.partition.watch("acme/one")
    assert watch is not None
    (known,) = episodes_of(watch)
    return AlertReference(subject="one", rule="health_low", dedup_key=known.dedup_key)


@pytest.mark.parametrize(("by", "to", "heard"), [("p-3", "p-5", ["p-5"]), ("p-5", "p-5", []), ("p-3", None, [])])
def test_an_act_that_gives_an_alert_to_somebody_else_is_reported_to_them(
    by: str, to: str | None, heard: list[str]
) -> None:
    line = Line()
    line.critical(Pair("one"))
    acts: list[Act] = [Assign(kind="assign", assignee=to), Acknowledge(kind="acknowledge")]
    commands = [
        AlertCommand(id=f"act-{number}", tenant="acme", by=by, at=line.office.now, alert=reference(line), act=act)
        for number, act in enumerate(acts)
    ]

    commanding = CommandProcessor(
        {0: line.office.partition}, line.shared, {}, line.context, Metrics(CollectorRegistry())
    )
    records = [Record("c", 0, 0, b"", one.model_dump_json().encode(), (), 0) for one in commands]

    given = commanding.apply(records).assigned

    assert [one.person for one in given] == heard
