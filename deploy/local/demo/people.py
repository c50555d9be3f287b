"""Invented names for the pairs of the sample, so that the board reads as it would: the contacts are real, nobody is."""

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
AT_ONCE = 500


def name_everybody(gateway_url: str, token: str, chosen: Sequence[Contact]) -> None:
    """Raises httpx.HTTPError, and CommandFailedError where the gateway does not take one of them."""
    people = people_of(chosen)
    with httpx.Client(base_url=gateway_url, headers={"authorization": f"Bearer {token}"}, timeout=60) as gateway:
        for begin in range(0, len(people), AT_ONCE):
            answer = gateway.post("/v1/directory/participants", json=people[begin : begin + AT_ONCE]).raise_for_status()
            if answer.json()["rejected"]:
                raise CommandFailedError(f"not all names were taken: {answer.text[:1_000]}")


def people_of(chosen: Sequence[Contact]) -> list[dict[str, Any]]:
    """Both sides of every pair, as the gateway takes them."""
    people: list[dict[str, Any]] = []
    for number in sorted({contact.pair for contact in chosen}):
        for side, shift in (("reviewer", 0), ("author", 11)):
            # The same names for a pair in every run.
            spot = number * 7 + shift
            name = f"{GIVEN[spot % len(GIVEN)]} {FAMILY[(spot // 3 + shift) % len(FAMILY)]}"
            people.append({"id": f"{side}-{number}", "name": name, "time_zone": "Europe/Berlin", "consent": True})
    return people
