"""No log line contains the input of a sender, however a validation error gets there."""

import logging
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Annotated, Literal

import pytest
import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.runtime import log
from services.runtime.settings import Settings
from services.validation_errors import field_errors_in_line, reason_of

MARK = "dear diary"


class Cup(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["cup"]
    sips: int


class Pot(BaseModel):
    kind: Literal["pot"]


TEA: TypeAdapter[Cup | Pot] = TypeAdapter(Annotated[Cup | Pot, Field(discriminator="kind")])
REFUSED: tuple[object, ...] = (
    {"kind": MARK},
    {"kind": "cup", "sips": MARK},
    {"kind": "cup", "sips": 1, MARK: 1},
    {"kind": "cup", "sips": 1, MARK.replace(" ", "_"): 1},
    {"kind": "cup", "note": MARK},
    [MARK],
    MARK,
)


@pytest.fixture(params=["json", "console"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[StringIO]:
    """Returns what a service with this log format writes to stderr."""
    root, stderr = logging.getLogger(), StringIO()
    before, level = root.handlers[:], root.level
    root.handlers.clear()
    monkeypatch.setattr(sys, "stderr", stderr)
    log.configure(Settings(log_format=request.param), "test")
    yield stderr
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = before
    root.setLevel(level)


def refused(value: object) -> ValidationError:
    try:
        TEA.validate_python(value)
    except ValidationError as invalid:
        return invalid
    raise AssertionError("nothing was refused")


def wrapped(invalid: ValidationError) -> Exception:
    error = RuntimeError("the record cannot be read")
    error.__cause__ = invalid
    return error


def grouped(invalid: ValidationError) -> Exception:
    return ExceptionGroup("two of two failed", [wrapped(invalid), invalid])


WAYS: dict[str, Callable[[ValidationError], object]] = {
    "its traceback": lambda e: log.get("t").error("failed", exc_info=e),
    "as a cause": lambda e: log.get("t").error("failed", exc_info=wrapped(e)),
    "in a group": lambda e: log.get("t").error("failed", exc_info=grouped(e)),
    "as a field": lambda e: log.get("t").error("failed", error=reason_of(e)),
    "in a library's message": lambda e: logging.getLogger("uvicorn.error").error("Exception\n", exc_info=wrapped(e)),
}


@pytest.mark.parametrize("value", REFUSED, ids=repr)
@pytest.mark.parametrize("way", WAYS)
def test_no_line_of_the_log_holds_an_input(written: StringIO, way: str, value: object) -> None:
    WAYS[way](refused(value))

    line = written.getvalue()
    assert line
    assert "diary" not in line


def test_text_that_a_library_made_of_an_error_loses_the_value(written: StringIO) -> None:
    invalid = refused({"kind": "cup", "sips": MARK})

    log.get("t").error("failed", error=str(invalid))
    logging.getLogger("uvicorn.error").error("it said: %s", invalid)

    line = written.getvalue()
    assert "int_parsing" in line
    assert "diary" not in line


def test_locations_and_kinds_of_faults_are_logged() -> None:
    many = refused({"kind": "cup", "sips": "x", **{f"more {number}": 1 for number in range(9)}})

    assert field_errors_in_line(refused({"kind": "cup"})) == "cup.sips: missing"
    assert field_errors_in_line(many).endswith("cup.?: extra_forbidden; and 5 more")
    assert reason_of(RuntimeError("no broker")) == "no broker"


@pytest.mark.parametrize("name", ["kafka.net.transport", "kafka.net.connection", "kafka.net.manager"])
def test_a_connection_that_the_client_reopens_is_a_warning(written: StringIO, name: str) -> None:
    logging.getLogger(name).error("socket disconnected")
    logging.getLogger(name).error("closing socket", exc_info=AttributeError("recv"))

    assert "AttributeError: recv" in written.getvalue()
    assert "socket disconnected" in written.getvalue()
    assert "warning" in written.getvalue()
    assert "error " not in written.getvalue()
    assert '"level": "error"' not in written.getvalue()


def test_a_failure_that_the_client_cannot_recover_from_is_an_error(written: StringIO) -> None:
    logging.getLogger("kafka.net.selector").error("fatal")

    assert "error" in written.getvalue()


def test_a_traceback_is_still_one(written: StringIO) -> None:
    log.get("t").error("failed", exc_info=wrapped(refused([])))

    line = written.getvalue()
    assert "cannot be read" in line
    assert "in refused" in line
    assert "model_attributes_type" in line or "dict_type" in line or "model_type" in line


def test_slow_steps_of_a_kafka_client_on_a_busy_machine_are_not_logged(written: StringIO) -> None:
    logging.getLogger("kafka.net.selector").warning("Task %r ran for %.3fs (>%.3fs threshold).", object(), 0.2, 0.1)

    assert written.getvalue() == ""
