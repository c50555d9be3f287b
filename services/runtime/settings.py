"""Settings of a service: frozen, read from `RAPPORT_*` environment variables; unknown names are refused."""

import difflib
import os
from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "RAPPORT_"
# All services share one environment: a service ignores the variables of the others.
SERVICES = ("ingest", "scoring", "warehouse", "notify")
# Variables of the local stack, which services ignore.
STACK_NAMES = ("RAPPORT_DATA",)

Port = Annotated[int, Field(ge=0, le=65_535)]


def _is_looked_at(value: object, look: ValidatorFunctionWrapHandler) -> object:
    try:
        return look(value)
    except OSError as failure:
        # The contents of the file, mostly, where its path belongs: a traceback would print them.
        raise ValueError(f"names no file that can be looked at: {failure.strerror}") from failure


ExistingFile = Annotated[FilePath, WrapValidator(_is_looked_at)]


class Settings(BaseSettings):
    """Settings shared by all services. Port 0 disables a listener."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", case_sensitive=False)

    kafka: str = Field("127.0.0.1:9092", description="bootstrap servers, host:port[,host:port]")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_ssl_cafile: ExistingFile | None = Field(
        None, description="whom to trust; the system's authorities if left out"
    )
    kafka_ssl_certfile: ExistingFile | None = None
    kafka_ssl_keyfile: ExistingFile | None = Field(
        None, description="may be left out where certfile holds the key, too"
    )
    kafka_ssl_keyfile_password: SecretStr | None = None
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    clickhouse: str = Field("http://127.0.0.1:8123", description="http(s)://host:port")
    clickhouse_user: str = "default"
    clickhouse_password: SecretStr = SecretStr("")
    clickhouse_ssl_cafile: ExistingFile | None = Field(
        None, description="as of Kafka; for https with an authority of yours"
    )
    clock: Literal["wall", "log"] = Field("wall", description="log: all services live in the log's own time")
    log_epoch: int = Field(
        0,
        ge=0,
        le=32_767,
        description="which log all services work on; `rapport scoring repartition` makes the next one",
    )
    host: str = Field("127.0.0.1", description="address that listeners bind")
    instance: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = Field(
        "", description="stable name of this replica, another for each: after a crash it rejoins its group at once"
    )
    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @model_validator(mode="after")
    def _sasl_is_complete(self) -> Self:
        sasl = ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password")
        missing = [_variable(name) for name in sasl if not getattr(self, name)]
        if missing and self.kafka_security_protocol.startswith("SASL"):
            raise ValueError(f"{self.kafka_security_protocol} needs {', '.join(missing)}")
        return self


class SettingsError(Exception):
    """The environment is invalid; the message names each variable and the reason."""


AnySettings = TypeVar("AnySettings", bound=Settings)


def load(model: type[AnySettings], service: str, environ: Mapping[str, str] = os.environ) -> AnySettings:
    """Return the settings of one service. Raises SettingsError for unknown names and invalid values."""
    problems = _unknown_names(model, service, environ)
    try:
        settings = model()
    except ValidationError as invalid:
        for error in invalid.errors(include_input=False):
            # The variable at fault; a rule across several fields has no single one.
            variable = _variable(str(error["loc"][0])) if error["loc"] else "settings"
            problems.append(f"{variable}: {error['msg']}")
        raise SettingsError("\n".join(problems)) from invalid
    problems += _address_faults(settings)
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def describe(settings: Settings) -> str:
    """Return one line per variable: its value, with secrets masked, and whether it was set or is the default."""
    lines = []
    for name, value in settings:
        origin = "set" if name in settings.model_fields_set else "default"
        lines.append(f"{_variable(name)}={'' if value is None else value}  ({origin})")
    return "\n".join(lines)


def _unknown_names(model: type[Settings], service: str, environ: Mapping[str, str]) -> list[str]:
    known = {_variable(name) for name in model.model_fields} | set(STACK_NAMES)
    others = tuple(f"{PREFIX}{name.upper()}_" for name in SERVICES if name != service)
    unknown = [n for n in environ if n.startswith(PREFIX) and n not in known and not n.startswith(others)]
    close = {name: "".join(difflib.get_close_matches(name, known, n=1)) for name in sorted(unknown)}
    hints = {name: f", did you mean {like}?" if like else "" for name, like in close.items()}
    return [f"{name}: there is no such setting{hint}" for name, hint in hints.items()]


def _address_faults(settings: Settings) -> list[str]:
    """What is no address at all is refused at once: a service waits for one that does not answer, for ever."""
    found = []
    if not all("/" not in server and _is_address(f"//{server.strip()}") for server in settings.kafka.split(",")):
        found.append(f"{_variable('kafka')}: must be host:port[,host:port]")
    scheme, _, rest = settings.clickhouse.partition("://")
    if scheme not in {"http", "https"} or not _is_address(f"//{rest}"):
        found.append(f"{_variable('clickhouse')}: must be http(s)://host:port")
    return found


def _is_address(url: str) -> bool:
    if any(sign.isspace() for sign in url):
        return False
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _variable(field: str) -> str:
    return PREFIX + field.upper()
