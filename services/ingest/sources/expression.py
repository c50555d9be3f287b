"""JMESPath expressions in settings: checked when they are read, and never raising when they are evaluated.
https://jmespath.org/specification.html"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import jmespath
from jmespath.exceptions import JMESPathError, JMESPathTypeError
from jmespath.functions import Functions
from jmespath.parser import ParsedResult
from pydantic import PlainSerializer, PlainValidator

from services.ingest.domain.verdict import Rejected, rejected

LONGEST = 4096
# What the functions and comparisons of the package raise on payloads of other shapes than the expression expects.
UNFIT = (JMESPathError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True)
class Found:
    """None where the payload has nothing there."""

    value: Any


@dataclass(frozen=True)
class Compiled:
    text: str
    parsed: ParsedResult

    def of(self, value: object) -> Found | Rejected:
        """Rejected("invalid") without a path, and without anything of the payload in its words."""
        try:
            return Found(self.parsed.search(value))
        except JMESPathTypeError as unfit:
            expected = " or ".join(map(str, unfit.expected_types))
            return _unfit(f"{self.text!r}: {unfit.function_name}() takes {expected}, and got {unfit.actual_type}")
        except UNFIT as unfit:
            return _unfit(f"{self.text!r} cannot be evaluated on this payload: {type(unfit).__name__}")


def compiled(text: object) -> Compiled:
    """Raises ValueError, also for functions that there are not and wrong numbers of arguments."""
    if isinstance(text, Compiled):
        return text
    if not isinstance(text, str) or len(text) > LONGEST:
        raise ValueError(f"must be a JMESPath expression of at most {LONGEST} characters")
    try:
        parsed = jmespath.compile(text)
    except JMESPathError as broken:
        raise ValueError(f"is no JMESPath expression: {' '.join(str(broken).split())}") from broken
    for fault in _wrong_calls(parsed.parsed):
        raise ValueError(fault)
    return Compiled(text, parsed)


Expression = Annotated[Compiled, PlainValidator(compiled), PlainSerializer(lambda expression: expression.text)]


def _unfit(words: str) -> Rejected:
    return rejected("invalid", "", words)


def _wrong_calls(node: Mapping[str, Any]) -> Iterator[str]:
    if node["type"] == "function_expression":
        yield from _wrong_call(node["value"], len(node["children"]))
    for child in node["children"]:
        yield from _wrong_calls(child)


def _wrong_call(name: str, arguments: int) -> Iterator[str]:
    known = Functions.FUNCTION_TABLE.get(name)
    if known is None:
        yield f"JMESPath has no function {name}()"
        return
    signature = known["signature"]
    is_variadic = bool(signature) and signature[-1].get("variadic", False)
    if arguments < len(signature) or (arguments > len(signature) and not is_variadic):
        yield f"{name}() takes {len(signature)} argument(s), not {arguments}"
