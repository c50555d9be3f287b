"""All supported tools, by name."""

from collections.abc import Mapping

from services.ingest.sources.calcom import TOOL as CALCOM
from services.ingest.sources.calendly import TOOL as CALENDLY
from services.ingest.sources.caliper.tool import TOOL as CALIPER
from services.ingest.sources.google_calendar import TOOL as GOOGLE_CALENDAR
from services.ingest.sources.hr.tool import TOOL as HR
from services.ingest.sources.mapping.tool import TOOL as MAPPING
from services.ingest.sources.microsoft_graph.tool import TOOL as MICROSOFT_GRAPH
from services.ingest.sources.slack import TOOL as SLACK
from services.ingest.sources.tool import Tool
from services.ingest.sources.typeform.tool import TOOL as TYPEFORM
from services.ingest.sources.xapi.tool import TOOL as XAPI
from services.ingest.sources.zoom.tool import TOOL as ZOOM

TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        ZOOM,
        GOOGLE_CALENDAR,
        MICROSOFT_GRAPH,
        CALENDLY,
        CALCOM,
        SLACK,
        TYPEFORM,
        XAPI,
        CALIPER,
        HR,
        MAPPING,
    )
}
