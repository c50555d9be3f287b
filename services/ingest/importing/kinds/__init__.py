"""The tables that can be imported: one file per group, each kind a pure function from a row to what it says."""

from services.ingest.importing.kinds.events import FEEDBACK, GOALS, SESSIONS
from services.ingest.importing.kinds.people import DIRECTORY, RELATIONSHIPS

KINDS = {kind.name: kind for kind in (RELATIONSHIPS, SESSIONS, GOALS, FEEDBACK, DIRECTORY)}
