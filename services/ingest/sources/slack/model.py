"""What Slack sends of messages, and which conversations are those of a relationship: Slack itself tells who writes,
never who reads."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from schemas.primitives import Id
from services.ingest.domain.activity import Person
from services.ingest.domain.tools.allow_list import TIME, one_of
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vendor_model import Ident, MaybeIdent, VendorModel, epoch


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

    @property
    def members(self) -> tuple[Person, ...]:
        return tuple(Person(user) for user in self.people)

    def includes(self, user: str) -> bool:
        return not self.people or user in self.people


class SlackSettings(ToolSettings):
    """`channels`: by Slack's id (C, G or D and more), also of direct messages. `teams`: ids of the workspaces or of the
    enterprise that may speak here; empty means whoever installed the app."""

    channels: Mapping[Ident, Conversation] = Field(default_factory=dict)
    teams: frozenset[Ident] = frozenset()


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


class SlackMessage(VendorModel):
    """A message as its author knows it, also as part of a change."""

    subtype: Subtype = ""
    user: MaybeIdent = ""
    bot_id: MaybeIdent = ""
    ts: Stamp | None = None

    @property
    def is_of_a_bot(self) -> bool:
        return bool(self.bot_id) or self.user == SLACKBOT or self.subtype == BOT_MESSAGE


class MessageEvent(SlackMessage):
    channel: Ident
    channel_type: Annotated[MaybeIdent, one_of(DIRECT, "mpim", "channel", "group")] = ""
    ts: Stamp
    thread_ts: Stamp | None = None
    deleted_ts: Stamp | None = None
    message: SlackMessage | None = None
    previous_message: SlackMessage | None = None

    @property
    def is_about_another(self) -> bool:
        """`message_replied` comes without its subtype: it holds the message that was answered, and nobody wrote it."""
        return self.message is not None and not self.user


class Happening(VendorModel):
    type: Annotated[Ident, one_of(MESSAGE)]


class SlackOutline(VendorModel):
    """As much as tells whether it is a message. `app_rate_limited` and `url_verification` have no event inside."""

    type: Annotated[Ident, one_of(CALLBACK, RATE_LIMITED)]
    event: Happening | None = None

    @property
    def is_message(self) -> bool:
        return self.type == CALLBACK and self.event is not None and self.event.type == MESSAGE


class Callback(VendorModel):
    """Around each event. In an enterprise grid or a shared channel the same event may come from several teams."""

    team_id: MaybeIdent = ""
    enterprise_id: MaybeIdent = ""
    context_team_id: MaybeIdent = ""
    context_enterprise_id: MaybeIdent = ""
    event: MessageEvent

    @property
    def teams(self) -> frozenset[str]:
        return frozenset({self.team_id, self.enterprise_id, self.context_team_id, self.context_enterprise_id})
