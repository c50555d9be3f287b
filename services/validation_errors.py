"""Describes validation errors of pydantic without any part of the refused input, because log lines outlive every
erasure."""

import re
import traceback
from collections.abc import Iterator
from textwrap import indent

from pydantic import ValidationError

MAX_FIELDS = 5
_DIRECT_CAUSE = "\nThe above exception was the direct cause of the following exception:\n"
_DURING_HANDLING = "\nDuring handling of the above exception, another exception occurred:\n"
# A name in our schemas. A name that the sender made up may be personal data.
_SCHEMA_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_UNKNOWN_FIELD = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
QUOTES_INPUT = re.compile("input_value=|Input tag '").search
_INPUT = re.compile(r"input_value=.*, input_type=[\w.]+|(?<=Input tag ').*(?=' found using )")


def field_errors(invalid: ValidationError) -> list[str]:
    """Return the first few, such as `data.minutes: int_type`. A step that the sender may have named is `?`: neither
    pydantic's messages nor the names of unknown members may be logged."""
    errors = invalid.errors(include_url=False, include_context=False, include_input=False)
    return [_field_error(error["loc"], error["type"]) for error in errors[:MAX_FIELDS]]


def field_errors_in_line(invalid: ValidationError) -> str:
    """Return them in one line."""
    more = invalid.error_count() - MAX_FIELDS
    return "; ".join(field_errors(invalid)) + (f"; and {more} more" if more > 0 else "")


def reason_of(error: BaseException) -> str:
    """Return str(error) without refused input."""
    return field_errors_in_line(error) if isinstance(error, ValidationError) else without_inputs(str(error))


def without_inputs(text: str) -> str:
    """Remove the values that pydantic quotes from the text of a ValidationError."""
    return _INPUT.sub("...", text)


def traceback_of(error: BaseException) -> str:
    """Format a traceback as Python does, causes first and grouped exceptions last, without refused input. Python's own
    formatter cannot leave it out, because it asks each error for its text."""
    return "\n".join(_traceback_lines(error, set()))


def _traceback_lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and id(cause) not in seen:
        yield from _traceback_lines(cause, seen)
        yield _DIRECT_CAUSE if error.__cause__ else _DURING_HANDLING
    yield from ("Traceback (most recent call last):", *map(str.rstrip, traceback.format_tb(error.__traceback__)))
    if isinstance(error, ValidationError):
        yield f"{type(error).__name__}: {field_errors_in_line(error)}"
    else:
        yield without_inputs("".join(traceback.format_exception_only(error)).rstrip())
    for one in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        if id(one) not in seen:
            yield indent("\n".join(_traceback_lines(one, seen)), "  | ")


def _field_error(location: tuple[int | str, ...], kind: str) -> str:
    steps = [_step(part) for part in location]
    if kind in _UNKNOWN_FIELD:
        steps[-1:] = ["?"]
    return f"{'.'.join(steps)}: {kind}" if steps else kind


def _step(part: int | str) -> str:
    # Unions put the name of their member first, such as `mentoring.session.held.v1`.
    is_known = isinstance(part, int) or all(map(_SCHEMA_NAME.fullmatch, part.split(".")))
    return str(part) if is_known else "?"
