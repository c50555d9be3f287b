"""A delivery as a mail: the same delivery gives the same bytes, and all mails of an episode are one thread."""

import json
from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256
from html import escape

from schemas.alerts import Delivery

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
    message.add_alternative(_with_link(content["html"], leave), subtype="html")
    message.set_boundary(f"=_{own[:32]}")
    return message.as_bytes()


def _with_link(html: str, leave: str | None) -> str:
    if leave is None:
        return html
    link = f"<p style='font-size:.8em'><a href='{escape(leave)}'>{LEAVE}</a></p>"
    return html.replace("</body>", f"{link}</body>")
