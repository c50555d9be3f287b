"""The warehouse's own command, run as a process of its own: scoring knows nothing of its tables."""

import os
import subprocess
import sys

from services.runtime.settings import Settings

COMMAND = ("warehouse", "recompute")


class NotRecomputedError(Exception):
    """The derived tables are not those of the scores; the message says why, and what to run."""


def recompute(settings: Settings) -> None:
    """Returns when the tables that are derived from scores are computed anew. Raises NotRecomputedError."""
    environ = {**os.environ, "RAPPORT_CLICKHOUSE": settings.clickhouse}
    done = subprocess.run(  # noqa: S603 (our own program)
        [sys.executable, "-m", "services.cli", *COMMAND], env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["it did not say why"]
        raise NotRecomputedError(f"`rapport {' '.join(COMMAND)}` failed: {reason[0]}; run replay again, it goes on")
