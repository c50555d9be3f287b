"""Structured logging: one line per event with fields, readable on a terminal, JSON elsewhere."""

import logging
import sys

import structlog

from services.runtime.settings import Settings
from services.validation_errors import QUOTES_INPUT, traceback_of, without_inputs

# Libraries that log every connection at INFO. Their warnings are kept.
QUIET = (
    "kafka",
    "aiokafka",
    "faust",
    "mode",
    "httpx",
    "httpcore",
    "urllib3",
    "clickhouse_connect",
    "uvicorn",
)
# kafka-python logs each lost connection as an error and reconnects, even one that a closing client has closed itself.
# What it cannot repair is raised to the caller, which logs it.
RECONNECTING_LOGGERS = frozenset({"kafka.net.transport", "kafka.net.connection", "kafka.net.manager"})


def configure(settings: Settings, service: str) -> None:
    """Send events of structlog and of the standard library through one formatter to stderr."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_rendering(settings)))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(settings.log_level)))
    for name in RECONNECTING_LOGGERS:
        logging.getLogger(name).addFilter(_cap_at_warning)
    # It logs a refresh that a closing client cancelled as an error; real failures are raised to the caller.
    logging.getLogger("kafka.cluster").setLevel(logging.CRITICAL)
    # It warns whenever one of its steps takes more than 100 ms, which happens on a busy machine.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
    _silence_driver_loggers()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


def to_stderr() -> None:
    """For commands, before `configure`: stdout carries only the command's output, so that it can be piped."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    _silence_driver_loggers()


def get(name: str) -> structlog.stdlib.BoundLogger:
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _cap_at_warning(record: logging.LogRecord) -> bool:
    """Downgrade errors to warnings; let every record pass."""
    if record.levelno > logging.WARNING:
        record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
    return True


def _silence_driver_loggers() -> None:
    """The ClickHouse driver and its connection pool log what they also raise: the caller logs it."""
    for name in ("clickhouse_connect", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _rendering(settings: Settings) -> list[structlog.typing.Processor]:
    """Render errors without the rejected input: logs outlive every erasure."""
    first: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.ExceptionRenderer(lambda exc_info: traceback_of(exc_info[1])),
        _without_inputs,
    ]
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    if console:
        # The default formatter prints the variables of every frame.
        return [*first, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [*first, structlog.processors.JSONRenderer()]


def _without_inputs(_logger: object, _name: str, fields: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Strip quoted input from text that libraries made of an error. Thin, because nearly all fields quote nothing."""
    for name, value in fields.items():
        if isinstance(value, str) and QUOTES_INPUT(value):
            fields[name] = without_inputs(value)
    return fields
