"""Renders the body of a delivery for its channel: a mail in plain text and HTML, Slack blocks, or a Teams card, each
within the limits of its receiver. It is rendered when first sent: what was held over night has the values of the
morning, and erased names are gone."""

import json
from html import escape
from typing import Any, assert_never

from schemas.alerts import MAX_BODY, MAX_PEOPLE, Delivery
from services.notify.domain.name_book import NameBook
from services.notify.domain.wording import truncate
from services.notify.rendering.alert_text import AlertText, Headline, alert_text
from services.notify.rendering.machines import pagerduty_event, webhook_body

LONGEST_SUBJECT = 150
"""Mail programs cut longer subjects, and threads break where they do so differently."""
SLACK_TEXT, SLACK_HEADER, SLACK_BLOCKS = 3_000, 150, 50
"""Characters of a section and of a header, and blocks of a message: Slack refuses a message with one more."""
TEAMS_BYTES = 20_000
"""Bytes of a card; Teams refuses a post at 28 kB, counted after wrapping."""
CARD_VERSION = "1.2"
"""Of the Adaptive Card: clients do not show a card of an unknown version."""


class Renderer:
    """`link`: the page of a relationship; `board`: the address of the board, which shows what a list only counts."""

    def __init__(self, people: NameBook, link: str | None, board: str | None = None) -> None:
        self._people, self._link, self._board = people, link, board

    def render(self, delivery: Delivery) -> Delivery:
        """Render the body. Names are in mail and chat only; machines get ids."""
        match delivery.channel:
            case "log":
                return delivery.model_copy(update={"body": delivery.alert.summary})
            case "webhook":
                return delivery.model_copy(update={"body": webhook_body(delivery, self._link)})
            case "pagerduty":
                return delivery.model_copy(update={"body": pagerduty_event(delivery, self._link)})
            case "smtp" | "slack" | "teams" as channel:
                found = alert_text(delivery, self._people, self._link, self._board)
                text = {"smtp": render_mail, "slack": render_slack, "teams": render_teams}[channel](found)
                assert len(text) <= MAX_BODY, "each channel keeps within its own bounds, which are lower"
                return delivery.model_copy(update={"body": text, "people": found.people[:MAX_PEOPLE]})
            case _:
                assert_never(delivery.channel)


def render_mail(text: AlertText) -> str:
    """Return JSON of `subject`, `text` and `html`: the channel builds the mail, with addresses that are not stored."""
    return json.dumps(
        {"subject": truncate(text.topic, LONGEST_SUBJECT), "text": _plain(text), "html": _html(text)},
        ensure_ascii=False,
    )


def _plain(text: AlertText) -> str:
    first = text.first
    listed = [
        [f"- {one.urgency} {one.word}: {one.headline}", f"  {one.details}", *([f"  {one.link}"] if one.link else [])]
        for one in text.lines
    ]
    blocks = [
        [f"{first.word.upper()} · {first.urgency}: {text.opening}"],
        list(text.paragraphs),
        ["Why:", *(f"- {because}" for because in text.because)] if text.because else [],
        [f"{name}: {words}" for name, words in text.facts],
        [first.link] if first.link else [],
        *listed,
        [f"… and {text.more} more" + (f": {first.link}" if first.link else "")] if text.more else [],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _html(text: AlertText) -> str:
    first = text.first
    because = "".join(f"<li>{escape(words)}</li>" for words in text.because)
    facts = "".join(f"<dt><b>{escape(name)}</b></dt><dd>{escape(words)}</dd>" for name, words in text.facts)
    lines = ""
    for one in text.lines:
        words = escape(f"{one.urgency} {one.word}: {one.headline}")
        linked = f"<a href='{escape(one.link)}'>{words}</a>" if one.link else words
        lines += f"<li>{linked}<br>{escape(one.details)}</li>"
    more = f"… and {text.more} more"
    if first.link:
        more = f"<a href='{escape(first.link)}'>{more}</a>"
    body = (
        f"<p><b>{escape(first.word)} · {first.urgency}</b></p>"
        f"<h1 style='font-size:1.2em'>{escape(first.headline)}</h1>"
        + (f"<p><b>{escape(text.act)}</b></p>" if text.act else "")
        + "".join(f"<p>{escape(words)}</p>" for words in text.paragraphs)
        + (f"<p>Why:</p><ul>{because}</ul>" if because else "")
        + (f"<dl>{facts}</dl>" if facts else "")
        + (f"<p><a href='{escape(first.link)}'>Open</a></p>" if first.link else "")
        + (f"<ol>{lines}</ol>" if lines else "")
        + (f"<p>{more}</p>" if text.more else "")
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>{escape(first.headline)}</title></head>"
        f"<body style='font-family:sans-serif;max-width:40em'>{body}</body></html>"
    )


def render_slack(text: AlertText) -> str:
    first, paragraphs, lines = text.first, map(_escaped, text.paragraphs), list[str]()
    for one in text.lines:
        words = _escaped(f"{one.urgency} {one.word}: {one.headline}")
        lines.append(f"{f'<{_escaped(one.link)}|{words}>' if one.link else words}\n{_escaped(one.details)}")
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": truncate(first.headline, SLACK_HEADER), "emoji": False},
        },
        _section("\n".join([f"*{first.word} · {first.urgency}* {_escaped(text.act)}".rstrip(), *paragraphs])),
        *([_section("*Why*\n" + "\n".join(f"• {_escaped(one)}" for one in text.because))] if text.because else []),
        *([_section("\n".join(f"*{name}:* {_escaped(words)}" for name, words in text.facts))] if text.facts else []),
        *([_section(f"<{_escaped(first.link)}|Open>")] if first.link else []),
        *map(_section, lines),
        *([_section(f"… and {text.more} more")] if text.more else []),
    ]
    return json.dumps({"text": _escaped(text.opening), "blocks": blocks[:SLACK_BLOCKS]}, ensure_ascii=False)


def render_teams(text: AlertText) -> str:
    """Render a Teams card; listed alerts that do not fit are counted only."""
    shown = len(text.lines)
    while True:
        card = _posted_card(text, text.lines[:shown], text.more + len(text.lines) - shown)
        if len(card.encode()) <= TEAMS_BYTES or not shown:
            return card
        shown -= 1


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": truncate(text, SLACK_TEXT)}}


def _escaped(text: str) -> str:
    """Escape Slack's control characters: otherwise a name could become a link or mention a channel."""
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


def _paragraph(text: str, **style: str) -> dict[str, Any]:
    """A rich text block: a text block would read a name as Markdown, with links of its own."""
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}
