"""Logs of a process: one line per event with fields, readable on a terminal, JSON elsewhere."""

import logging
import sys

import structlog

from services.runtime.settings import Settings
from services.validation_errors import QUOTES_INPUT, traceback_of, without_inputs

# Libraries that speak at INFO about every connection; their warnings still come through.
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
# kafka-python calls each lost connection an error and makes it anew, even one that a closing client has just closed
# itself. What it cannot mend is raised where it is awaited, and told there.
MENDED_BY_THE_CLIENT = frozenset({"kafka.net.transport", "kafka.net.connection", "kafka.net.manager"})


def configure(settings: Settings, service: str) -> None:
    """Sends structlog's and the standard library's events through one formatter to stderr."""
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
    for name in MENDED_BY_THE_CLIENT:
        logging.getLogger(name).addFilter(_no_error)
    # It calls a refresh that a closing client cancelled an error; what matters is raised where it is awaited.
    logging.getLogger("kafka.cluster").setLevel(logging.CRITICAL)
    # It warns whenever a busy machine has let one of its steps take more than 100 ms.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
    _leave_to_who_asked()
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
    """Before anything is configured: what a command prints on stdout is its output alone, to be piped on."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    _leave_to_who_asked()


def get(name: str) -> structlog.stdlib.BoundLogger:
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _no_error(record: logging.LogRecord) -> bool:
    """Every record passes, none as more than a warning."""
    if record.levelno > logging.WARNING:
        record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
    return True


def _leave_to_who_asked() -> None:
    """What the driver and its pool of connections call unexpected is raised as well, and whoever asked tells it."""
    for name in ("clickhouse_connect", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _rendering(settings: Settings) -> list[structlog.typing.Processor]:
    """Of errors, nothing that was refused is written down: a log outlives every erasure."""
    first: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.ExceptionRenderer(lambda exc_info: traceback_of(exc_info[1])),
        _without_inputs,
    ]
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    if console:
        # The formatter that it takes by default prints the variables of every frame.
        return [*first, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [*first, structlog.processors.JSONRenderer()]


def _without_inputs(_logger: object, _name: str, fields: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """What libraries make of an error is text by now. Thin: nearly all that is ever written quotes nothing."""
    for name, value in fields.items():
        if isinstance(value, str) and QUOTES_INPUT(value):
            fields[name] = without_inputs(value)
    return fields
