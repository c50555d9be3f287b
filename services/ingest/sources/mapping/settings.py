"""Settings of an in-house tool: its verification and its rules. Rules are JMESPath expressions, checked when the
settings are loaded; evaluating them never raises. https://jmespath.org/specification.html"""

import hmac
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Self

import jmespath
from jmespath.exceptions import JMESPathError, JMESPathTypeError
from jmespath.functions import Functions
from jmespath.parser import ParsedResult
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, model_validator

from schemas.payloads import Evidence
from schemas.primitives import Code, TimeZone
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.day_formats import DAY_FORMATS
from services.ingest.sources.tool import (
    BodyNeeded,
    Received,
    ToolSettings,
    Unverified,
    Verification,
    Verified,
    constant_time_equal,
    verify_basic,
    verify_bearer,
)
from services.ingest.sources.vocabulary import ToolEventType, check_members, is_one_sided


class Signature(BaseModel):
    """An HMAC of the body in a header, after a prefix such as `sha256=`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$")]
    prefix: Annotated[str, Field(max_length=20)] = ""
    algorithm: Literal["sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"

    def verify(self, received: Received, secret: str, _now: datetime) -> Verification:
        given = received.headers.get(self.header.lower(), "").strip()
        if not given:
            return Unverified(f"the header {self.header} is missing")
        if received.is_head:
            return BodyNeeded()
        digest = hmac.digest(secret.encode(), received.body, self.algorithm)
        # Hexadecimal digits are case-insensitive, base64 is not.
        found, wanted = (
            (given, b64encode(digest).decode()) if self.encoding == "base64" else (given.lower(), digest.hex())
        )
        prefix = self.prefix if self.encoding == "base64" else self.prefix.lower()
        if secret and constant_time_equal(found, prefix + wanted):
            return Verified()
        return Unverified(f"the header {self.header} is not that of this body and this connection's secret")


class AuthenticatedSettings(ToolSettings):
    proof: Literal["bearer", "basic"] | Signature = "bearer"


def verify_by(settings: ToolSettings) -> Callable[[Received, str, datetime], Verification]:
    assert isinstance(settings, AuthenticatedSettings)
    if isinstance(settings.proof, Signature):
        return settings.proof.verify
    return verify_basic if settings.proof == "basic" else verify_bearer


LONGEST = 4096
# Exceptions that jmespath raises on payloads of another shape than the expression expects.
EVALUATION_ERRORS = (JMESPathError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True)
class ExpressionResult:
    """The value, or None if the payload has none."""

    value: Any


@dataclass(frozen=True)
class Compiled:
    text: str
    parsed: ParsedResult

    def evaluate(self, value: object) -> ExpressionResult | Rejected:
        """Evaluate. Rejected("invalid") has no path, and its text contains nothing of the payload."""
        try:
            return ExpressionResult(self.parsed.search(value))
        except JMESPathTypeError as unfit:
            expected = " or ".join(map(str, unfit.expected_types))
            words = f"{self.text!r}: {unfit.function_name}() takes {expected}, and got {unfit.actual_type}"
        except EVALUATION_ERRORS as unfit:
            words = f"{self.text!r} cannot be evaluated on this payload: {type(unfit).__name__}"
        return rejected("invalid", "", words)


def compile_expression(text: object) -> Compiled:
    """Compile an expression. Raises ValueError, also for unknown functions and wrong numbers of arguments."""
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


Expression = Annotated[
    Compiled, PlainValidator(compile_expression), PlainSerializer(lambda expression: expression.text)
]


def _wrong_calls(node: Mapping[str, Any]) -> Iterator[str]:
    if node["type"] == "function_expression":
        name, arguments = node["value"], len(node["children"])
        function = Functions.FUNCTION_TABLE.get(name)
        signature = list(function["signature"]) if function else []
        is_variadic = bool(signature) and signature[-1].get("variadic", False)
        if function is None:
            yield f"JMESPath has no function {name}()"
        elif arguments < len(signature) or (arguments > len(signature) and not is_variadic):
            yield f"{name}() takes {len(signature)} argument(s), not {arguments}"
    # The children of a slice are its numbers.
    for child in node["children"]:
        if isinstance(child, dict):
            yield from _wrong_calls(child)


# A text is an expression; a number, boolean, list or object is a constant.
Member = Annotated[
    Any,
    PlainValidator(lambda value: compile_expression(value) if isinstance(value, str) else value),
    PlainSerializer(lambda value: value.text if isinstance(value, Compiled) else value),
]


class MappingRule(BaseModel):
    """All members but the names are expressions over the payload or, with `items` (which yields a list), over each
    `{item, payload}`. `when` is the rule's condition; `id` is the tool's own id of the statement and `time` when it
    happened. The people are those of `relationship`, or the pairs among `by` (the author) and `people`. Instead of a
    `type`, `voids` names another rule: its statement with the same id is retracted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Code
    items: Expression | None = None
    when: Expression | None = None
    type: ToolEventType | None = None
    voids: Code | None = None
    id: Expression
    time: Expression
    by: Expression | None = None
    people: Expression | None = None
    relationship: Expression | None = None
    data: Mapping[str, Member] = Field(default_factory=dict)
    evidence: Evidence = "observed"

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.type is None) == (self.voids is None):
            raise ValueError(f"rule {self.name}: give either type or voids")
        has_people = bool(self.by or self.people or self.relationship)
        if self.type is None and (self.data or has_people):
            raise ValueError(f"rule {self.name}: what voids has no data and no people of its own")
        if self.type is None:
            return self
        try:
            check_members(self.type, self.data)
        except ValueError as wrong:
            raise ValueError(f"rule {self.name}: {wrong}") from wrong
        if self.by is None and is_one_sided(self.type):
            raise ValueError(f"rule {self.name}: by is required, because {self.type} is done by one of the two")
        if not has_people:
            raise ValueError(f"rule {self.name}: relationship, by or people is required")
        return self


def _day_format(name: str) -> str:
    if name not in DAY_FORMATS:
        raise ValueError(f"must be iso8601, seconds, milliseconds or one of {', '.join(DAY_FORMATS)}")
    return name


class MappingSettings(AuthenticatedSettings):
    """Every matching rule applies. `people` says whether a plain text without an @ is a participant id of our directory
    or the tool's own id. `times` is the format of times, such as `mm/dd/yyyy` followed by the time of day; `time_zone`
    applies to times without a zone. `free_text` occurs in older files and has no effect: only the result of the rules
    is stored."""

    rules: Annotated[tuple[MappingRule, ...], Field(min_length=1, max_length=200)]
    people: Literal["participant", "id"] = "participant"
    times: Literal["iso8601", "seconds", "milliseconds"] | Annotated[str, AfterValidator(_day_format)] = "iso8601"
    time_zone: TimeZone | None = None
    free_text: frozenset[Annotated[str, Field(min_length=1)]] = frozenset()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [rule.name for rule in self.rules]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"rules: the name {twice!r} is there twice")
        for rule in self.rules:
            if rule.voids and rule.voids not in names:
                raise ValueError(f"rule {rule.name}: there is no rule {rule.voids!r} to void")
        return self
