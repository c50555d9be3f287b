"""The mail channel: SMTP, one connection per message. It has no keys: a repeat is a second mail with the same bytes and
Message-ID, which some receivers deduplicate."""

import asyncio
import json
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256
from html import escape
from typing import Literal

import aiosmtplib
from aiosmtplib.errors import SMTPException, SMTPResponseException

from schemas.alerts import Delivery
from services.notify.domain.deliveries import (
    AddressPutOff,
    DeliveryAccepted,
    DestinationDown,
    MailboxPutOff,
    MessageRejected,
    OutcomeUnknown,
    RetryLater,
    Verdict,
)
from services.notify.domain.destinations import SmtpOptions
from services.notify.domain.preferences import address_digest
from services.notify.domain.unsubscribe import UnsubscribeLinks

UNSUBSCRIBE_TEXT = "What you get, and how to get less of it"


def mail_bytes(delivery: Delivery, sender: str, to: Sequence[str], unsubscribe_url: str | None = None) -> bytes:
    """Return the mail. The Message-ID is derived from the content: a mail marked as possible repeat is another message
    of the same thread. `unsubscribe_url`: the List-Unsubscribe address."""
    content = json.loads(delivery.body or "{}")
    domain = sender.rpartition("@")[2]
    content_hash = sha256(f"{delivery.delivery_id}\x00{delivery.body}".encode()).hexdigest()
    root = f"<{delivery.dedup_key}.{delivery.recipient}@{domain}>"
    message = EmailMessage(policy=SMTP)
    message["From"] = Address("Rapport", addr_spec=sender)
    message["To"] = [Address(addr_spec=one) for one in to]
    message["Subject"] = content["subject"]
    message["Date"] = format_datetime(delivery.started_at or delivery.planned_at)
    message["Message-ID"] = f"<{content_hash[:40]}@{domain}>"
    # A root message that does not exist: all mails of the episode answer it, whichever arrives first.
    message["References"] = root
    message["In-Reply-To"] = root
    # Prevents out-of-office replies, and mail loops.
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    if unsubscribe_url is not None:
        message["List-Unsubscribe"] = f"<{unsubscribe_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(
        content["text"] + (f"\n-- \n{UNSUBSCRIBE_TEXT}: {unsubscribe_url}\n" if unsubscribe_url else "")
    )
    link = (
        f"<p style='font-size:.8em'><a href='{escape(unsubscribe_url)}'>{UNSUBSCRIBE_TEXT}</a></p>"
        if unsubscribe_url
        else ""
    )
    message.add_alternative(content["html"].replace("</body>", f"{link}</body>"), subtype="html")
    message.set_boundary(f"=_{content_hash[:32]}")
    return message.as_bytes()


SERVICE_CLOSING = 421
"""The server closes the connection, whatever the command was."""
PERMANENT = 500
QUIT_SECONDS = 1.0
NO_MAILBOX_CODES = frozenset({550, 551, 553})
"""Codes without an enhanced status code that mean the same."""
ADDRESS_FAULT_CODES = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
"""Enhanced status codes (RFC 3463): no such mailbox or host, bad syntax, moved, null MX, mailbox disabled."""
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})\b")
_QUEUED = re.compile(r"queued as ([A-Za-z0-9._-]{1,64})")


@dataclass(frozen=True)
class MailDirectory:
    """`address_of` a person, by destination, tenant and id; None without an address that takes mail. `is_off`: whether
    a server has refused an address of a destination for good. `unsubscribe_links`: None without a board."""

    address_of: Callable[[str, str, str], str | None]
    is_off: Callable[[str, str], bool]
    unsubscribe_links: UnsubscribeLinks | None = None


class SmtpChannel:
    """`name`: of the destination."""

    def __init__(self, name: str, options: SmtpOptions, directory: MailDirectory) -> None:
        self._name, self._options, self._directory = name, options, directory
        self._tls = ssl.create_default_context(cafile=options.cafile) if options.security != "none" else None

    async def send(self, delivery: Delivery) -> Verdict:
        options, person, to = self._options, delivery.person, tuple[str, ...]()
        if options.to:
            to = tuple(address for address in options.to if not self._directory.is_off(self._name, address))
            if delivery.address is not None:
                to = tuple(one for one in to if address_digest(self._name, one) == delivery.address)
        elif person is not None and (address := self._directory.address_of(self._name, delivery.tenant, person)):
            to = (address,)
        if not to:
            return MessageRejected("there is no address that takes mail")
        unsubscribe_links = self._directory.unsubscribe_links
        content = mail_bytes(
            delivery, options.sender, to, unsubscribe_links.of(delivery) if unsubscribe_links else None
        )
        client = aiosmtplib.SMTP(
            hostname=options.host,
            port=options.port,
            # The default does a blocking DNS lookup.
            local_hostname=options.sender.rpartition("@")[2],
            use_tls=options.security == "tls",
            start_tls=options.security == "starttls",
            tls_context=self._tls,
            timeout=options.timeout_seconds,
        )
        reach: _Reach = "rest" if delivery.address is not None else "list" if options.to else "person"
        attempt = _Attempt(self._name, options, _Recipients(to, reach), client)
        try:
            async with asyncio.timeout(options.timeout_seconds):
                return await attempt.deliver(content)
        except (SMTPException, OSError, TimeoutError) as failure:
            # The class name only: texts of servers hold addresses. The library's own errors have texts without any.
            reason = str(failure)[:100] if type(failure) is SMTPException else type(failure).__name__
            return (
                OutcomeUnknown(f"{reason} before it was confirmed")
                if attempt.content_started
                else DestinationDown(reason)
            )
        finally:
            await attempt.disconnect()

    async def close(self) -> None:
        """Connections are not kept, since servers end idle ones within minutes; closing transports need one turn of the
        event loop."""
        await asyncio.sleep(0.01)


_Reach = Literal["list", "person", "rest"]
"""`rest`: one address of a list that has got the mail otherwise."""


@dataclass(frozen=True)
class _Recipients:
    to: Sequence[str]
    reach: _Reach


class _Attempt:
    """One SMTP dialogue. The meaning of a failure depends on how far it has come."""

    def __init__(self, name: str, options: SmtpOptions, recipients: "_Recipients", client: aiosmtplib.SMTP) -> None:
        self.client = client
        self._name, self._options, self._to, self._reach = name, options, recipients.to, recipients.reach
        self.content_started = False

    async def deliver(self, content: bytes) -> Verdict:
        # 1. The server: whatever it refuses here, it refuses for every message.
        if failed := await _run_command(self._connect, self._options):
            return DestinationDown(failed.status)
        if failed := await _run_command(self.client.mail, self._options.sender):
            return failed.destination_verdict()
        # 2. The recipients: a refused one keeps the mail from nobody else.
        refusals: list[_Refusal] = []
        for one in self._to:
            if refusal := await _run_command(self.client.rcpt, one):
                refusals.append(replace(refusal, address=one))
            if refusal and refusal.code == SERVICE_CLOSING:
                return refusal.destination_verdict()
        address_faults = [one for one in refusals if one.is_address_fault]
        refused_digests = tuple(address_digest(self._name, one.address) for one in address_faults)
        if len(refusals) == len(self._to):
            return self._verdict_on_all(refusals, refused_digests)
        # 3. The content. From here to the last answer the outcome is unknown.
        self.content_started = True
        try:
            code, text = await self.client.data(content)
        except SMTPResponseException as refused:
            status, code = f"SMTP {refused.code}", refused.code
            return (
                DestinationDown(status)
                if code == SERVICE_CLOSING
                else MessageRejected(status)
                if code >= PERMANENT
                else RetryLater(status)
            )
        queued = _QUEUED.search(text)
        for_good, for_now = [one for one in refusals if one.is_final], [one for one in refusals if not one.is_final]
        return DeliveryAccepted(
            f"SMTP {code}{self._share(for_good, 'refused')}{self._share(for_now, 'put off')}",
            queued.group(1) if queued else "",
            refused_digests,
            tuple(AddressPutOff(address_digest(self._name, one.address), one.reason) for one in for_now),
        )

    def _verdict_on_all(self, refusals: Sequence["_Refusal"], gone: tuple[str, ...]) -> Verdict:
        """`gone`: digests of addresses refused for good. For a person the fallback can be used; for a list without any
        accepted address the destination is at fault, unless one of them is only put off."""
        first = refusals[0]
        if self._reach == "list":
            for_now = [one for one in refusals if not one.is_final]
            return RetryLater(for_now[0].status, refused=gone) if for_now else first.destination_verdict()
        if gone:
            return MessageRejected(f"{first.status}: no address takes mail", gone)
        if first.is_of_mailbox or self._reach == "rest":
            return MessageRejected(first.reason) if first.is_final else MailboxPutOff(first.reason)
        return first.destination_verdict()

    def _share(self, refusals: Sequence["_Refusal"], word: str) -> str:
        """Return how many addresses, and why: never which, since the texts of servers hold addresses."""
        reasons = ", ".join(sorted({one.reason for one in refusals}))
        return f", {len(refusals)} of {len(self._to)} addresses {word}: {reasons}" if refusals else ""

    async def disconnect(self) -> None:
        """Quit if the server still listens, then drop the connection; a TLS shutdown is not awaited."""
        transport = self.client.transport
        if self.client.is_connected:
            with suppress(SMTPException, OSError, TimeoutError):
                await self.client.quit(timeout=QUIT_SECONDS)
        self.client.close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()

    async def _connect(self, options: SmtpOptions) -> None:
        await self.client.connect()
        if options.username is not None and options.password is not None:
            await self.client.login(options.username, options.password.get_secret_value())


@dataclass(frozen=True)
class _Refusal:
    code: int
    text: str = ""
    address: str = ""

    @property
    def is_address_fault(self) -> bool:
        """Whether the address does not exist, or is closed for good; not that the server rejects the sender, or is
        full."""
        enhanced = _ENHANCED.match(self.text)
        if enhanced is not None:
            return enhanced[1] in ADDRESS_FAULT_CODES
        return self.code in NO_MAILBOX_CODES

    @property
    def is_final(self) -> bool:
        return self.code >= PERMANENT

    @property
    def is_of_mailbox(self) -> bool:
        """Whether the server works, and only this mailbox takes nothing: it is full, or gets too much (RFC 3463)."""
        enhanced = _ENHANCED.match(self.text)
        return enhanced is not None and enhanced[1].split(".")[1] == "2"

    @property
    def status(self) -> str:
        return f"SMTP {self.code}"

    @property
    def reason(self) -> str:
        enhanced = _ENHANCED.match(self.text)
        return f"{self.status} {enhanced[1]}" if enhanced is not None else self.status

    def destination_verdict(self) -> Verdict:
        """Return the verdict on the destination. 4xx of an address is greylisting or a full mailbox, and passes with
        time."""
        return (
            DestinationDown(self.status)
            if self.code >= PERMANENT or self.code == SERVICE_CLOSING
            else RetryLater(self.status)
        )


async def _run_command(command: Callable[..., Awaitable[object]], argument: object) -> _Refusal | None:
    """Run a command; returns None if the server accepts it. Raises every failure that is no SMTP answer."""
    try:
        await command(argument)
    except SMTPResponseException as refused:
        return _Refusal(refused.code, str(refused.message))
    return None
