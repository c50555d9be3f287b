"""The last lines of a log file, for error messages."""

from pathlib import Path

TAIL_BYTES = 16_384


def last_lines(log: Path, count: int = 20) -> str:
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-count:])
