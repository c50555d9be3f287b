"""What HR systems call what they say of a person, wherever in a record it stands."""

import re
from collections.abc import Container, Iterator, Mapping
from functools import lru_cache

from services.ingest.domain.tools.allow_list import visible

# Compared without case, blanks and punctuation: "Employee ID", "employee_id" and "employeeId" are the same.
# `leave_until` is the last day of a leave, `back_on` the day after it, `last_day` that before `terminated_on`,
# `rehired_on` that on which who had left came back; `updated_at` counts only where nobody says when the record was
# received.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": (
        *(
            "id",
            "participant",
            "participant_id",
            "employee_id",
            "employee_number",
            "employee_no",
            "emp_id",
            "person_id",
        ),
        *("person_number", "personnel_number", "worker_id", "external_id", "user_id"),
        *("personalnummer", "personal_nr", "pers_nr", "mitarbeiternummer", "mitarbeiter_nr", "mitarbeiter_id", "ma_nr"),
        *("matricule", "matricola", "numéro_d_employé", "número_de_empleado", "personeelsnummer"),
    ),
    "name": (
        *("name", "full_name", "display_name", "legal_name", "name.formatted", "name.full_name", "employee_name"),
        *("worker", "user.display_name", "last_name_first_name", "nachname_vorname", "name_vorname"),
    ),
    "first_name": (
        *("first_name", "given_name", "forename", "name.given_name", "vorname", "prénom", "nombre", "voornaam"),
        *("legal_first_name", "preferred_first_name"),
    ),
    "last_name": (
        *("last_name", "family_name", "surname", "name.family_name", "nachname", "familienname", "nom", "cognome"),
        *("apellido", "apellidos", "achternaam", "legal_last_name"),
    ),
    "addresses": (
        *("addresses", "address", "email", "emails", "mail", "email_address", "work_email", "business_email"),
        *(
            "primary_work_email",
            "primary_email",
            "email_primary_work",
            "company_email",
            "email_work",
            "work_email_address",
        ),
        *("emails.work", "work.email", "contact.email"),
        *("e_mail_adresse", "mailadresse", "dienstliche_e_mail", "e_mail_geschäftlich", "e_mail_dienstlich"),
        *("adresse_e_mail", "courriel", "correo_electrónico", "e_mailadres", "indirizzo_email"),
    ),
    "status": (
        *("status", "employment_status", "employee_status", "worker_status", "active", "is_active", "active_status"),
        *("employment.status", "internal.status", "role_state", "beschäftigungsstatus", "mitarbeiterstatus"),
        *("aktiv", "statut", "stato"),
    ),
    "leave_from": ("leave_from", "leave_start", "leave_start_date", "leave_begin", "first_day_of_leave"),
    "leave_until": ("leave_until", "leave_end", "leave_end_date", "last_day_of_leave"),
    "back_on": ("back_on", "return_date", "returns_on", "first_day_back"),
    "rehired_on": ("rehired_on", "rehire_date"),
    "terminated_on": (
        *("terminated_on", "termination_date", "date_of_termination", "left_on", "exit_date", "employment_end_date"),
        *(
            "leaving_date",
            "date_of_leaving",
            "separation_date",
            "austrittsdatum",
            "austritt",
            "date_de_sortie",
            "end_date",
        ),
    ),
    "last_day": ("last_day", "last_day_of_work", "last_working_day", "last_day_worked", "letzter_arbeitstag"),
    "time_zone": ("time_zone", "timezone", "tz", "zeitzone"),
    "consent": ("consent", "einwilligung"),
    "updated_at": ("updated_at", "last_modified", "last_modified_at", "modified_at", "meta.last_modified"),
}
# Which of them are of a name.
NAMES = ("name", "first_name", "last_name")
# Which of them are days.
DAYS = ("leave_from", "leave_until", "back_on", "rehired_on", "terminated_on", "last_day")
# Beside a value: its label (Personio), or nothing (BambooHR's `fields`); Workday refers to things by `Descriptor`.
VALUES = ("value", "Descriptor")
# Around members that are the person's own: those of JSON:API and of BambooHR.
OWN = frozenset({"attributes", "fields"})
# Deeper than this nothing of a person is found.
MOST_LEVELS = 4


# What a header says of how its days are written.
_FORM_OF_DAYS = re.compile(r"[(\[]\s*[dmytja]{1,4}([-./ ][dmytja]{1,4}){1,2}\s*[)\]]", re.IGNORECASE)


# Of XML that became JSON, and of paths as HiBob writes them.
_BEFORE_A_NAME = re.compile(r"^(?:wd|ns[0-9]+):|^/(?:root/)?")
# `Personal-Nr.` ends in a dot that stands between no two members.
_DOT_OF_AN_END = re.compile(r"\.(?!\w)")


# The same few names stand in every row.
@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """Lower case, without blanks and punctuation but the dots between the members of members. `Employee #` is a
    number."""
    words = _BEFORE_A_NAME.sub("", _FORM_OF_DAYS.sub("", visible(name)).casefold()).replace("#", "number")
    dotted = _DOT_OF_AN_END.sub("", words.replace("/", "."))
    return "".join(letter for letter in dotted if letter.isalnum() or letter == ".")


# All of these names, plain.
KNOWN = frozenset(plain(name) for names in COLUMNS.values() for name in names)


def flat(employee: Mapping[str, object]) -> Mapping[str, tuple[str, object]]:
    """By plain name, what stands there and how it is called there; `name.formatted` is a member of a member. Of two
    that are called alike (`Email`, `E-Mail`) one that is empty says nothing."""
    found: dict[str, tuple[str, object]] = {}
    for name, value in _leaves("", employee, MOST_LEVELS):
        if value not in (None, "") or plain(name) not in found:
            found[plain(name)] = (name, value)
    return found


def contradiction(employee: Mapping[str, object], columns: Container[str]) -> str:
    """The first name of one of these columns, plain, that stands there twice (`Status`, `status`) and says two things;
    empty if there is none."""
    found: dict[str, object] = {}
    for name, value in _leaves("", employee, MOST_LEVELS):
        if value not in (None, "") and plain(name) in columns and found.setdefault(plain(name), value) != value:
            return name
    return ""


def _leaves(prefix: str, members: Mapping[str, object], levels: int) -> Iterator[tuple[str, object]]:
    for name, value in members.items():
        if isinstance(value, dict) and (labelled := next((one for one in VALUES if one in value), "")):
            yield f"{prefix}{name}", value[labelled]
        elif isinstance(value, dict) and levels > 1:
            yield from _leaves("" if name in OWN else f"{prefix}{name}.", value, levels - 1)
        else:
            yield f"{prefix}{name}", value
