"""What HR systems call what they say of a person, wherever in a record it stands."""

import re
from collections.abc import Container, Iterator, Mapping
from functools import lru_cache

from services.ingest.domain.tools.allow_list import visible
from services.ingest.sources.table_words import PEOPLE_COLUMNS

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
KNOWN = frozenset(plain(name) for names in PEOPLE_COLUMNS.values() for name in names)


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
