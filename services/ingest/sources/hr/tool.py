"""HR directories as a tool."""

from services.ingest.sources.credentials import prove_either
from services.ingest.sources.hr.keeping import keep
from services.ingest.sources.hr.records import CSV, parse, take
from services.ingest.sources.hr.settings import HrSettings
from services.ingest.sources.hr.translation import translate
from services.ingest.sources.taken import JSON
from services.ingest.sources.tool import Tool

# About 100,000 people: it is split before it is recorded.
MOST_BYTES = 16 * 2**20

TOOL = Tool(
    name="hr",
    prove=prove_either,
    translate=translate,
    settings=HrSettings,
    parse=parse,
    keep=keep,
    take=take,
    most_bytes=MOST_BYTES,
    media_types=CSV | {JSON},
)
