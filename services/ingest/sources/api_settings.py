"""Where a tool is asked for what its notifications point to."""

from typing import Annotated

from pydantic import Field

from services.ingest.sources.tool import ToolSettings

# Joined with paths: without a slash at the end, a query or a fragment. What carries a token is encrypted, unless it
# stays on this machine.
ApiUrl = Annotated[
    str, Field(pattern=r"^(https://[^\s?#/@]+|http://(127\.0\.0\.1|localhost)(:\d+)?)(/[^\s?#]*[^\s?#/])?$")
]


class ApiSettings(ToolSettings):
    api_url: ApiUrl
