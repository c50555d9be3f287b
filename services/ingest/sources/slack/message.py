"""What Slack sends of a message: new, changed or deleted."""

from typing import Annotated

from pydantic import AfterValidator, Field

from services.ingest.sources.reading import Foreign, Ident, MaybeIdent, epoch

SLACKBOT = "USLACKBOT"


def _is_moment(text: str) -> str:
    epoch(text)
    return text


# `1355517523.000005`: seconds, and what tells messages of one second apart; with the channel it is the message's id.
Stamp = Annotated[str, Field(max_length=32), AfterValidator(_is_moment)]


class Written(Foreign):
    """A message as its author knows it, also as part of a change."""

    subtype: MaybeIdent = ""
    user: MaybeIdent = ""
    bot_id: MaybeIdent = ""
    ts: Stamp | None = None

    @property
    def is_of_a_bot(self) -> bool:
        return bool(self.bot_id) or self.user == SLACKBOT or self.subtype == "bot_message"


class MessageEvent(Written):
    channel: Ident
    channel_type: MaybeIdent = ""
    ts: Stamp
    thread_ts: Stamp | None = None
    deleted_ts: Stamp | None = None
    message: Written | None = None
    previous_message: Written | None = None


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
