"""The mail channel: SMTP, one connection for each message. It knows no keys: a repeat is a second mail, which is the
same bytes under the same Message-ID, so that some receivers fold the two."""

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

import aiosmtplib
from aiosmtplib.errors import SMTPException, SMTPResponseException

from schemas.alerts import Delivery
from services.notify.domain.deliveries import (
    DeliveryAccepted,
    DestinationDown,
    MessageRejected,
    OutcomeUnknown,
    RetryLater,
    Verdict,
)
from services.notify.domain.destinations import SmtpOptions
from services.notify.domain.preferences import address_digest
from services.notify.domain.unsubscribe import UnsubscribeLinks

LEAVE = "What you get, and how to get less of it"


def mail_bytes(delivery: Delivery, sender: str, to: Sequence[str], leave: str | None = None) -> bytes:
    """Its Message-ID is of its content: what says that it may be a repeat is another message of the same thread.
    `leave`: the address where whoever gets it says that they want no more of it."""
    content = json.loads(delivery.body or "{}")
    domain = sender.rpartition("@")[2]
    own = sha256(f"{delivery.delivery_id}\x00{delivery.body}".encode()).hexdigest()
    root = f"<{delivery.dedup_key}.{delivery.recipient}@{domain}>"
    message = EmailMessage(policy=SMTP)
    message["From"] = Address("Rapport", addr_spec=sender)
    message["To"] = [Address(addr_spec=one) for one in to]
    message["Subject"] = content["subject"]
    message["Date"] = format_datetime(delivery.started_at or delivery.planned_at)
    message["Message-ID"] = f"<{own[:40]}@{domain}>"
    # Of a message that never was: whichever mail of the episode comes first, all answer the same one.
    message["References"] = root
    message["In-Reply-To"] = root
    # No holiday reply, and no loop of two machines.
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    if leave is not None:
        message["List-Unsubscribe"] = f"<{leave}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(content["text"] + (f"\n-- \n{LEAVE}: {leave}\n" if leave else ""))
    link = f"<p style='font-size:.8em'><a href='{escape(leave)}'>{LEAVE}</a></p>" if leave else ""
    message.add_alternative(content["html"].replace("</body>", f"{link}</body>"), subtype="html")
    message.set_boundary(f"=_{own[:32]}")
    return message.as_bytes()


CLOSING = 421
"""The server is about to go away, whatever was asked of it."""
PERMANENT = 500
QUIT_SECONDS = 1.0
NO_MAILBOX = frozenset({550, 551, 553})
"""Where a server says no more than that."""
OF_ADDRESS = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
"""Enhanced status codes (RFC 3463): no such mailbox or host, bad syntax, moved, null MX, mailbox disabled."""
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})\b")
_QUEUED = re.compile(r"queued as ([A-Za-z0-9._-]{1,64})")


@dataclass(frozen=True)
class MailDirectory:
    """`address_of` a person, by destination, tenant and id; None where there is none that takes mail. `is_off`: whether
    a server has refused an address of a destination for good. `leaving`: how a person gets no more of such mails."""

    address_of: Callable[[str, str, str], str | None]
    is_off: Callable[[str, str], bool]
    leaving: UnsubscribeLinks | None = None


class SmtpChannel:
    """`name`: of the destination."""

    def __init__(self, name: str, options: SmtpOptions, directory: MailDirectory) -> None:
        self._name, self._options, self._directory = name, options, directory
        self._tls = ssl.create_default_context(cafile=options.cafile) if options.security != "none" else None

    async def send(self, delivery: Delivery) -> Verdict:
        options, person, to = self._options, delivery.person, tuple[str, ...]()
        if options.to:
            to = tuple(one for one in options.to if not self._directory.is_off(self._name, one))
        elif person is not None and (one := self._directory.address_of(self._name, delivery.tenant, person)):
            to = (one,)
        if not to:
            return MessageRejected("there is no address that takes mail")
        leaving = self._directory.leaving
        content = mail_bytes(delivery, options.sender, to, leaving.of(delivery) if leaving else None)
        client = aiosmtplib.SMTP(
            hostname=options.host,
            port=options.port,
            # The default asks a name server, and waits for it.
            local_hostname=options.sender.rpartition("@")[2],
            use_tls=options.security == "tls",
            start_tls=options.security == "starttls",
            tls_context=self._tls,
            timeout=options.timeout_seconds,
        )
        attempt = _Attempt(self._name, options, to, client)
        try:
            async with asyncio.timeout(options.timeout_seconds):
                return await attempt.bring(content)
        except (SMTPException, OSError, TimeoutError) as failure:
            # A name of a class: texts of servers hold addresses. What is of the class itself the library says.
            reason = str(failure)[:100] if type(failure) is SMTPException else type(failure).__name__
            return (
                OutcomeUnknown(f"{reason} before it was confirmed")
                if attempt.content_begun
                else DestinationDown(reason)
            )
        finally:
            await attempt.part()

    async def close(self) -> None:
        """Nothing is kept open, servers end idle connections within minutes; what was closed says goodbye in a turn of
        the loop of its own."""
        await asyncio.sleep(0.01)


class _Attempt:
    """One dialogue. What a failure means depends on how far it has come."""

    def __init__(self, name: str, options: SmtpOptions, to: Sequence[str], client: aiosmtplib.SMTP) -> None:
        self.client = client
        self._name, self._options, self._to = name, options, to
        self._is_personal = not options.to
        self.content_begun = False

    async def bring(self, content: bytes) -> Verdict:
        # 1. The server itself: whatever it refuses here, it would refuse of every message.
        if failed := await _refusal(self._sign_in, self._options):
            return DestinationDown(failed.status)
        if failed := await _refusal(self.client.mail, self._options.sender):
            return failed.of_destination()
        # 2. Those to whom it goes: one that is refused keeps it from nobody else.
        refusals: list[_Refusal] = []
        for one in self._to:
            if refusal := await _refusal(self.client.rcpt, one):
                refusals.append(replace(refusal, address=one))
            if refusal and refusal.code == CLOSING:
                return refusal.of_destination()
        gone = [one for one in refusals if one.is_of_address]
        off = tuple(address_digest(self._name, one.address) for one in gone)
        if len(refusals) == len(self._to):
            # Of a person another one can be asked; of a list that takes nothing the destination is at fault.
            personal = len(gone) == len(refusals) and self._is_personal
            return (
                MessageRejected(f"{gone[0].status}: no address takes mail", off)
                if personal
                else refusals[0].of_destination()
            )
        # 3. The message. From here to the last answer nobody knows whether it has arrived.
        self.content_begun = True
        try:
            code, text = await self.client.data(content)
        except SMTPResponseException as refused:
            status, code = f"SMTP {refused.code}", refused.code
            return (
                DestinationDown(status)
                if code == CLOSING
                else MessageRejected(status)
                if code >= PERMANENT
                else RetryLater(status)
            )
        refused_share = f", {len(refusals)} of {len(self._to)} addresses refused" if refusals else ""
        queued = _QUEUED.search(text)
        return DeliveryAccepted(f"SMTP {code}{refused_share}", queued.group(1) if queued else "", off)

    async def part(self) -> None:
        """Politely, if the server still listens; a connection over TLS is not waited for."""
        transport = self.client.transport
        if self.client.is_connected:
            with suppress(SMTPException, OSError, TimeoutError):
                await self.client.quit(timeout=QUIT_SECONDS)
        self.client.close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()

    async def _sign_in(self, options: SmtpOptions) -> None:
        await self.client.connect()
        if options.username is not None and options.password is not None:
            await self.client.login(options.username, options.password.get_secret_value())


@dataclass(frozen=True)
class _Refusal:
    code: int
    text: str = ""
    address: str = ""

    @property
    def is_of_address(self) -> bool:
        """The address does not exist, or is closed for good; not that the server minds whoever sends, or is full."""
        enhanced = _ENHANCED.match(self.text)
        if enhanced is not None:
            return enhanced[1] in OF_ADDRESS
        return self.code in NO_MAILBOX

    @property
    def status(self) -> str:
        return f"SMTP {self.code}"

    def of_destination(self) -> Verdict:
        """4xx of an address is greylisting or a full mailbox: a matter of time."""
        return (
            DestinationDown(self.status) if self.code >= PERMANENT or self.code == CLOSING else RetryLater(self.status)
        )


async def _refusal(ask: Callable[..., Awaitable[object]], about: object) -> _Refusal | None:
    """None if the server agrees. Raises what is no answer of it."""
    try:
        await ask(about)
    except SMTPResponseException as refused:
        return _Refusal(refused.code, str(refused.message))
    return None
