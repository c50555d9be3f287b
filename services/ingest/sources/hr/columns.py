"""What HR systems call what they say of a person, wherever in a record it stands."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from services.ingest.domain.tools.allow_list import visible

# Compared without case, blanks and punctuation: "Employee ID", "employee_id" and "employeeId" are the same.
# `leave_until` is the last day of a leave, `back_on` the day after it, `rehired_on` that on which who had left came
# back; `updated_at` counts only where nobody says when the record was received.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": (
        *("id", "participant", "participant_id", "employee_id", "employee_number", "emp_id", "person_id"),
        *("person_number", "personnel_number", "worker_id", "external_id"),
        *("personalnummer", "personal_nr", "mitarbeiternummer", "mitarbeiter_id", "matricule"),
    ),
    "name": ("name", "full_name", "display_name", "legal_name", "name.formatted", "employee_name", "worker"),
    "first_name": ("first_name", "given_name", "forename", "name.given_name", "vorname", "prénom"),
    "last_name": ("last_name", "family_name", "surname", "name.family_name", "nachname", "familienname", "nom"),
    "addresses": (
        *("addresses", "address", "email", "emails", "mail", "email_address", "work_email", "business_email"),
        *("e_mail_adresse", "mailadresse", "adresse_e_mail", "courriel"),
    ),
    "status": (
        *("status", "employment_status", "employee_status", "worker_status", "active", "is_active"),
        *("beschäftigungsstatus", "mitarbeiterstatus", "statut"),
    ),
    "leave_from": ("leave_from", "leave_start", "leave_start_date", "leave_begin", "first_day_of_leave"),
    "leave_until": ("leave_until", "leave_end", "leave_end_date", "last_day_of_leave"),
    "back_on": ("back_on", "return_date", "returns_on", "first_day_back"),
    "rehired_on": ("rehired_on", "rehire_date"),
    "terminated_on": (
        "terminated_on",
        "termination_date",
        "left_on",
        "exit_date",
        "employment_end_date",
        "austrittsdatum",
    ),
    "time_zone": ("time_zone", "timezone", "tz", "zeitzone"),
    "consent": ("consent", "einwilligung"),
    "updated_at": ("updated_at", "last_modified", "last_modified_at", "modified_at", "meta.last_modified"),
}
# Which of them are of a name.
NAMES = ("name", "first_name", "last_name")
# Which of them are days.
DAYS = ("leave_from", "leave_until", "back_on", "rehired_on", "terminated_on")
# Of a value beside its name.
LABELLED = frozenset({"label", "value"})
# Deeper than this nothing of a person is found.
MOST_LEVELS = 4


# What a header says of how its days are written.
_FORM_OF_DAYS = re.compile(r"[(\[]\s*[dmytja]{1,4}([-./ ][dmytja]{1,4}){1,2}\s*[)\]]", re.IGNORECASE)


# The same few names stand in every row.
@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    return "".join(
        letter for letter in _FORM_OF_DAYS.sub("", visible(name)).casefold() if letter.isalnum() or letter == "."
    )


# All of these names, plain.
KNOWN = frozenset(plain(name) for names in COLUMNS.values() for name in names)


def flat(employee: Mapping[str, object]) -> Mapping[str, tuple[str, object]]:
    """By plain name, what stands there and how it is called there; `name.formatted` is a member of a member. Members of
    `attributes` (JSON:API) are the person's own, also where a label stands beside each value (Personio). Of two that
    are called alike (`Email`, `E-Mail`) one that is empty says nothing."""
    found: dict[str, tuple[str, object]] = {}
    for name, value in _leaves("", employee, MOST_LEVELS):
        if value not in (None, "") or plain(name) not in found:
            found[plain(name)] = (name, value)
    return found


def _leaves(prefix: str, members: Mapping[str, object], levels: int) -> Iterator[tuple[str, object]]:
    for name, value in members.items():
        if isinstance(value, dict) and value.keys() >= LABELLED:
            yield f"{prefix}{name}", value["value"]
        elif isinstance(value, dict) and levels > 1:
            yield from _leaves("" if name == "attributes" else f"{prefix}{name}.", value, levels - 1)
        else:
            yield f"{prefix}{name}", value
