"""What may be said of an exception that nobody expected: its name and the line that raised it, never its message, which
often quotes what was sent."""

from pathlib import Path
from traceback import extract_tb

from pydantic import ValidationError

_ROOT = Path(__file__).parents[2]


MOST_PLACES = 5
LONGEST_PLACE = 80


def places(invalid: ValidationError) -> list[str]:
    """Where what was read is at fault, and by which rule; nothing of what it said but the names of its members."""
    errors = invalid.errors(include_url=False, include_context=False, include_input=False)[:MOST_PLACES]
    return [f"{'.'.join(map(str, error['loc']))[:LONGEST_PLACE]}: {error['type']}" for error in errors]


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
