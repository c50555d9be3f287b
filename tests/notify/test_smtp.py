"""The mail channel against a real SMTP server, with its faults."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from pydantic import SecretStr

from schemas.alerts import Delivery
from services.notify.channels.smtp import MailDirectory, SmtpChannel
from services.notify.domain.deliveries import (
    AddressPutOff,
    DeliveryAccepted,
    DestinationDown,
    MailboxPutOff,
    MessageRejected,
    OutcomeUnknown,
    RetryLater,
    Verdict,
    start_attempt,
)
from services.notify.domain.destinations import SmtpOptions
from services.notify.domain.outbox import for_address
from services.notify.domain.preferences import address_digest
from tests.notify.building import day
from tests.notify.sending import episode, rendered, sending

OFF: set[tuple[str, str]] = set()
DIRECTORY = MailDirectory(
    lambda _destination, tenant, person: f"{person}@{tenant}.example",
    lambda destination, address: (destination, address) in OFF,
)
TO = ("ana@example.org", "ben@example.org")


@dataclass
class MailServer:
    """Keeps what comes. `answers`: to a command, instead of its own; `drop` cuts the connection instead of answering
    the content."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    envelopes: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    drop: bool = False

    async def handle_MAIL(self, *given: Any) -> str:  # noqa: ANN401, N802 (aiosmtpd's)
        *_, envelope, address, _options = given
        if "MAIL" not in self.answers:
            envelope.mail_from = address
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(self, *given: Any) -> str:  # noqa: ANN401, N802 (aiosmtpd's)
        *_, envelope, address, _options = given
        refusal = self.answers.get(address) or self.answers.get("RCPT")
        if refusal is None:
            envelope.rcpt_tos.append(address)
        return refusal or "250 OK"

    async def handle_DATA(self, *given: Any) -> str:  # noqa: ANN401, N802 (aiosmtpd's)
        server, _session, envelope = given
        if self.drop:
            server.transport.abort()
        if "DATA" in self.answers:
            return self.answers["DATA"]
        content = envelope.content
        assert isinstance(content, bytes)
        self.raw.append(content)
        found = message_from_bytes(content, policy=default)
        assert isinstance(found, EmailMessage)
        self.mails.append(found)
        self.envelopes.append((envelope.mail_from or "", tuple(envelope.rcpt_tos)))
        return "250 2.0.0 Ok: queued as 4F2C1"


@contextmanager
def serving(found: MailServer, **options: Any) -> Iterator[MailServer]:  # noqa: ANN401 (aiosmtpd's)
    with socket.create_server(("127.0.0.1", 0)) as free:
        found.port = free.getsockname()[1]
    controller = Controller(found, hostname="127.0.0.1", port=found.port, **options)
    controller.start()
    try:
        yield found
    finally:
        controller.stop()


@pytest.fixture
def server() -> Iterator[MailServer]:
    with serving(MailServer()) as found:
        yield found


def options(port: int, **changes: object) -> SmtpOptions:
    given: dict[str, object] = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "username": None,
        "password": None,
        "sender": "rapport@acme.example",
        "to": TO,
        "timeout_seconds": 5,
    }
    return SmtpOptions(**(given | changes))  # type: ignore[arg-type]


def mail(at: int = 0, **told: object) -> Delivery:
    return rendered(start_attempt(episode("smtp", "team", **told)[at], day(9)))  # type: ignore[arg-type]


def send(port: int, *deliveries: Delivery, **changes: object) -> list[Verdict]:
    with sending(lambda: SmtpChannel("team", options(port, **changes), DIRECTORY)) as channel:
        return [channel.send(delivery) for delivery in deliveries]


def test_a_mail_is_plain_text_and_html_and_no_machine_answers_it(server: MailServer) -> None:
    verdicts = send(server.port, mail())

    assert verdicts == [DeliveryAccepted("SMTP 250", "4F2C1")]
    assert server.envelopes == [("rapport@acme.example", TO)]
    (found,) = server.mails
    assert [part.get_content_type() for part in found.iter_parts()] == ["text/plain", "text/html"]
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["X-Auto-Response-Suppress"] == "All"
    assert found["Subject"] == "spruce: pair 4F2: health low"
    assert found["Date"].datetime == day(9)
    plain = found.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().startswith("NEW · P3: spruce: pair 4F2: health 38, low since 1 May. Ask both whether ")


def test_the_mails_of_an_episode_are_one_thread_with_one_subject(server: MailServer) -> None:
    send(server.port, *(mail(at) for at in range(3)))
    send(server.port, mail(relationship="other"))

    *thread, other = server.mails
    assert len({found["References"] for found in thread}) == len({found["Subject"] for found in thread}) == 1
    assert {found["In-Reply-To"] for found in thread} == {thread[0]["References"]}
    assert len({found["Message-ID"] for found in thread}) == 3
    assert other["References"] != thread[0]["References"]


def test_the_same_delivery_is_the_same_bytes_and_what_may_be_a_repeat_is_another_mail(server: MailServer) -> None:
    first = mail()
    repeat = rendered(first.model_copy(update={"repeat": True, "body": None}))

    send(server.port, first, first, repeat)

    same, again, marked = server.raw
    assert same == again
    assert server.mails[2]["Message-ID"] != server.mails[0]["Message-ID"]
    assert server.mails[2]["References"] == server.mails[0]["References"]
    assert "may be a repeat" in marked.decode()


@pytest.mark.parametrize(
    ("command", "answer", "verdict"),
    [
        ("DATA", "451 4.3.0 try again later", RetryLater("SMTP 451")),
        ("DATA", "421 4.3.2 closing down", DestinationDown("SMTP 421")),
        ("DATA", "552 5.3.4 too large", MessageRejected("SMTP 552")),
        ("DATA", "554 5.7.1 looks like spam to ana@example.org", MessageRejected("SMTP 554")),
        ("MAIL", "550 5.7.1 not your domain", DestinationDown("SMTP 550")),
        ("MAIL", "451 4.7.1 come back", RetryLater("SMTP 451")),
        ("RCPT", "450 4.2.1 greylisted", RetryLater("SMTP 450")),
        ("RCPT", "550 5.1.1 no such user", DestinationDown("SMTP 550")),
        ("RCPT", "421 4.7.0 too many", DestinationDown("SMTP 421")),
    ],
)
def test_a_refusal_is_of_the_message_or_of_the_destination(
    server: MailServer, command: str, answer: str, verdict: Verdict
) -> None:
    server.answers[command] = answer

    assert send(server.port, mail()) == [verdict]
    assert server.mails == []


def test_one_address_that_is_refused_keeps_the_mail_from_nobody_else(server: MailServer) -> None:
    server.answers[TO[0]] = "550 5.1.1 no such user"

    (verdict,) = send(server.port, mail())

    assert verdict == DeliveryAccepted(
        "SMTP 250, 1 of 2 addresses refused: SMTP 550 5.1.1", "4F2C1", (address_digest("team", TO[0]),)
    )
    assert server.envelopes[0][1] == (TO[1],)


def test_when_the_connection_drops_before_the_last_answer_nobody_knows(server: MailServer) -> None:
    server.drop = True

    (verdict,) = send(server.port, mail())

    assert verdict == OutcomeUnknown("SMTPServerDisconnected before it was confirmed")


def test_a_server_that_is_away_is_a_destination_that_is_down() -> None:
    with serving(MailServer()) as gone:
        port = gone.port

    assert send(port, mail()) == [DestinationDown("SMTPConnectError")]


def test_a_name_and_an_address_never_break_out_of_a_header(server: MailServer) -> None:
    hostile = mail(relationship="y" * 128)

    send(server.port, hostile)

    assert set(server.mails[0].keys()) >= {"Subject", "References"}
    assert len(server.mails[0]["Subject"]) <= 150


def account(*given: Any) -> AuthResult:  # noqa: ANN401 (aiosmtpd's)
    login = given[-1]
    return AuthResult(success=login.password == b"correct horse", handled=False)


@pytest.fixture
def over_tls(tmp_path: Path) -> Iterator[tuple[MailServer, Path]]:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    cafile = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(cafile))
    with serving(
        MailServer(), tls_context=context, require_starttls=True, authenticator=account, auth_required=True
    ) as found:
        yield found, cafile


@pytest.mark.parametrize(("password", "arrives"), [("correct horse", True), ("wrong", False)])
def test_over_starttls_it_signs_in_and_a_wrong_password_is_the_destinations(
    over_tls: tuple[MailServer, Path],
    password: str,
    arrives: bool,  # noqa: FBT001
) -> None:
    server, cafile = over_tls
    sign_in = {"username": "rapport", "password": SecretStr(password), "security": "starttls", "cafile": cafile}

    (verdict,) = send(server.port, mail(), **sign_in)

    assert verdict == (DeliveryAccepted("SMTP 250", "4F2C1") if arrives else DestinationDown("SMTP 535"))
    assert len(server.mails) == arrives


def test_a_server_that_offers_no_tls_or_no_sign_in_gets_nothing_and_is_said_not_to(server: MailServer) -> None:
    secret = SecretStr("correct horse")

    (plain,) = send(server.port, mail(), security="starttls", username="rapport", password=secret)
    (open_,) = send(server.port, mail(), username="rapport", password=secret)

    assert plain == DestinationDown("SMTP STARTTLS extension not supported by server.")
    assert isinstance(open_, DestinationDown)
    assert "AUTH" in open_.status
    assert server.mails == []


def test_a_server_whose_certificate_nobody_trusts_gets_nothing(over_tls: tuple[MailServer, Path]) -> None:
    server, _ = over_tls

    (verdict,) = send(server.port, mail(), security="starttls")

    assert isinstance(verdict, DestinationDown)
    assert server.mails == []


@pytest.mark.parametrize(
    ("answer", "off"),
    [
        ("550 5.1.1 no such user", [TO[1]]),
        ("550 no such user", [TO[1]]),
        ("550 5.2.1 mailbox disabled", [TO[1]]),
        ("550 5.7.1 relaying denied", []),
        ("552 5.2.2 mailbox full", []),
    ],
)
def test_an_address_that_is_refused_for_good_is_reported_and_written_to_no_more(
    server: MailServer, answer: str, off: list[str]
) -> None:
    server.answers[TO[1]] = answer

    (verdict,) = send(server.port, mail())

    assert isinstance(verdict, DeliveryAccepted)
    assert verdict.refused == tuple(address_digest("team", one) for one in off)
    assert verdict.put_off == ()
    code = " ".join(part for part in answer.split() if part[0].isdigit())
    assert verdict.status == f"SMTP 250, 1 of 2 addresses refused: SMTP {code}"
    server.answers.clear()
    OFF.add(("team", TO[1]))
    try:
        assert send(server.port, mail()) == [DeliveryAccepted("SMTP 250", "4F2C1")]
    finally:
        OFF.clear()
    assert server.envelopes[-1] == ("rapport@acme.example", TO[:1])


@pytest.mark.parametrize(
    ("answer", "code"),
    [("451 4.7.1 come back later", "451 4.7.1"), ("452 4.2.2 mailbox full", "452 4.2.2"), ("450 busy", "450")],
)
def test_an_address_that_is_put_off_is_tried_again_alone(server: MailServer, answer: str, code: str) -> None:
    server.answers[TO[1]] = answer
    digest = address_digest("team", TO[1])

    (verdict,) = send(server.port, mail())
    assert verdict == DeliveryAccepted(
        f"SMTP 250, 1 of 2 addresses put off: SMTP {code}", "4F2C1", put_off=(AddressPutOff(digest, f"SMTP {code}"),)
    )

    rest = for_address(mail(), verdict.put_off[0], day(9), 0.0)
    (again,) = send(server.port, rest)
    server.answers.clear()
    (arrived,) = send(server.port, rest)

    assert again == MailboxPutOff(f"SMTP {code}")
    assert arrived == DeliveryAccepted("SMTP 250", "4F2C1")
    assert [to for _, to in server.envelopes] == [TO[:1], TO[1:]]


def test_of_a_list_one_address_of_which_is_gone_and_the_other_is_put_off_the_first_is_switched_off(
    server: MailServer,
) -> None:
    """Nobody got it, so that all of it is sent again; but the destination is not at fault."""
    server.answers |= {TO[0]: "550 5.1.1 no such user", TO[1]: "450 4.7.1 greylisted"}

    (verdict,) = send(server.port, mail())

    assert verdict == RetryLater("SMTP 450", refused=(address_digest("team", TO[0]),))


def test_a_full_mailbox_of_a_person_is_no_fault_of_the_destination(server: MailServer) -> None:
    """Three of them in a row would park it for everybody else."""
    to_person = mail().model_copy(update={"person": "p-3"})
    server.answers["RCPT"] = "452 4.2.2 mailbox full"
    full = send(server.port, to_person, to=())
    server.answers["RCPT"] = "552 5.2.2 mailbox full"
    full_for_good = send(server.port, to_person, to=())
    server.answers["RCPT"] = "451 4.7.1 greylisted"
    greylisted = send(server.port, to_person, to=())

    assert full == [MailboxPutOff("SMTP 452 4.2.2")]
    assert full_for_good == [MessageRejected("SMTP 552 5.2.2")]
    assert greylisted == [RetryLater("SMTP 451")]


def test_an_address_that_was_put_off_and_is_refused_then_is_given_up_and_the_list_is_not(server: MailServer) -> None:
    rest = for_address(mail(), AddressPutOff(address_digest("team", TO[1]), "SMTP 450"), day(9), 0.0)
    server.answers[TO[1]] = "550 5.7.1 not from you"
    minded = send(server.port, rest)
    server.answers[TO[1]] = "550 5.1.1 no such user"
    gone = send(server.port, rest)

    assert minded == [MessageRejected("SMTP 550 5.7.1")]
    assert gone == [MessageRejected("SMTP 550: no address takes mail", (address_digest("team", TO[1]),))]


def test_an_address_that_has_left_the_list_since_it_was_put_off_gets_nothing(server: MailServer) -> None:
    rest = for_address(mail(), AddressPutOff(address_digest("team", "gone@example.org"), "SMTP 450"), day(9), 0.0)

    assert send(server.port, rest) == [MessageRejected("there is no address that takes mail")]
    assert server.mails == []


def test_where_a_person_takes_no_mail_the_message_is_dead_and_where_the_server_minds_us_the_destination_waits(
    server: MailServer,
) -> None:
    to_person = mail().model_copy(update={"person": "p-3"})
    server.answers["RCPT"] = "550 5.1.1 no such user"
    gone = send(server.port, to_person, to=())
    server.answers["RCPT"] = "550 5.7.1 relaying denied"
    minded = send(server.port, to_person, to=())
    OFF.update(("team", one) for one in TO)
    try:
        nobody = send(server.port, mail())
    finally:
        OFF.clear()

    assert gone == [MessageRejected("SMTP 550: no address takes mail", (address_digest("team", "p-3@acme.example"),))]
    assert minded == [DestinationDown("SMTP 550")]
    assert nobody == [MessageRejected("there is no address that takes mail")]


def test_to_an_owner_it_goes_to_the_person_at_the_address_of_the_directory(server: MailServer) -> None:
    to_person = mail().model_copy(update={"person": "p-3"})

    verdicts = send(server.port, to_person, mail(), to=())

    assert verdicts == [DeliveryAccepted("SMTP 250", "4F2C1"), MessageRejected("there is no address that takes mail")]
    assert server.envelopes == [("rapport@acme.example", ("p-3@acme.example",))]
