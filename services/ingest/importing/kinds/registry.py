"""All kinds of tables, and which one a header belongs to."""

from collections.abc import Collection

from services.ingest.importing.kinds.events import FEEDBACK, GOALS, SESSIONS
from services.ingest.importing.kinds.kind import TableKind
from services.ingest.importing.kinds.people import DIRECTORY, RELATIONSHIPS

KINDS = {kind.name: kind for kind in (RELATIONSHIPS, SESSIONS, GOALS, FEEDBACK, DIRECTORY)}


def recognised(columns: Collection[str]) -> list[TableKind]:
    """Those of which every required column is there."""
    return [kind for kind in KINDS.values() if kind.needed <= set(columns)]
