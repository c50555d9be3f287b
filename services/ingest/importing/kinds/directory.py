"""People: the only table with names and addresses. It goes to the directory, never to the log of events."""

from services.ingest.importing.kinds.kind import Kind, Message
from services.ingest.importing.row import Row, present
from services.ingest.importing.sender import PARTICIPANTS


def _read(row: Row) -> list[Message]:
    participant = row.needed("participant")
    row.needed("name")
    row.needed("consent")
    zone = row.text("time_zone") or row.defaults.time_zone
    if not zone:
        row.fault("time_zone", "is empty, and the command names no --time-zone")
    found = present(
        id=participant,
        name=row.text("name"),
        addresses=row.addresses("addresses"),
        identities=_identities(row),
        time_zone=zone,
        status=row.text("status").lower(),
        consent=row.flag("consent"),
    )
    return [found]


def _identities(row: Row) -> list[dict[str, str]]:
    """Written tool:id."""
    found = []
    for written in row.several("identities"):
        tool, _, known_as = written.partition(":")
        if not known_as:
            row.fault("identities", f"{written[:60]!r} is not written tool:id")
        found.append({"tool": tool, "id": known_as})
    return found


DIRECTORY = Kind(
    name="directory",
    required=frozenset({"participant", "name", "consent"}),
    optional=frozenset({"addresses", "identities", "time_zone", "status"}),
    read=_read,
    columns={"id": "participant"},
    endpoint=PARTICIPANTS,
)
