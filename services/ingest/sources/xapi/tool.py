"""xAPI as a tool."""

from services.ingest.sources.taken import JSON
from services.ingest.sources.tool import Tool
from services.ingest.sources.xapi.keeping import keep
from services.ingest.sources.xapi.multipart import MIXED, parse
from services.ingest.sources.xapi.proof import ABOUT, prove
from services.ingest.sources.xapi.settings import XapiSettings
from services.ingest.sources.xapi.taking import take
from services.ingest.sources.xapi.translation import translate

POST, PUT, GET = "POST", "PUT", "GET"
TOOL = Tool(
    name="xapi",
    prove=prove,
    translate=translate,
    settings=XapiSettings,
    parse=parse,
    keep=keep,
    take=take,
    routes={"": frozenset({POST}), "/statements": frozenset({POST, PUT}), ABOUT: frozenset({GET})},
    media_types=frozenset({JSON, MIXED}),
)
