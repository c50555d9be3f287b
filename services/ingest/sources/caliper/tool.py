"""Caliper as a tool."""

from services.ingest.sources.caliper.keeping import keep
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
    keep=keep,
    take=take,
)
