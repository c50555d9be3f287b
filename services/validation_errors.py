"""What pydantic refused, told without anything of what it refused: for log lines, which outlive every erasure."""

import re
import traceback
from collections.abc import Iterator
from textwrap import indent

from pydantic import ValidationError

MOST_TOLD = 5
_BECAUSE = "\nThe above exception was the direct cause of the following exception:\n"
_MEANWHILE = "\nDuring handling of the above exception, another exception occurred:\n"
# A name of a schema of ours. What a sender made up as a name may be somebody's own.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_UNKNOWN = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
QUOTES_INPUT = re.compile("input_value=|Input tag '").search
_INPUT = re.compile(r"input_value=.*, input_type=[\w.]+|(?<=Input tag ').*(?=' found using )")


def places(invalid: ValidationError) -> list[str]:
    """The first few, such as `data.minutes: int_type`. Steps that the sender may have named are `?`, because neither
    pydantic's messages nor the names of unknown members are ours."""
    listed = invalid.errors(include_url=False, include_context=False, include_input=False)
    return [_told(error["loc"], error["type"]) for error in listed[:MOST_TOLD]]


def places_at_fault(invalid: ValidationError) -> str:
    """In one line."""
    more = invalid.error_count() - MOST_TOLD
    return "; ".join(places(invalid)) + (f"; and {more} more" if more > 0 else "")


def reason_of(error: BaseException) -> str:
    """As str(error), with nothing of a refused input in it."""
    return places_at_fault(error) if isinstance(error, ValidationError) else without_inputs(str(error))


def without_inputs(text: str) -> str:
    """A text that something made of a ValidationError, without the values that pydantic quotes in it."""
    return _INPUT.sub("...", text)


def traceback_of(error: BaseException) -> str:
    """As Python prints it, causes first and what it groups last, without any refused input. Python's own printing
    cannot leave one out: it asks each error for its text."""
    return "\n".join(_printed(error, set()))


def _printed(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and id(cause) not in seen:
        yield from _printed(cause, seen)
        yield _BECAUSE if error.__cause__ else _MEANWHILE
    yield from ("Traceback (most recent call last):", *map(str.rstrip, traceback.format_tb(error.__traceback__)))
    if isinstance(error, ValidationError):
        yield f"{type(error).__name__}: {places_at_fault(error)}"
    else:
        yield without_inputs("".join(traceback.format_exception_only(error)).rstrip())
    for one in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        if id(one) not in seen:
            yield indent("\n".join(_printed(one, seen)), "  | ")


def _told(location: tuple[int | str, ...], kind: str) -> str:
    steps = [_step(part) for part in location]
    if kind in _UNKNOWN:
        steps[-1:] = ["?"]
    return f"{'.'.join(steps)}: {kind}" if steps else kind


def _step(part: int | str) -> str:
    # Unions name their member first, such as `mentoring.session.held.v1`.
    is_known = isinstance(part, int) or all(map(_NAME.fullmatch, part.split(".")))
    return str(part) if is_known else "?"
