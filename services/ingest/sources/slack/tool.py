"""What Slack offers to the rest of ingest."""

from services.ingest.domain.pseudonym import Pseudonym
from services.ingest.domain.tools.allow_list import allow_list
from services.ingest.sources.reading import read
from services.ingest.sources.slack.message import Callback, Outline
from services.ingest.sources.slack.proof import prove
from services.ingest.sources.slack.settings import SlackSettings
from services.ingest.sources.slack.translation import translate
from services.ingest.sources.tool import Tool, ToolSettings

# Slack holds events back for a minute then, and sends them never.
LOUD = frozenset({"rate_limited"})


def keep(payload: object, _settings: ToolSettings, pseudonym: Pseudonym) -> object:
    """Of a message who wrote where and when, never what or under which name; of any other event only that it is
    another."""
    outline = read(Outline, payload)
    models = (Outline, Callback) if isinstance(outline, Outline) and outline.is_message else (Outline,)
    return allow_list(*models).kept(payload, pseudonym)


TOOL = Tool(name="slack", prove=prove, translate=translate, settings=SlackSettings, keep=keep, loud=LOUD)
