"""Where an alert goes, and why: routes in their order, and whoever looks after the programme."""

from functools import partial
from pathlib import Path

import pytest

from schemas.alerts import Urgency
from services.notify.channels.destinations_file import load_destinations
from services.notify.domain.destinations import DestinationsConfig, DestinationsError, describe_config
from services.notify.domain.name_book import NameBook
from services.notify.domain.preferences import AddressesOff, AddressOff, address_digest
from services.notify.domain.routing import Addressing, RoutingKey, RoutingResult
from tests.notify.building import day
from tests.notify.naming import participant, programme

ENTRIES = """
destinations:
  - {name: owners, channel: smtp, host: mail, sender: r@acme.example, to: owner}
  - {name: team, channel: slack, url_env: URL, quiet_hours: "19:00-07:00", digest_at: "07:30", time_zone: Asia/Kolkata}
  - {name: oak, channel: slack, url_env: URL, programs: [oak]}
  - {name: on-call, channel: pagerduty, routing_key_env: KEY}
"""
ROUTES = """
routes:
  - {rules: [support_requested], to: [on-call], continue: true}
  - {classes: [P1], to: [team, oak]}
  - {programs: [spruce], classes: [P2, P3], to: [owners]}
  - {regions: [emea], to: [on-call]}
  - {to: [team]}
otherwise: team
admins: [on-call]
"""
ENVIRON = {"URL": "https://hooks.slack.com/services/x", "KEY": "R0UT1NGKEY"}


def load(tmp_path: Path, text: str) -> DestinationsConfig:
    file = tmp_path / "destinations.yaml"
    file.write_text(text)
    return load_destinations(file, ENVIRON)


def people(*, coordinator: str = "active", deputy: str = "active", manager: bool = False) -> NameBook:
    found = NameBook()
    found.upsert_programme(programme(manager="p-5" if manager else None))
    found.upsert_programme(programme(id="elm", region="emea", coordinator=None, deputy=None))
    found.upsert(participant("p-3", "Ana", addresses=("ana@acme.example",), status=coordinator))
    found.upsert(participant("p-4", "Ben", addresses=("ben@acme.example",), status=deputy))
    found.upsert(participant("p-5", "Cid", addresses=("cid@acme.example",)))
    return found


def routed(
    tmp_path: Path, known: NameBook, program: str = "spruce", rule: str = "health_low", urgency: Urgency = "P3"
) -> RoutingResult:
    routing = load(tmp_path, ENTRIES + ROUTES)
    return Addressing(routing, known, AddressesOff()).route(RoutingKey("acme", program, rule, urgency))


def to(found: RoutingResult) -> list[tuple[str, str | None]]:
    return [(one.destination.recipient, one.person) for one in found.to]


@pytest.mark.parametrize(
    ("program", "rule", "urgency", "expected"),
    [
        (
            "spruce",
            "health_low",
            "P3",
            (["owners"], "route 3 (class P2, P3; programme spruce): owners; owners is "),
        ),
        ("elm", "health_low", "P3", (["on-call"], "route 4 (region emea): on-call")),
        ("oak", "health_low", "P3", (["team"], "route 5 (catch-all): team")),
        ("oak", "programme_shift", "P1", (["team", "oak"], "route 2 (class P1): team, oak")),
        ("elm", "programme_shift", "P1", (["team"], "route 2 (class P1): team")),
        (
            "elm",
            "support_requested",
            "P1",
            (["on-call", "team"], "route 1 (rule support_requested), then route 2 ("),
        ),
    ],
)
def test_the_first_route_that_matches_takes_it_and_continue_goes_on(
    tmp_path: Path, program: str, rule: str, urgency: Urgency, expected: tuple[list[str], str]
) -> None:
    found = routed(tmp_path, people(), program, rule, urgency)

    names, why = expected
    assert [name for name, _ in to(found)] == names
    assert found.why.startswith(why)


@pytest.mark.parametrize(
    ("known", "recipient", "why"),
    [
        (people(), ("owners", "p-3"), "owners is p-3 (coordinator)"),
        (people(coordinator="leave"), ("owners", "p-4"), "owners is p-4 (deputy)"),
        (people(coordinator="exited", deputy="leave", manager=True), ("owners", "p-5"), "owners is p-5 (manager)"),
        (people(coordinator="exited", deputy="leave"), ("team", None), "no coordinator, deputy or manager can be reac"),
        (NameBook(), ("team", None), "nobody has described the programme"),
    ],
)
def test_an_owner_is_the_first_who_can_be_reached(
    tmp_path: Path, known: NameBook, recipient: tuple[str, str | None], why: str
) -> None:
    found = routed(tmp_path, known)

    assert to(found) == [recipient]
    assert why in found.why


def test_people_get_it_in_their_zone_with_the_holidays_of_the_programme(tmp_path: Path) -> None:
    found = routed(tmp_path, people()).to[0].delivery_window
    team = routed(tmp_path, people(), "oak").to[0].delivery_window

    assert found is not None
    assert found.calendar.zone == "Europe/Berlin"
    assert team is not None
    assert (team.calendar.zone, team.hours.digest_at.isoformat()) == ("Asia/Kolkata", "07:30:00")
    assert routed(tmp_path, people(), "elm").to[0].delivery_window is None


def test_without_routes_everything_goes_to_every_destination_that_gets_alerts(tmp_path: Path) -> None:
    entries = ENTRIES.replace("routing_key_env: KEY", "routing_key_env: KEY, alerts: none") + "otherwise: team\n"
    addressing = Addressing(load(tmp_path, entries), people(), AddressesOff())

    found = addressing.route(RoutingKey("acme", "spruce", "health_low", "P3"))
    none = Addressing(DestinationsConfig(()), people(), AddressesOff()).route(
        RoutingKey("acme", "spruce", "health_low", "P3")
    )

    assert [name for name, _ in to(found)] == ["owners", "team"]
    assert none == RoutingResult((), "catch-all: no destination takes it")


def test_the_routes_are_listed_in_their_order(tmp_path: Path) -> None:
    text = list(describe_config(load(tmp_path, ENTRIES + ROUTES)))

    assert "route 1: rule support_requested -> on-call; then the next routes" in text
    assert "route 5: catch-all -> team" in text
    assert "otherwise, where nobody who looks after a programme can be reached: team" in text
    assert "of destinations that are down hear: on-call" in text
    assert any(line.startswith("owners: smtp") and "to whoever looks after the programme" in line for line in text)


@pytest.mark.parametrize(
    ("routes", "fault"),
    [
        ("routes: []", "routes: List should have at least 1 item"),
        ("routes: [{to: [team], classes: [P1]}]", "routes: the last one must be a catch-all"),
        ("routes: [{to: [team], continue: true}]", "routes: the last one must be a catch-all"),
        ("routes: [{to: [team]}, {to: [on-call]}]", "routes.0: takes everything"),
        ("routes: [{to: [nobody]}]", "routes.0.to: there is no destination 'nobody'"),
        ("routes: [{to: [team], classes: [P4]}, {to: [team]}]", "routes.0.classes.0: Input should be 'P1', 'P2' or "),
        ("routes: [{to: [team]}]\nadmins: [nobody]", "admins.0: there is no destination 'nobody'"),
        ("routes: [{to: [team]}]\notherwise: nobody", "otherwise: there is no destination 'nobody'"),
        ("routes: [{to: [team]}]\notherwise: owners", "otherwise: must be a destination that does not go to an owner"),
        ("", "owners: goes to an owner: say with `otherwise` who gets it"),
    ],
)
def test_routes_that_cannot_be_used_are_reported(tmp_path: Path, routes: str, fault: str) -> None:
    with pytest.raises(DestinationsError) as refused:
        load(tmp_path, f"{ENTRIES}{routes}\n")

    assert fault in str(refused.value)


@pytest.mark.parametrize(
    ("hours", "fault"),
    [
        ('digest_at: "07:00"', "digest_at lies in quiet_hours"),
        ("quiet_hours: 18-8", "quiet_hours: String should match pattern"),
        ('quiet_hours: "18:00-25:00"', "quiet_hours: String should match pattern"),
        ("time_zone: Mars/Olympus", "is no IANA time zone"),
        ("most_per_hour: 0", "most_per_hour: Input should be greater than or equal to 1"),
    ],
)
def test_hours_that_cannot_be_are_reported(tmp_path: Path, hours: str, fault: str) -> None:
    with pytest.raises(DestinationsError) as refused:
        load(tmp_path, f"destinations: [{{name: team, channel: slack, url_env: URL, {hours}}}]")

    assert fault in str(refused.value)


def test_an_address_that_takes_no_mail_leaves_the_next_address_and_then_the_deputy(tmp_path: Path) -> None:
    known, off = people(), AddressesOff()
    known.upsert(participant("p-3", "Ana", addresses=("ana@acme.example", "ana@home.example")))
    addressing = Addressing(load(tmp_path, ENTRIES + ROUTES), known, off)
    about = RoutingKey("acme", "spruce", "health_low", "P3")

    found = []
    for address in ("ana@acme.example", "ana@home.example", "Ben@acme.example"):
        off.switch_off(switched_off("owners", address))
        is_off = partial(off.is_off, "owners")
        owner = addressing.route(about).to[0].person
        found.append((owner, known.address_of("acme", owner, is_off) if owner else None))

    assert found == [("p-3", "ana@home.example"), ("p-4", "ben@acme.example"), (None, None)]
    assert off.expired(day(29)) == []
    assert len(off.expired(day(30))) == 3
    assert to(addressing.route(about)) == [("owners", "p-3")]


def switched_off(destination: str, address: str) -> AddressOff:
    digest = address_digest(destination, address)
    return AddressOff(
        destination=destination, digest=digest, tenant="acme", person="p-3", since=day(0), status="SMTP 550"
    )


def test_what_is_known_of_the_addresses_of_an_erased_person_goes() -> None:
    mine = switched_off("owners", "ana@acme.example")
    off = AddressesOff([mine])

    assert off.forget("acme", "p-4") == []
    assert off.forget("acme", "p-3") == [mine.key]
    assert not off.is_off("owners", "ana@acme.example")
    assert b"ana" not in mine.model_dump_json().encode()
