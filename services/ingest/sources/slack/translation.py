"""Messages of people in the conversations that belong to a relationship."""

from services.ingest.domain.activity import GenericActivity, Native, Person, Translation, Voided
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.slack.model import (
    CALLBACK,
    CHANGED,
    DELETED,
    DIRECT,
    RATE_LIMITED,
    TOMBSTONE,
    WRITTEN,
    Callback,
    Conversation,
    MessageEvent,
    SlackOutline,
    SlackSettings,
)
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vendor_model import epoch, read


def translate(value: object, settings: ToolSettings) -> Translation:
    assert isinstance(settings, SlackSettings)
    outer = read(SlackOutline, value)
    if isinstance(outer, Rejected):
        return outer
    if outer.type != CALLBACK:
        return Ignored("rate_limited" if outer.type == RATE_LIMITED else "event_not_used")
    if outer.event is None:
        return rejected("invalid", "event", "is required")
    return _messages(value, settings) if outer.is_message else Ignored("event_not_used")


def _messages(value: object, settings: SlackSettings) -> Translation:
    callback = read(Callback, value)
    if isinstance(callback, Rejected):
        return callback
    if settings.teams and not settings.teams & callback.teams:
        return Ignored("other_team")
    conversation = settings.channels.get(callback.event.channel)
    return _in(conversation, callback.event) if conversation else Ignored("channel_not_mapped")


def _in(conversation: Conversation, event: MessageEvent) -> Translation:
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
    return _written(conversation, event)


def _deleted(conversation: Conversation, event: MessageEvent, stamp: str | None) -> Translation:
    """What takes back something that was ignored is ignored for the same reason."""
    if stamp is None:
        return rejected("invalid", "event.deleted_ts", "is required")
    before = event.previous_message
    if before and before.is_of_a_bot:
        return Ignored("bot")
    if before and before.subtype not in WRITTEN:
        return Ignored("subtype_not_used")
    if before and before.user and not conversation.includes(before.user):
        return Ignored("not_of_this_conversation")
    native = Native(f"message.{event.subtype}", _id(event, stamp))
    return (Voided(f"deleted:{_id(event, stamp)}", epoch(event.ts), native, target=_id(event, stamp)),)


def _written(conversation: Conversation, event: MessageEvent) -> Translation:
    if not event.user:
        return rejected("invalid", "event.user", "is required")
    if not conversation.includes(event.user):
        return Ignored("not_of_this_conversation")
    told = GenericActivity(
        key=_id(event, event.ts),
        time=epoch(event.ts),
        native=Native("message", _id(event, event.ts)),
        type="mentoring.message.sent.v1",
        data=_data(event),
        by=Person(event.user),
        people=conversation.members,
        relationship=conversation.relationship or "",
    )
    return (told,)


def _data(event: MessageEvent) -> dict[str, object]:
    """`reply_to` is the key of the message at the head of the thread; the head names itself once it is answered."""
    channel = "direct" if event.channel_type == DIRECT else "channel"
    answered = event.thread_ts if event.thread_ts != event.ts else None
    return {"channel": channel, "reply_to": _id(event, answered)} if answered else {"channel": channel}


def _id(event: MessageEvent, stamp: str) -> str:
    """A retry has the same event_id, yet two teams, or two subscriptions, get the same message under different ones."""
    return f"{event.channel}:{stamp}"
