"""Logs of a process: one line per event with fields, readable on a terminal, JSON elsewhere."""

import logging
import sys

import structlog

from services.runtime.settings import Settings

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
    # It calls a refresh that a closing client cancelled an error; what matters is raised where it is awaited.
    logging.getLogger("kafka.cluster").setLevel(logging.CRITICAL)
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


def get(name: str) -> structlog.stdlib.BoundLogger:
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _rendering(settings: Settings) -> list[structlog.typing.Processor]:
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    if console:
        return [remove, structlog.dev.ConsoleRenderer()]
    return [remove, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
