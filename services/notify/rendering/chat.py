"""Slack's blocks and Teams' card, each within the limits of its receiver."""

import json
from typing import Any

from services.notify.domain.wording import cut
from services.notify.rendering.alert_text import AlertText, Headline

SLACK_TEXT, SLACK_HEADER, SLACK_BLOCKS = 3_000, 150, 50
"""Characters of a section and of a header, and blocks of a message: one more, and Slack refuses all of it."""
TEAMS_BYTES = 20_000
"""Of a card; at 28 kB, counted after Teams has wrapped it, a post is refused."""
CARD_VERSION = "1.2"
"""Of the Adaptive Card: clients show nothing of a card whose version they do not know."""


def slack(text: AlertText) -> str:
    first, paragraphs, lines = text.first, map(_escaped, text.paragraphs), list[str]()
    for one in text.lines:
        words = _escaped(f"{one.urgency} {one.word}: {one.headline}")
        lines.append(f"{f'<{_escaped(one.link)}|{words}>' if one.link else words}\n{_escaped(one.details)}")
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": cut(first.headline, SLACK_HEADER), "emoji": False}},
        _section("\n".join([f"*{first.word} · {first.urgency}* {_escaped(text.act)}".rstrip(), *paragraphs])),
        *([_section("*Why*\n" + "\n".join(f"• {_escaped(one)}" for one in text.because))] if text.because else []),
        *([_section("\n".join(f"*{name}:* {_escaped(words)}" for name, words in text.facts))] if text.facts else []),
        *([_section(f"<{_escaped(first.link)}|Open>")] if first.link else []),
        *map(_section, lines),
        *([_section(f"… and {text.more} more")] if text.more else []),
    ]
    return json.dumps({"text": _escaped(text.opening), "blocks": blocks[:SLACK_BLOCKS]}, ensure_ascii=False)


def teams(text: AlertText) -> str:
    """Without what it lists besides where the card would become too large; then it says how many there are."""
    shown = len(text.lines)
    while True:
        card = _posted_card(text, text.lines[:shown], text.more + len(text.lines) - shown)
        if len(card.encode()) <= TEAMS_BYTES or not shown:
            return card
        shown -= 1


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": cut(text, SLACK_TEXT)}}


def _escaped(text: str) -> str:
    """Slack's three characters of control: without them a name is neither a link nor a mention of a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _posted_card(text: AlertText, lines: tuple[Headline, ...], more: int) -> str:
    first = text.first
    because = [_paragraph("Why", weight="Bolder"), *(_paragraph(f"• {one}") for one in text.because)]
    body = [
        _paragraph(f"{first.word} · {first.urgency}", weight="Bolder"),
        _paragraph(first.headline, size="Large"),
        *([_paragraph(text.act, weight="Bolder")] if text.act else []),
        *map(_paragraph, text.paragraphs),
        *(because if text.because else []),
        *(_paragraph(f"{name}: {words}") for name, words in text.facts),
        *(_paragraph(f"{line.urgency} {line.word}: {line.headline}. {line.details}") for line in lines),
        *([_paragraph(f"… and {more} more")] if more else []),
    ]
    actions = [{"type": "Action.OpenUrl", "title": "Open", "url": first.link}] if first.link else []
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": CARD_VERSION,
        "body": body,
        "actions": actions,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return json.dumps({"type": "message", "attachments": [attachment]}, ensure_ascii=False)


def _paragraph(text: str, **look: str) -> dict[str, Any]:
    """Of rich text: a text block would read a name as Markdown, with links of its own."""
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **look}]}
