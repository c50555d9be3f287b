"""NameBook and programmes of tests."""

from schemas.directory import Participant
from schemas.programs import Programme
from tests.notify.building import day


def participant(id_: str, name: str, **fields: object) -> Participant:
    given: dict[str, object] = {
        "id": id_,
        "tenant": "acme",
        "name": name,
        "time_zone": "Europe/Berlin",
        "consent": True,
        "recordedtime": day(0),
    }
    return Participant(**(given | fields))  # type: ignore[arg-type]


def programme(**fields: object) -> Programme:
    given: dict[str, object] = {
        "id": "spruce",
        "tenant": "acme",
        "time_zone": "Europe/Berlin",
        "coordinator": "p-3",
        "deputy": "p-4",
        "recordedtime": day(0),
    }
    return Programme(**(given | fields))  # type: ignore[arg-type]
