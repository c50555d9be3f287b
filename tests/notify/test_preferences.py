"""What people have switched off for themselves, and when they want their digest."""

from datetime import UTC, datetime, time, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from schemas.alert_commands import AlertCommand, DigestAt, SwitchOff, SwitchOn
from schemas.alerts import Delivery, DeliveryItem
from services.notify.channels.smtp import UNSUBSCRIBE_TEXT, mail_bytes
from services.notify.domain.deliveries import start_attempt
from services.notify.domain.destinations import DestinationsConfig, Route
from services.notify.domain.handling import ActRefused
from services.notify.domain.name_book import NameBook
from services.notify.domain.preferences import (
    MAX_OFF,
    AddressesOff,
    PersonalSettings,
    Preferences,
    SwitchedOff,
    settings_after,
)
from services.notify.domain.routing import Addressing, DecisionContext
from services.notify.domain.rule_book import RuleBook
from services.notify.domain.shared_alerts import SharedAlerts
from services.notify.domain.unsubscribe import UnsubscribeLinks, UnsubscribeScope
from services.notify.domain.working_hours import ReceivingHours
from services.notify.flow.command_processor import CommandProcessor
from services.notify.flow.report import Metrics
from services.runtime.kafka import Record
from tests.notify.building import Pair, clock, day
from tests.notify.harness import NotifyHarness, mailed, mailing
from tests.notify.naming import participant, programme
from tests.notify.sending import episode, rendered

MONDAY = datetime(2024, 5, 6, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LINKS = UnsubscribeLinks.keyed("https://board.acme.example/", "a key that is long enough")
NOBODY = PersonalSettings(tenant="acme", person="p-3")


def own(**fields: Any) -> PersonalSettings:  # noqa: ANN401
    return NOBODY.model_copy(update=fields)


def office(settings: PersonalSettings) -> NotifyHarness:
    """Mails go to p-3, who looks after spruce; p-4 is the deputy."""
    config = DestinationsConfig((mailed(), mailing()), (Route(("owners",)),), "team")
    found = NotifyHarness(config, MONDAY - 30 * DAY, preferences=Preferences([settings]))
    found.people.upsert_programme(programme(time_zone="UTC"))
    for person in ("p-3", "p-4"):
        found.people.upsert(participant(person, person, addresses=(f"{person}@acme.example",), time_zone="UTC"))
    return found


def told(found: NotifyHarness) -> list[tuple[datetime, str]]:
    return [(moment, message.relationship) for moment, message in found.sent if message.recipient == "owners"]


def fall(found: NotifyHarness, moment: datetime, *pairs: Pair, health: float = 20.0) -> None:
    found.at(moment - DAY, *(pair.changed(moment - DAY, health=health) for pair in pairs))
    found.at(moment, clock(moment))


@pytest.mark.parametrize(
    ("off", "heard"),
    [
        ((), {"one", "two"}),
        ((SwitchedOff(relationship="one"),), {"two"}),
        ((SwitchedOff(rule="health_low"),), set()),
        ((SwitchedOff(rule="no_contact"),), {"one", "two"}),
        ((SwitchedOff(rule="health_low", relationship="two"),), {"one"}),
        ((SwitchedOff(),), set()),
    ],
)
def test_what_somebody_has_switched_off_is_not_mailed_to_them_and_says_why(
    off: tuple[SwitchedOff, ...], heard: set[str]
) -> None:
    found = office(own(off=off))

    fall(found, MONDAY + 10 * HOUR, Pair("one"), Pair("two"))
    found.until(MONDAY + 12 * HOUR, HOUR / 4)

    messages = [one for _, one in found.sent if one.recipient == "owners"]
    assert {pair for one in messages for pair in (one.relationship, *(i.relationship for i in one.items))} == heard
    why = {one.relationship: one.status for one in found.written.values() if one.state == "superseded"}
    missing = {"one", "two"} - heard
    assert {pair for pair, status in why.items() if status.startswith("switched off by whoever would")} >= missing


def test_the_digest_comes_when_somebody_wants_it_but_never_in_the_quiet_hours() -> None:
    early, nightly = office(own(digest_at=time(11))), office(own(digest_at=time(3)))

    for found in (early, nightly):
        fall(found, MONDAY + 2 * HOUR, Pair("one"), health=38.0)
        found.until(MONDAY + 14 * HOUR, HOUR / 4)

    assert told(early) == [(MONDAY + 11 * HOUR, "one")]
    assert told(nightly) == [(MONDAY + 8.5 * HOUR, "one")]


@pytest.mark.parametrize(("urgency", "is_kept"), [("P1", False), ("P2", True), ("P3", True)])
def test_what_is_urgent_is_never_switched_off(urgency: str, is_kept: bool) -> None:  # noqa: FBT001 (pytest's)
    delivery = episode("smtp", "owners")[0]
    alert = delivery.alert.model_copy(update={"urgency": urgency})
    mine = delivery.model_copy(update={"alert": alert, "person": "p-3"})
    preferences = Preferences([own(off=(SwitchedOff(),))])

    assert (preferences.suppression_reason(mine) is not None) is is_kept
    assert preferences.suppression_reason(mine.model_copy(update={"person": None})) is None


def test_acts_change_the_settings_of_whoever_acts() -> None:
    rule = SwitchOff(kind="switch_off", rule="health_low")

    once = settings_after(NOBODY, rule)
    assert isinstance(once, PersonalSettings)
    twice = settings_after(once, rule)
    assert twice == once
    assert once.off == (SwitchedOff(rule="health_low"),)
    assert settings_after(once, SwitchOn(kind="switch_on", rule="health_low")) == NOBODY
    assert settings_after(once, SwitchOn(kind="switch_on")) == once
    later = settings_after(NOBODY, DigestAt(kind="digest_at", at=time(9)))
    assert isinstance(later, PersonalSettings)
    assert later.digest_at == time(9)
    assert settings_after(later, DigestAt(kind="digest_at")) == NOBODY


def test_no_more_can_be_switched_off_than_is_kept() -> None:
    full = own(off=tuple(SwitchedOff(relationship=f"r-{number}") for number in range(MAX_OFF)))

    assert isinstance(settings_after(full, SwitchOff(kind="switch_off", relationship="one-more")), ActRefused)


def test_what_people_ask_for_themselves_is_done_for_them_alone() -> None:
    preferences = Preferences()
    addressing = Addressing(DestinationsConfig(), NameBook(), AddressesOff(), preferences)
    context = DecisionContext("wall", lambda: MONDAY, addressing)
    commanding = CommandProcessor({}, SharedAlerts(RuleBook("wall"), {}), {}, context, Metrics(CollectorRegistry()))

    def asked(by: str, act: SwitchOff | SwitchOn) -> dict[str, object]:
        command = AlertCommand(id=f"{by}-1", tenant="acme", by=by, at=MONDAY, act=act)
        record = Record("c", 0, 0, b"", command.model_dump_json().encode(), (), 0)
        return dict(commanding.apply([record]).settings)

    found = asked("p-3", SwitchOff(kind="switch_off", relationship="4F2"))

    assert found == {NOBODY.key: own(off=(SwitchedOff(relationship="4F2"),))}
    assert preferences.of("acme", "p-4").off == ()
    preferences.put(own(off=tuple(SwitchedOff(relationship=f"r-{number}") for number in range(MAX_OFF))))
    assert asked("p-3", SwitchOff(kind="switch_off")) == {}
    assert commanding.forget_settings("acme", "p-3") == [NOBODY.key]


def test_nothing_is_kept_of_whoever_is_erased() -> None:
    preferences = Preferences([own(off=(SwitchedOff(),))])

    assert preferences.forget("acme", "p-3") == ["~person/acme/p-3"]
    assert preferences.forget("acme", "p-3") == []
    assert preferences.of("acme", "p-3") == NOBODY
    assert preferences.hours("acme", "p-3", ReceivingHours()) == ReceivingHours()


def mail(delivery: Delivery) -> EmailMessage:
    whole = rendered(start_attempt(delivery, day(9)))
    found = message_from_bytes(
        mail_bytes(whole, "r@acme.example", ("ines@acme.example",), LINKS.of(whole)), policy=default
    )
    assert isinstance(found, EmailMessage)
    return found


def test_a_mail_to_a_person_says_how_to_get_no_more_of_its_kind() -> None:
    delivery = episode("smtp", "owners")[0].model_copy(update={"person": "p-3"})

    found = mail(delivery)

    link = found["List-Unsubscribe"].strip("<>")
    assert found["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link.startswith("https://board.acme.example/unsubscribe/")
    assert LINKS.read(link.rpartition("/")[2]) == UnsubscribeScope("acme", "p-3", "health_low", "4F2")
    plain, html = found.get_body(("plain",)), found.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert f"{UNSUBSCRIBE_TEXT}: {link}" in plain.get_content()
    assert link in html.get_content()
    assert mail(delivery).as_bytes() == found.as_bytes(), "a repeat is the same bytes"


def test_of_several_alerts_the_link_names_none() -> None:
    first, second = episode("smtp", "owners")[0], episode("smtp", "owners", "other")[0]
    item = DeliveryItem(program="spruce", relationship="other", alert=second.alert)
    several = first.model_copy(update={"person": "p-3", "items": (item,)})

    link = LINKS.of(several)

    assert link is not None
    assert LINKS.read(link.rpartition("/")[2]) == UnsubscribeScope("acme", "p-3", None, None)


def test_a_list_and_what_is_urgent_have_no_such_link() -> None:
    delivery = episode("smtp", "team")[0]
    urgent = delivery.alert.model_copy(update={"urgency": "P1"})

    assert mail(delivery)["List-Unsubscribe"] is None
    assert LINKS.of(delivery.model_copy(update={"person": "p-3", "alert": urgent})) is None
    assert UNSUBSCRIBE_TEXT not in mail(delivery).as_string()


@pytest.mark.parametrize("token", ["", ".", "x", "W10.", "!!!.00", "é.0"])
def test_a_link_of_somebody_else_says_nothing(token: str) -> None:
    other = UnsubscribeLinks.keyed("https://board.acme.example", "another key of sixteen")

    assert LINKS.read(token) is None
    assert LINKS.read(other.token(UnsubscribeScope("acme", "p-3", None, None))) is None
