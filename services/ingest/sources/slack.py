"""Slack: messages in the conversations that belong to a relationship. Slack signs every request, including the URL
verification."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WrapValidator, model_validator

from schemas.primitives import Id
from services.ingest.domain.activity import GenericActivity, Native, Person, Translation, Voided
from services.ingest.domain.cloudevents import Parsed, read_json
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import TIME, AllowList, allow_list, one_of
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.tool import (
    Handshake,
    Headers,
    Received,
    Tool,
    ToolSettings,
    Verification,
    Verified,
    verify_v0,
)
from services.ingest.sources.vendor_model import Ident, MaybeIdent, VendorModel, epoch, none_if_invalid, read


class Conversation(BaseModel):
    """Either the relationship itself, or the Slack user ids of its people."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    relationship: Id | None = None
    people: tuple[Ident, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.relationship) == bool(self.people):
            raise ValueError("needs either relationship or people")
        return self

    def includes(self, user: str) -> bool:
        return not self.people or user in self.people


class SlackSettings(ToolSettings):
    """`channels` is keyed by Slack's id (C, G, D and others), direct messages included. `teams` are the ids of the
    accepted workspaces or enterprise; empty accepts any that installed the app."""

    channels: Mapping[Ident, Conversation] = Field(default_factory=dict)
    teams: frozenset[Ident] = frozenset()


SLACKBOT = "USLACKBOT"
CALLBACK, RATE_LIMITED, MESSAGE = "event_callback", "app_rate_limited", "message"
# Subtypes of messages that people write; every other subtype is Slack's own notice.
WRITTEN = frozenset({"", "file_share", "thread_broadcast", "me_message"})
DELETED, CHANGED, BOT_MESSAGE = "message_deleted", "message_changed", "bot_message"
# Replaces a deleted message that has replies.
TOMBSTONE = "tombstone"
DIRECT = "im"

# `1355517523.000005`: seconds, and a counter within the second; together with the channel it is the message's id.
Stamp = Annotated[str, Field(max_length=32), AfterValidator(lambda text: text if epoch(text) else ""), TIME]
# Other subtypes need not be distinguished.
Subtype = Annotated[MaybeIdent, one_of(*WRITTEN, DELETED, CHANGED, BOT_MESSAGE, TOMBSTONE)]


class SlackMessage(VendorModel):
    """A message, top-level or nested in a change event."""

    subtype: Subtype = ""
    user: MaybeIdent = ""
    bot_id: MaybeIdent = ""
    bot_profile: Annotated[object, AllowList()] = None
    ts: Stamp | None = None

    @property
    def is_of_a_bot(self) -> bool:
        return bool(self.bot_id) or self.bot_profile is not None or self.user == SLACKBOT or self.subtype == BOT_MESSAGE


class MessageEvent(SlackMessage):
    channel: Ident
    channel_type: Annotated[MaybeIdent, one_of(DIRECT, "mpim", "channel", "group")] = ""
    ts: Stamp
    thread_ts: Stamp | None = None
    deleted_ts: Stamp | None = None
    message: Annotated[SlackMessage | None, WrapValidator(none_if_invalid)] = None
    previous_message: Annotated[SlackMessage | None, WrapValidator(none_if_invalid)] = None

    @property
    def is_about_another(self) -> bool:
        """`message_replied` comes without its subtype: it contains the message that was answered and has no author of
        its own."""
        return self.message is not None and not self.user


class SlackInnerEvent(VendorModel):
    type: Annotated[Ident, one_of(MESSAGE)]


class SlackOutline(VendorModel):
    """Enough to recognise a message. `app_rate_limited` and `url_verification` contain no event."""

    type: Annotated[Ident, one_of(CALLBACK, RATE_LIMITED)]
    event: SlackInnerEvent | None = None

    @property
    def is_message(self) -> bool:
        return self.type == CALLBACK and self.event is not None and self.event.type == MESSAGE


class Callback(VendorModel):
    """The envelope of each event. In an enterprise grid or a shared channel, several teams may send the same event."""

    team_id: MaybeIdent = ""
    enterprise_id: MaybeIdent = ""
    context_team_id: MaybeIdent = ""
    context_enterprise_id: MaybeIdent = ""
    event: MessageEvent

    @property
    def teams(self) -> frozenset[str]:
        return frozenset({self.team_id, self.enterprise_id, self.context_team_id, self.context_enterprise_id})


HEADERS = Headers("x-slack-signature", "x-slack-request-timestamp")


class _Verification(VendorModel):
    type: Literal["url_verification"]
    challenge: Ident


def verify(received: Received, secret: str, now: datetime) -> Verification:
    verification = verify_v0(received, secret, now, HEADERS)
    if not isinstance(verification, Verified):
        return verification
    parsed = read_json(received.body)
    asked = read(_Verification, parsed.value) if isinstance(parsed, Parsed) else parsed
    return (
        verification if isinstance(asked, Rejected) else Handshake(json.dumps({"challenge": asked.challenge}).encode())
    )


# Slack then withholds events for a minute and never sends them later.
OPERATOR_REASONS = frozenset({"rate_limited"})


def redact(payload: object, _settings: ToolSettings, pseudonym: Pseudonym) -> object:
    """Keep author, conversation and time of a message, never its text or names; of any other event keep only that it is
    not a message."""
    outline = read(SlackOutline, payload)
    models = (SlackOutline, Callback) if isinstance(outline, SlackOutline) and outline.is_message else (SlackOutline,)
    return allow_list(*models).redact(payload, pseudonym)


def translate(value: object, settings: ToolSettings) -> Translation:
    assert isinstance(settings, SlackSettings)
    outer = read(SlackOutline, value)
    if isinstance(outer, Rejected):
        return outer
    if outer.type != CALLBACK:
        return Ignored("rate_limited" if outer.type == RATE_LIMITED else "event_not_used")
    if outer.event is None:
        return rejected("invalid", "event", "is required")
    if not outer.is_message:
        return Ignored("event_not_used")
    callback = read(Callback, value)
    if isinstance(callback, Rejected):
        return callback
    if settings.teams and not settings.teams & callback.teams:
        return Ignored("other_team")
    conversation = settings.channels.get(callback.event.channel)
    return _translate_message(conversation, callback.event) if conversation else Ignored("channel_not_mapped")


def _translate_message(conversation: Conversation, event: MessageEvent) -> Translation:
    if event.subtype == DELETED:
        return _deleted(conversation, event, event.deleted_ts)
    if event.subtype == CHANGED:
        changed = event.message
        if changed is None or changed.subtype != TOMBSTONE:
            return Ignored("edited")
        return _deleted(conversation, event, changed.ts)
    if event.is_of_a_bot:
        return Ignored("bot")
    if event.subtype not in WRITTEN or event.is_about_another:
        return Ignored("subtype_not_used")
    if not event.user:
        return rejected("invalid", "event.user", "is required")
    if not conversation.includes(event.user):
        return Ignored("not_of_this_conversation")
    key, data = _id(event, event.ts), {"channel": "direct" if event.channel_type == DIRECT else "channel"}
    if event.thread_ts and event.thread_ts != event.ts:
        # The thread's first message: a reply refers to it by key. The first message itself carries its own ts as
        # thread_ts once it is answered.
        data["reply_to"] = _id(event, event.thread_ts)
    message = GenericActivity(
        key=key,
        time=epoch(event.ts),
        native=Native("message", key),
        type="mentoring.message.sent.v1",
        data=data,
        by=Person(event.user),
        people=tuple(Person(user) for user in conversation.people),
        relationship=conversation.relationship or "",
    )
    return (message,)


def _deleted(conversation: Conversation, event: MessageEvent, stamp: str | None) -> Translation:
    """Retract a message. A deletion of an ignored message is ignored for the same reason."""
    if stamp is None:
        return rejected("invalid", "event.deleted_ts", "is required")
    before = event.previous_message
    if before and before.is_of_a_bot:
        return Ignored("bot")
    if before and before.subtype not in WRITTEN:
        return Ignored("subtype_not_used")
    if before and before.user and not conversation.includes(before.user):
        return Ignored("not_of_this_conversation")
    key = _id(event, stamp)
    author = Person(before.user) if before and before.user else None
    native, relationship = Native(f"message.{event.subtype}", key), conversation.relationship or ""
    return (Voided(f"deleted:{key}", epoch(event.ts), native, target=key, by=author, relationship=relationship),)


def _id(event: MessageEvent, stamp: str) -> str:
    """Retries share an event_id, but two teams or subscriptions deliver the same message under different ones."""
    return f"{event.channel}:{stamp}"


TOOL = Tool(
    name="slack",
    verify=verify,
    translate=translate,
    settings=SlackSettings,
    redact=redact,
    operator_reasons=OPERATOR_REASONS,
)
