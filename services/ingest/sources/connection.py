"""A connection: one account of one tool, configured by an operator."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from services.ingest.domain.tools.speaker import Speaker
from services.ingest.sources.proof import Proof, Received
from services.ingest.sources.tool import Tool, ToolSettings


@dataclass(frozen=True)
class Connection:
    """`secret` proves requests. `api_token` is for a tool whose notifications are pointers; where it stands in a
    file, it is read anew for each use, because such tokens live for an hour and something else renews the file."""

    speaker: Speaker
    tool: Tool
    settings: ToolSettings
    secret: str
    api_token: str = ""
    api_token_file: Path | None = None

    def prove(self, received: Received, now: datetime) -> Proof:
        by_settings = self.tool.prove_by
        prove = by_settings(self.settings) if by_settings else self.tool.prove
        return prove(received, self.secret, now)
