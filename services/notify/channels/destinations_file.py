"""The YAML file of destinations and routes: its schema, and where its secrets come from."""

import ssl
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import time
from email.headerregistry import Address as MailAddress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    TypeAdapter,
    ValidationError,
    WrapValidator,
    model_validator,
)

from schemas.alerts import Urgency
from schemas.directory import Address
from schemas.primitives import Id, TimeZone
from schemas.scores import Name
from services.notify.channels.addresses import secret_fault, url_fault
from services.notify.channels.http_channels import ENQUEUE_URL
from services.notify.domain.destinations import (
    DestinationConfig,
    DestinationsConfig,
    DestinationsError,
    HttpTarget,
    Options,
    PagerDutyOptions,
    Route,
    SmtpOptions,
    WebhookOptions,
    routing_faults,
)
from services.notify.domain.working_hours import ReceivingHours
from services.runtime.secrets import Secrets, UnknownSecretError
from services.runtime.strict_yaml import UnreadableError, one_document

MAX_DESTINATIONS, MAX_RECIPIENTS, MAX_PROGRAMS, MAX_ROUTES = 500, 50, 1_000, 200
LONGEST_FILE_BYTES = 4 * 2**20


def load_destinations(
    file: Path, environ: Mapping[str, str], own: Sequence[DestinationConfig] = ()
) -> DestinationsConfig:
    """Load the file. `own`: destinations of the settings, which routes and fallbacks may name, too. Raises
    DestinationsError."""
    try:
        if file.stat().st_size > LONGEST_FILE_BYTES:
            raise DestinationsError(f"{file}: has more than {LONGEST_FILE_BYTES} bytes")
        document = one_document(file)
    except OSError as broken:
        raise DestinationsError(f"{file}: {broken.strerror}") from broken
    except UnreadableError as broken:
        raise DestinationsError(str(broken)) from broken
    reading = _ConfigReader(Secrets(environ, file.parent))
    found = reading.read(document, own)
    if reading.faults:
        raise DestinationsError("\n".join(f"{file}: {fault}" for fault in reading.faults))
    return found


def _check_mail_address(address: str) -> str:
    """Raises ValueError for an address that a mail header cannot hold."""
    if not address.isascii():
        raise ValueError("must be ASCII: not every server takes other addresses")
    MailAddress(addr_spec=address)
    return address


_MailAddress = Annotated[Address, AfterValidator(_check_mail_address)]
_MailRecipients = Annotated[
    tuple[_MailAddress, ...],
    Field(min_length=1, max_length=MAX_RECIPIENTS),
    # `owner`: the owner of the programme, at the address that the directory has.
    WrapValidator(lambda given, addresses: () if given == "owner" else addresses(given)),
]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    alerts: Literal["all", "none"] = "all"
    tenant: Id | None = None
    programs: Annotated[tuple[Id, ...], Field(min_length=1, max_length=MAX_PROGRAMS)] | None = None
    fallback: Annotated[str, Field(max_length=64)] | None = None


_Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class _PeopleEntry(BaseModel):
    """A destination of people: when they may be written to. YAML may read an unquoted time as a number."""

    quiet_hours: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$")] = (
        "18:00-08:00"
    )
    digest_at: _Clock = "08:30"
    time_zone: TimeZone | None = None
    most_per_hour: Annotated[int, Field(ge=1, le=1_000)] = DestinationConfig.most_per_hour

    @property
    def hours(self) -> ReceivingHours:
        begin, end = self.quiet_hours.split("-")
        return ReceivingHours(time.fromisoformat(begin), time.fromisoformat(end), time.fromisoformat(self.digest_at))

    @model_validator(mode="after")
    def _digest_is_outside_quiet_hours(self) -> Self:
        if self.hours.are_quiet_at(self.hours.digest_at):
            raise ValueError("digest_at lies in quiet_hours")
        return self


class _HttpEntry(_Entry):
    allow_private: bool = False
    seconds: Annotated[float, Field(gt=0, le=60)] = 10

    def target(self, url: str) -> HttpTarget:
        return HttpTarget(url, self.allow_private, self.seconds)


class _Webhook(_HttpEntry):
    channel: Literal["webhook"]
    url: Annotated[str, Field(max_length=2_048)]
    secret_env: str | None = None
    secret_file: Path | None = None


class _Chat(_HttpEntry, _PeopleEntry):
    """The complete address is the secret: whoever knows it may post."""

    channel: Literal["slack", "teams"]
    url_env: str | None = None
    url_file: Path | None = None


class _PagerDuty(_HttpEntry):
    channel: Literal["pagerduty"]
    url: Annotated[str, Field(max_length=2_048)] = ENQUEUE_URL
    routing_key_env: str | None = None
    routing_key_file: Path | None = None


class _Smtp(_Entry, _PeopleEntry):
    channel: Literal["smtp"]
    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: Annotated[str, Field(max_length=320)] | None = None
    password_env: str | None = None
    password_file: Path | None = None
    cafile: FilePath | None = None
    sender: _MailAddress
    to: _MailRecipients
    seconds: Annotated[float, Field(gt=0, le=120)] = 30


_AnyEntry = Annotated[_Webhook | _Chat | _PagerDuty | _Smtp, Field(discriminator="channel")]
_Region = Annotated[str, Field(max_length=64)]
_ENTRY: TypeAdapter[_Webhook | _Chat | _PagerDuty | _Smtp] = TypeAdapter(_AnyEntry)


_DestinationName = Annotated[str, Field(min_length=1, max_length=64)]


class _Route(BaseModel):
    """`continue`: later routes are evaluated, too."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    to: Annotated[tuple[_DestinationName, ...], Field(min_length=1, max_length=MAX_RECIPIENTS)]
    rules: Annotated[frozenset[Name], Field(min_length=1, max_length=MAX_PROGRAMS)] | None = None
    classes: Annotated[frozenset[Urgency], Field(min_length=1)] | None = None
    programs: Annotated[frozenset[Id], Field(min_length=1, max_length=MAX_PROGRAMS)] | None = None
    regions: Annotated[frozenset[_Region], Field(min_length=1, max_length=MAX_PROGRAMS)] | None = None
    goes_on: Annotated[bool, Field(alias="continue")] = False

    def route(self) -> Route:
        return Route(self.to, self.rules, self.classes, self.programs, self.regions, self.goes_on)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    destinations: Annotated[list[dict[str, object]], Field(max_length=MAX_DESTINATIONS)]
    routes: Annotated[list[_Route], Field(min_length=1, max_length=MAX_ROUTES)] | None = None
    otherwise: _DestinationName | None = None
    admins: Annotated[tuple[_DestinationName, ...], Field(max_length=MAX_RECIPIENTS)] = ()


class _ConfigReader:
    """Continues after a fault, so that all faults are reported at once."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self.faults: list[str] = []

    def read(self, document: object, own: Sequence[DestinationConfig]) -> DestinationsConfig:
        try:
            config_file = _File.model_validate(document)
        except ValidationError as invalid:
            self._add_faults("", invalid)
            return DestinationsConfig()
        found = [self._destination(f"destinations.{at}", entry) for at, entry in enumerate(config_file.destinations)]
        destinations = [one for one in found if one is not None]
        self._check_names(destinations, own)
        routes = tuple(route.route() for route in config_file.routes or ())
        config = DestinationsConfig((*own, *destinations), routes, config_file.otherwise, config_file.admins)
        if not self.faults:
            # A route may name an entry that is at fault: report the entry first.
            self.faults += routing_faults(config)
        return config

    def _destination(self, path: str, entry_data: dict[str, object]) -> DestinationConfig | None:
        try:
            entry = _ENTRY.validate_python(entry_data)
        except ValidationError as invalid:
            self._add_faults(f"{path}.", invalid)
            return None
        options = self._options(path, entry)
        if options is None:
            return None
        programs = None if entry.programs is None else frozenset(entry.programs)
        people = entry if isinstance(entry, _PeopleEntry) else None
        return DestinationConfig(
            name=entry.name,
            channel=entry.channel,
            options=options,
            gets_alerts=entry.alerts == "all",
            tenant=entry.tenant,
            programs=programs,
            fallback=entry.fallback,
            hours=people.hours if people else None,
            zone=people.time_zone if people else None,
            most_per_hour=people.most_per_hour if people else DestinationConfig.most_per_hour,
        )

    def _options(self, path: str, entry: _Webhook | _Chat | _PagerDuty | _Smtp) -> Options:
        match entry:
            case _Webhook():
                secret = self._secret(f"{path}.secret", entry.secret_env, entry.secret_file)
                url = self._url(f"{path}.url", entry.url, entry)
                if secret and (fault := secret_fault(secret)):
                    self.faults.append(f"{path}.secret: {fault}")
                return WebhookOptions(entry.target(url), SecretStr(secret)) if secret and url else None
            case _Chat():
                secret = self._secret(f"{path}.url", entry.url_env, entry.url_file)
                url = self._url(f"{path}.url", secret, entry) if secret else None
                return entry.target(url) if url else None
            case _PagerDuty():
                key = self._secret(f"{path}.routing_key", entry.routing_key_env, entry.routing_key_file)
                url = self._url(f"{path}.url", entry.url, entry)
                return PagerDutyOptions(entry.target(url), SecretStr(key)) if key and url else None
            case _Smtp():
                return self._smtp(path, entry)

    def _smtp(self, path: str, entry: _Smtp) -> SmtpOptions | None:
        password = None
        if entry.username is not None:
            password = self._secret(f"{path}.password", entry.password_env, entry.password_file)
            if password is None:
                return None
        if entry.security == "none" and password is not None:
            # The password would cross the network in clear text.
            self.faults.append(f"{path}.security: a password is sent over TLS only: say starttls or tls")
            return None
        try:
            ssl.create_default_context(cafile=entry.cafile)
        except (OSError, ValueError):  # ssl.SSLError is an OSError
            self.faults.append(f"{path}.cafile: holds no certificates")
            return None
        return SmtpOptions(
            host=entry.host,
            port=entry.port,
            security=entry.security,
            username=entry.username,
            password=SecretStr(password) if password is not None else None,
            sender=entry.sender,
            to=entry.to,
            timeout_seconds=entry.seconds,
            cafile=entry.cafile,
        )

    def _url(self, path: str, url: str, entry: _HttpEntry) -> str | None:
        fault = url_fault(url, allow_private=entry.allow_private)
        if fault is not None:
            self.faults.append(f"{path}: {fault}")
            return None
        return url

    def _secret(self, path: str, variable: str | None, file: Path | None) -> str | None:
        try:
            return self._secrets.read(variable, file)
        except UnknownSecretError as unknown:
            self.faults.append(f"{path}: {unknown}")
            return None

    def _check_names(self, destinations: Sequence[DestinationConfig], own: Sequence[DestinationConfig]) -> None:
        names = Counter(one.name for one in destinations)
        known_names = {*names, *(one.name for one in own)}
        self.faults += [
            f"{name}: there are {count} destinations of this name" for name, count in names.items() if count > 1
        ]
        for one in destinations:
            if one.fallback is not None and (one.fallback not in known_names or one.fallback == one.name):
                self.faults.append(f"{one.name}.fallback: there is no other destination {one.fallback[:80]!r}")

    def _add_faults(self, prefix: str, invalid: ValidationError) -> None:
        for error in invalid.errors(include_url=False, include_context=False, include_input=False):
            path = ".".join(str(step) for step in error["loc"])
            self.faults.append(f"{prefix}{path[:200]}: {error['msg'][:300]}")
