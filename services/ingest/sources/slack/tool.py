"""Slack signs every request, also the one that asks whether the URL is ours."""

import json
from datetime import datetime
from typing import Literal

from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.strict_json import Parsed, read_json
from services.ingest.domain.tools.allow_list import allow_list
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.slack.model import Callback, SlackOutline, SlackSettings
from services.ingest.sources.slack.translation import translate
from services.ingest.sources.tool import Tool, ToolSettings
from services.ingest.sources.vendor_model import Ident, VendorModel, read
from services.ingest.sources.verification import Handshake, Headers, Received, Verification, Verified, verify_v0

HEADERS = Headers("x-slack-signature", "x-slack-request-timestamp")


class _Verification(VendorModel):
    type: Literal["url_verification"]
    challenge: Ident


def verify(received: Received, secret: str, now: datetime) -> Verification:
    proof = verify_v0(received, secret, now, HEADERS)
    return proof if not isinstance(proof, Verified) else _answered(received.body)


def _answered(body: bytes) -> Handshake | Verified:
    parsed = read_json(body)
    asked = read(_Verification, parsed.value) if isinstance(parsed, Parsed) else parsed
    return Verified() if isinstance(asked, Rejected) else Handshake(json.dumps({"challenge": asked.challenge}).encode())


# Slack holds events back for a minute then, and sends them never.
LOUD = frozenset({"rate_limited"})


def keep(payload: object, _settings: ToolSettings, pseudonym: Pseudonym) -> object:
    """Of a message who wrote where and when, never what or under which name; of any other event only that it is
    another."""
    outline = read(SlackOutline, payload)
    models = (SlackOutline, Callback) if isinstance(outline, SlackOutline) and outline.is_message else (SlackOutline,)
    return allow_list(*models).kept(payload, pseudonym)


TOOL = Tool(name="slack", verify=verify, translate=translate, settings=SlackSettings, keep=keep, loud=LOUD)
