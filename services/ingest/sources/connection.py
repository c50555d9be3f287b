"""A connection: one account of one tool, configured by an operator."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from services.ingest.domain.ids import pseudonym_of
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.tool import Kept, Tool, ToolSettings, kept
from services.ingest.sources.verification import Received, Verification


@dataclass(frozen=True)
class Connection:
    """`secret` proves requests. `api_token` is for a tool whose notifications are pointers; where it stands in a
    file, it is read anew for each use, because such tokens live for an hour and something else renews the file.
    `digest_key` is the installation's, see domain/pseudonym.py."""

    connection_scope: ConnectionScope
    tool: Tool
    settings: ToolSettings
    secret: str
    api_token: str = ""
    api_token_file: Path | None = None
    digest_key: str = field(default="", repr=False)

    def verify(self, received: Received, now: datetime) -> Verification:
        by_settings = self.tool.verify_by
        verify = by_settings(self.settings) if by_settings else self.tool.verify
        return verify(received, self.secret, now)

    def kept(self, payload: bytes, media_type: str) -> Kept | Rejected:
        """All that may be stored of one of its payloads."""
        return kept(
            payload, media_type, self.tool, self.settings, pseudonym_of(self.digest_key, self.connection_scope.tenant)
        )
