"""What people are told beside alerts: destinations that are down, silences that end, the test of the month."""

from datetime import UTC, datetime, timedelta
from typing import Literal

from schemas.alert_commands import AlertSilence
from schemas.alerts import Delivery
from services.notify.domain.destinations import DestinationConfig, DestinationsConfig
from services.notify.domain.name_book import NameBook
from services.notify.domain.outbox import Parked
from services.notify.domain.preferences import AddressesOff, AddressOff
from services.notify.domain.routing import Addressing
from services.notify.flow.notice_planner import NoticePlanner
from services.notify.rendering.renderer import Renderer
from tests.notify.harness import HOURS, machine, mailed, mailing
from tests.notify.naming import participant, programme

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DOWN = {"chat": Parked(NOON, 3, "HTTP 403: invalid_token", NOON)}


def noticing(
    *configs: DestinationConfig, now: datetime = NOON, clock: Literal["wall", "log"] = "wall", **fields: object
) -> NoticePlanner:
    people = NameBook()
    people.upsert_programme(programme(time_zone="UTC"))
    people.upsert(participant("p-3", "Ana", addresses=("ana@acme.example",), time_zone="Asia/Tokyo"))
    config = DestinationsConfig(configs, **fields)  # type: ignore[arg-type]
    return NoticePlanner(Addressing(config, people, AddressesOff()), AddressesOff(), clock, lambda: now)


def silence(**fields: object) -> AlertSilence:
    given: dict[str, object] = {
        "id": "fair-week",
        "tenant": "acme",
        "program": "spruce",
        "by": "p-3",
        "since": NOON - 5 * DAY,
        "until": NOON + DAY / 2,
    }
    return AlertSilence(**(given | fields))  # type: ignore[arg-type]


def to(deliveries: list[Delivery]) -> list[tuple[str, str | None, str]]:
    return [(d.recipient, d.person, d.transition) for d in deliveries]


def test_the_author_is_notified_a_day_before_a_silence_ends_when_they_work() -> None:
    found = noticing(mailed(), mailing(), otherwise="team")

    (told,) = found.plan([silence()], {})
    again = found.plan([silence()], {})

    assert to([told]) == [("owners", "p-3", "fired")]
    assert told.due_at == datetime(2024, 5, 6, 23, 30, tzinfo=UTC)
    assert told.alert.summary == "The silence fair-week of spruce ends at 7 May 2024 00:00 UTC."
    assert [one.delivery_id for one in again] == [told.delivery_id]
    assert "A silence of yours ends within a day" in (Renderer(NameBook(), None).render(told).body or "")


def test_of_a_short_silence_or_one_with_more_time_nobody_is_notified_and_of_a_strangers_whoever_gets_the_rest() -> None:
    found = noticing(mailed(), mailing(), otherwise="team")

    assert found.plan([silence(until=NOON + 2 * DAY), silence(since=NOON - DAY / 4)], {}) == []
    assert to(found.plan([silence(by="stranger")], {})) == [("team", None, "fired")]
    assert noticing(mailed()).plan([silence(by="stranger")], {}) == []


def test_an_admin_is_notified_once_of_a_destination_that_is_down_and_that_it_is_back() -> None:
    admins = ("chat", "on-call")
    found = noticing(mailing("chat"), machine("on-call"), admins=admins)

    down, still, back, later = (found.plan([], parked) for parked in (DOWN, DOWN, {}, {}))

    assert (to(down), still, to(back), later) == (
        [("on-call", None, "fired")],
        [],
        [("on-call", None, "resolved")],
        [],
    )
    assert down[0].dedup_key == back[0].dedup_key
    assert down[0].alert.summary == "chat takes no messages since 6 May 2024 12:00 UTC: HTTP 403: invalid_token."
    restarted = noticing(mailing("chat"), machine("on-call"), admins=admins)
    restarted.remember(down)
    assert to(restarted.plan([], {})) == [("on-call", None, "resolved")]


def test_without_an_admin_whoever_gets_the_rest_is_notified() -> None:
    assert to(noticing(mailing("chat"), mailing("team"), otherwise="team").plan([], DOWN)) == [("team", None, "fired")]
    assert noticing(mailing("chat")).plan([], DOWN) == []


def test_teams_gets_a_test_on_the_first_working_day_of_the_month() -> None:
    chat = DestinationConfig("office", "teams", None, hours=HOURS)
    days = [datetime(2024, 6, day, 12, tzinfo=UTC) for day in (1, 2, 3, 9, 10, 30)]

    told = [noticing(chat, now=day).plan([], {}) for day in days]

    assert [len(found) for found in told] == [0, 0, 1, 1, 0, 0]
    assert told[2][0].delivery_id == told[3][0].delivery_id
    assert noticing(chat, now=datetime(2024, 6, 3, 9, 59, tzinfo=UTC)).plan([], {}) == []
    assert noticing(chat, now=days[2], clock="log").plan([], {}) == []
    july = noticing(chat, now=datetime(2024, 7, 1, 12, tzinfo=UTC)).plan([], {})
    assert july[0].delivery_id != told[2][0].delivery_id


def test_a_mail_about_an_address_that_is_refused_says_whose_it_is_by_name_and_never_by_id() -> None:
    people = NameBook()
    people.upsert(participant("p-3", "Ana Ruiz"))
    found = noticing(mailed(), mailing("desk"), admins=("desk",))
    found.switch_off(
        AddressOff(destination="owners", digest="0" * 64, tenant="acme", person="p-3", since=NOON, status="SMTP 550")
    )

    (told,) = found.plan([], {})
    known, unknown = (Renderer(book, None).render(told) for book in (people, NameBook()))

    assert "owners: an address is switched off" in told.alert.summary
    assert "*Whose address:* Ana Ruiz" in (known.body or "")
    assert known.people == ("p-3",)
    assert "*Whose address:* somebody whom no directory names any more" in (unknown.body or "")
    assert "p-3" not in f"{known.body}{unknown.body}"


def test_of_a_refused_address_only_admins_of_the_organisation_learn_whose_it_is() -> None:
    found = noticing(mailed(), mailing("desk"), mailing("theirs", tenant="other"), admins=("desk", "theirs"))
    found.switch_off(
        AddressOff(destination="owners", digest="0" * 64, tenant="acme", person="p-3", since=NOON, status="SMTP 550")
    )

    told = {one.recipient: one for one in found.plan([], {})}

    assert told.keys() == {"desk", "theirs"}
    assert (told["desk"].tenant, told["desk"].relationship, told["desk"].people) == ("acme", "p-3", ("p-3",))
    assert (told["theirs"].tenant, told["theirs"].relationship) == ("rapport", "owners")
    assert "p-3" not in told["theirs"].model_dump_json()
