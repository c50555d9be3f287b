"""`GET /docs`: one self-contained HTML page of the gateway's requests and events, built from the catalogue and the
OpenAPI document."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from schemas.catalogue import CLOCK_REACHED, CatalogueEntry, curl, entries
from schemas.catalogue_words import GROUPS

# The page loads, sends and runs nothing; its style is inline.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b }
table { border-collapse: collapse; width: 100% }
td, th { border: 1px solid #ccc; padding: .3rem .5rem; text-align: left }
pre { background: #f4f4f4; padding: .8rem; overflow-x: auto } code { background: #f4f4f4 } h3 { margin-top: 2.5rem }
"""
METHODS = frozenset({"get", "put", "post", "delete"})


def page(document: Mapping[str, Any]) -> str:
    """HTML. `document` is that of `/openapi.json`."""
    return "".join(
        [
            f"<!doctype html><html lang=en><meta charset=utf-8><title>Rapport gateway</title><style>{STYLE}</style>",
            "<h1>Rapport gateway</h1><p>Clients are generated from <a href=openapi.json>openapi.json</a>.</p>",
            "<h2>Ways in</h2><table><tr><th>request<th>what<th>answers</tr>",
            *_operations(document),
            "</table><h2>Events</h2><ul>",
            *(f"<li><a href='#{group}'>{group}</a>: {escape(GROUPS[group][0])}</li>" for group in GROUPS),
            "</ul>",
            *(text for group, found in entries().items() for text in _group(group, found)),
            "</html>",
        ]
    )


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method in METHODS:
                answers = "; ".join(f"{code} {one['description']}" for code, one in operation["responses"].items())
                request = f"<code>{method.upper()} {escape(path)}</code>"
                yield f"<tr><td>{request}<td>{escape(operation['summary'])}<td>{escape(answers)}</tr>"


def _group(group: str, found: tuple[CatalogueEntry, ...]) -> Iterator[str]:
    yield f"<h2 id='{group}'>{group}</h2><p>{escape(GROUPS[group][0])}</p>"
    for entry in found:
        yield f"<h3 id='{entry.type}'>{entry.type}</h3><p>{escape(entry.words.means)}</p>"
        yield f"<p>Sent by: {escape(entry.words.sent_by)}. Affects: {escape(entry.words.moves)}.</p>"
        yield "<table><tr><th>data<th>type<th>required<th>meaning</tr>"
        for field in entry.fields:
            needed = "yes" if field.default is None else f"no; {field.default}" if field.default else "no"
            cells = (field.form.replace("`", ""), needed, field.words.replace("`", ""))
            yield f"<tr><td><code>{field.name}</code>{''.join(f'<td>{escape(cell)}' for cell in cells)}</tr>"
        yield "</table>"
        if entry.type != CLOCK_REACHED:
            yield f"<pre>{escape(curl(entry))}</pre>"
