"""The delta of a calendar view tells of an occurrence only when it is and of which series: the rest is the master's."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeGuard

MASTER, OCCURRENCE = "seriesMaster", "occurrence"
INHERITED = (
    "organizer",
    "attendees",
    "responseStatus",
    "isOrganizer",
    "isAllDay",
    "isCancelled",
    "lastModifiedDateTime",
)


def completed(listed: Sequence[object]) -> list[object]:
    """Every occurrence whose master is in the list says who takes part."""
    masters = {
        one.get("id"): one for one in listed if isinstance(one, dict) and one.get("type") == MASTER and _has_id(one)
    }
    return [{**_inherited(masters, one), **one} if _is_sparse(one) else one for one in listed]


def without_master(listed: Iterable[object]) -> list[str]:
    """The ids of the series of which there are occurrences that do not say who takes part."""
    found = {one["seriesMasterId"]: None for one in listed if _is_sparse(one)}
    return [master for master in found if isinstance(master, str)]


def _inherited(masters: Mapping[object, Mapping[str, object]], one: Mapping[str, object]) -> dict[str, object]:
    master = masters.get(one["seriesMasterId"], {})
    return {name: master[name] for name in INHERITED if name in master}


def _is_sparse(one: object) -> TypeGuard[dict[str, object]]:
    if not isinstance(one, dict) or one.get("type") != OCCURRENCE or "organizer" in one:
        return False
    return isinstance(one.get("seriesMasterId"), str)


def _has_id(one: Mapping[str, object]) -> bool:
    return isinstance(one.get("id"), str)
