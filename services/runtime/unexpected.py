"""What may be said of an exception that nobody expected: its name and the line that raised it, never its message, which
often quotes what was sent."""

from pathlib import Path
from traceback import extract_tb

_ROOT = Path(__file__).parents[2]


def described(failure: BaseException) -> dict[str, str]:
    """Fields for a line of the log."""
    return {"error": type(failure).__name__, "raised_at": _line(failure)}


def _line(failure: BaseException) -> str:
    """The innermost line of our own, for a library's says less of what was going on."""
    frames = extract_tb(failure.__traceback__)
    ours = [frame for frame in frames if _ROOT in Path(frame.filename).parents] or list(frames)
    if not ours:
        return ""
    file = Path(ours[-1].filename)
    return f"{file.relative_to(_ROOT) if _ROOT in file.parents else file.name}:{ours[-1].lineno}"
