"""What Slack sends of a message: new, changed or deleted."""

from typing import Annotated

from pydantic import AfterValidator, Field

from services.ingest.domain.tools.leaves import TIME, one_of
from services.ingest.sources.reading import Foreign, Ident, MaybeIdent, epoch

SLACKBOT = "USLACKBOT"
CALLBACK, RATE_LIMITED, MESSAGE = "event_callback", "app_rate_limited", "message"
# What people write themselves; every other subtype is a note of Slack's about the channel.
WRITTEN = frozenset({"", "file_share", "thread_broadcast", "me_message"})
DELETED, CHANGED, BOT_MESSAGE = "message_deleted", "message_changed", "bot_message"
# Left in place of a deleted message that has answers.
TOMBSTONE = "tombstone"
DIRECT = "im"


def _is_moment(text: str) -> str:
    epoch(text)
    return text


# `1355517523.000005`: seconds, and what tells messages of one second apart; with the channel it is the message's id.
Stamp = Annotated[str, Field(max_length=32), AfterValidator(_is_moment), TIME]
# Of any other subtype it suffices that it is another.
Subtype = Annotated[MaybeIdent, one_of(*WRITTEN, DELETED, CHANGED, BOT_MESSAGE, TOMBSTONE)]


class Written(Foreign):
    """A message as its author knows it, also as part of a change."""

    subtype: Subtype = ""
    user: MaybeIdent = ""
    bot_id: MaybeIdent = ""
    ts: Stamp | None = None

    @property
    def is_of_a_bot(self) -> bool:
        return bool(self.bot_id) or self.user == SLACKBOT or self.subtype == BOT_MESSAGE


class MessageEvent(Written):
    channel: Ident
    channel_type: Annotated[MaybeIdent, one_of(DIRECT, "mpim", "channel", "group")] = ""
    ts: Stamp
    thread_ts: Stamp | None = None
    deleted_ts: Stamp | None = None
    message: Written | None = None
    previous_message: Written | None = None

    @property
    def is_about_another(self) -> bool:
        """`message_replied` comes without its subtype: it holds the message that was answered, and nobody wrote it."""
        return self.message is not None and not self.user


class Happening(Foreign):
    type: Annotated[Ident, one_of(MESSAGE)]


class Outline(Foreign):
    """As much as tells whether it is a message. `app_rate_limited` and `url_verification` have no event inside."""

    type: Annotated[Ident, one_of(CALLBACK, RATE_LIMITED)]
    event: Happening | None = None

    @property
    def is_message(self) -> bool:
        return self.type == CALLBACK and self.event is not None and self.event.type == MESSAGE


class Callback(Foreign):
    """Around each event. In an enterprise grid or a shared channel the same event may come from several teams."""

    team_id: MaybeIdent = ""
    enterprise_id: MaybeIdent = ""
    context_team_id: MaybeIdent = ""
    context_enterprise_id: MaybeIdent = ""
    event: MessageEvent

    @property
    def teams(self) -> frozenset[str]:
        return frozenset({self.team_id, self.enterprise_id, self.context_team_id, self.context_enterprise_id})
