"""Invented names for the pairs of the sample: the contacts are real, the people are not, and the board needs names to
show."""

from collections.abc import Sequence
from typing import Any

import httpx

from deploy.local.demo.sample import Contact
from deploy.local.stack import CommandFailedError

GIVEN = (
    *("Amaya", "Bram", "Cleo", "Dario", "Elin", "Fadil", "Greta", "Hugo", "Imani", "Joris", "Kaya", "Levi", "Mirela"),
    *("Nuno", "Oda", "Pavel", "Quirin", "Runa", "Selim", "Talia", "Udo", "Vera", "Wanja", "Xavi", "Yara", "Zeno"),
)
FAMILY = (
    *("Ashby", "Brandt", "Cardoso", "Demir", "Ekberg", "Falk", "Grimaldi", "Halloran", "Ivers", "Jansky", "Kestrel"),
    *("Lindqvist", "Moreau", "Novotny", "Okoro", "Prado", "Quist", "Rautio", "Sorel", "Tanaka", "Ulrich", "Varga"),
    *("Winther", "Yilmaz", "Zamora"),
)
BATCH_SIZE = 500


def send_participants(gateway_url: str, token: str, chosen: Sequence[Contact]) -> None:
    """Raises httpx.HTTPError, and CommandFailedError if the gateway rejects one of them."""
    people = participants_of(chosen)
    with httpx.Client(base_url=gateway_url, headers={"authorization": f"Bearer {token}"}, timeout=60) as gateway:
        for begin in range(0, len(people), BATCH_SIZE):
            answer = gateway.post(
                "/v1/directory/participants", json=people[begin : begin + BATCH_SIZE]
            ).raise_for_status()
            if answer.json()["rejected"]:
                raise CommandFailedError(f"not all names were taken: {answer.text[:1_000]}")


def participants_of(chosen: Sequence[Contact]) -> list[dict[str, Any]]:
    """Return both sides of every pair, in the gateway's format."""
    people: list[dict[str, Any]] = []
    for number in sorted({contact.pair for contact in chosen}):
        for side, shift in (("reviewer", 0), ("author", 11)):
            # The same names for a pair in every run.
            spot = number * 7 + shift
            name = f"{GIVEN[spot % len(GIVEN)]} {FAMILY[(spot // 3 + shift) % len(FAMILY)]}"
            people.append({"id": f"{side}-{number}", "name": name, "time_zone": "Europe/Berlin", "consent": True})
    return people
