"""All kinds of tables, and which one a header belongs to."""

from collections.abc import Collection

from services.ingest.importing.kinds.directory import DIRECTORY
from services.ingest.importing.kinds.feedback import FEEDBACK
from services.ingest.importing.kinds.goals import GOALS
from services.ingest.importing.kinds.kind import Kind
from services.ingest.importing.kinds.relationships import RELATIONSHIPS
from services.ingest.importing.kinds.sessions import SESSIONS

KINDS = {kind.name: kind for kind in (RELATIONSHIPS, SESSIONS, GOALS, FEEDBACK, DIRECTORY)}


def recognised(columns: Collection[str]) -> list[Kind]:
    """Those of which every required column is there."""
    return [kind for kind in KINDS.values() if kind.required <= set(columns)]
