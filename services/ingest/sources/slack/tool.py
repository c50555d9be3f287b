"""What Slack offers to the rest of ingest."""

from services.ingest.sources.slack.proof import prove
from services.ingest.sources.slack.settings import SlackSettings
from services.ingest.sources.slack.translation import translate
from services.ingest.sources.tool import Tool

# All that a message can say, in any of the shapes in which Slack repeats it, and the names of files and people.
FREE_TEXT = frozenset(
    {
        *(
            "text",
            "blocks",
            "attachments",
            "files",
            "file",
            "metadata",
            "topic",
            "purpose",
            "name",
            "username",
            "title",
        ),
        *("user_profile", "bot_profile", "icons", "root", "preview", "initial_comment", "comment", "room", "reactions"),
    }
)

# Slack holds events back for a minute then, and sends them never.
LOUD = frozenset({"rate_limited"})

TOOL = Tool(name="slack", prove=prove, translate=translate, settings=SlackSettings, free_text=FREE_TEXT, loud=LOUD)
