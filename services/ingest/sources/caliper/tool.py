"""Caliper as a tool."""

from services.ingest.sources.caliper.settings import CaliperSettings
from services.ingest.sources.caliper.taking import take
from services.ingest.sources.caliper.translation import translate
from services.ingest.sources.credentials import prove_bearer
from services.ingest.sources.tool import Tool

TOOL = Tool(
    name="caliper",
    prove=prove_bearer,
    translate=translate,
    settings=CaliperSettings,
    # What people write and how they are called: messages, comments, answers, notes, searches, titles.
    free_text=frozenset(
        {
            *("body", "bookmarkNotes", "comment", "description", "name", "searchTerms", "selectionText"),
            *("tags", "value", "values"),
        }
    ),
    take=take,
)
