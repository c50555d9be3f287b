"""The kinds of table that can be imported, each with a pure function from a row to messages."""

from services.ingest.importing.kinds.events import FEEDBACK, GOALS, SESSIONS
from services.ingest.importing.kinds.people import DIRECTORY, RELATIONSHIPS

KINDS = {kind.name: kind for kind in (RELATIONSHIPS, SESSIONS, GOALS, FEEDBACK, DIRECTORY)}
