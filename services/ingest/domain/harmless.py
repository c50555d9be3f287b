"""Bytes from anybody, as text that can do nothing to a terminal."""

import json

from services.ingest.domain.strict_json import Parsed, read_json


def harmless(text: str) -> str:
    """One line: what does not print, escape sequences and turned-around text among it, is written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def shown(value: bytes, most: int) -> str:
    """At most so many characters, JSON over several lines; says how much is left out."""
    parsed = read_json(value)
    text = json.dumps(parsed.value, indent=2, ensure_ascii=False) if isinstance(parsed, Parsed) else _text(value)
    lines = "\n".join(map(harmless, text[:most].split("\n")))
    return f"{lines}\n... {len(text) - most} more characters" if len(text) > most else lines


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")
