"""A mail: plain text and HTML of the same content, and the subject that all mails of an episode share."""

import json
from html import escape

from services.notify.domain.wording import cut
from services.notify.rendering.alert_text import AlertText

LONGEST_SUBJECT = 150
"""Longer ones are cut by mail programmes, and threads fall apart where they do so differently."""


def mail(text: AlertText) -> str:
    """JSON of `subject`, `text` and `html`: the channel makes a message of it, with addresses that are not ours to
    keep."""
    return json.dumps(
        {"subject": cut(text.topic, LONGEST_SUBJECT), "text": _plain(text), "html": _html(text)},
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
        [f"… and {text.more} more"] if text.more else [],
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
    body = (
        f"<p><b>{escape(first.word)} · {first.urgency}</b></p>"
        f"<h1 style='font-size:1.2em'>{escape(first.headline)}</h1>"
        + (f"<p><b>{escape(text.act)}</b></p>" if text.act else "")
        + "".join(f"<p>{escape(words)}</p>" for words in text.paragraphs)
        + (f"<p>Why:</p><ul>{because}</ul>" if because else "")
        + (f"<dl>{facts}</dl>" if facts else "")
        + (f"<p><a href='{escape(first.link)}'>Open</a></p>" if first.link else "")
        + (f"<ol>{lines}</ol>" if lines else "")
        + (f"<p>… and {text.more} more</p>" if text.more else "")
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>{escape(first.headline)}</title></head>"
        f"<body style='font-family:sans-serif;max-width:40em'>{body}</body></html>"
    )
