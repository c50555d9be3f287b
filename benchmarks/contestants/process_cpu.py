"""CPU seconds of a running process and its descendants, from Linux's /proc."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
# Fields after the name in `stat`: user and system time, then those of ended children.
USER, CHILDREN_SYSTEM = 11, 14


def cpu_of(pid: int) -> float:
    """Return user and system time. Raises OSError if the process has ended, or on a system without /proc."""
    folder = Path(f"/proc/{pid}")
    words = (folder / "stat").read_text().rpartition(")")[2].split()
    below = (child for tasks in folder.glob("task/*/children") for child in tasks.read_text().split())
    return sum(map(int, words[USER : CHILDREN_SYSTEM + 1])) / TICKS + sum(cpu_of(int(child)) for child in below)
