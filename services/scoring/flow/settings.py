"""Settings of scoring."""

import tempfile
from pathlib import Path

from pydantic import Field

from services.runtime.settings import Port, Settings


class ScoringSettings(Settings):
    scoring_health_port: Port = 0
    scoring_session_seconds: float = Field(
        15.0, ge=1, le=300, description="after this long without a heartbeat another worker takes over"
    )
    scoring_indexed_facts: int = Field(
        100_000,
        ge=1_000,
        le=100_000_000,
        description="facts that a worker keeps indexed in memory, about 2 kB each; all others lie packed in 80 bytes",
    )
    scoring_datadir: Path = Field(
        Path(tempfile.gettempdir()) / "rapport-scoring", description="Faust's scratch folder; no state is kept there"
    )
