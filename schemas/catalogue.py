"""The event catalogue for people: one Markdown page for each group of event types, generated from the models."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from schemas.catalogue_words import FIELDS, GROUPS, TypeWords
from schemas.events import ADMIN_TYPES
from schemas.models import PREFIX, models
from schemas.primitives import PATTERN_WORDS

EXAMPLES = Path(__file__).parent / "examples"
# Attributes that ingest adds, or that say where an event came from.
LEFT_OUT = frozenset({"tenant", "partitionkey", "recordedtime", "dataschema", "correlationid", "causationid"})
SOURCE, PROGRAM, RELATIONSHIP = "/calendar", "spring", "ann-and-ben"
CLOCK_REACHED = f"{PREFIX}clock.reached.v1"
HOW = """Set the gateway and a token first, as [the README](../../README.md#your-first-event) does:

    GATEWAY=http://127.0.0.1:$RAPPORT_INGEST_PORT
    TOKEN=$(rapport ingest token create --tenant acme --source /calendar)
"""
ADMIN_HOW = """
    ADMIN_TOKEN=$(rapport ingest token create --tenant acme --source /calendar --admin)
"""


class CatalogueField(NamedTuple):
    """`form`: type and bounds in words. `default`: the value if the field is omitted; None if it is required."""

    name: str
    form: str
    default: str | None
    words: str


class CatalogueEntry(NamedTuple):
    """`event`: an example that the gateway accepts from a token of SOURCE."""

    type: str
    words: TypeWords
    fields: tuple[CatalogueField, ...]
    event: Mapping[str, Any]


@cache
def entries() -> Mapping[str, tuple[CatalogueEntry, ...]]:
    """Return the entries by group, in the order of the catalogue."""
    return {
        group: tuple(_entry(f"{name}.v1", words) for name, words in types.items())
        for group, (_, types) in GROUPS.items()
    }


def pages() -> Iterator[tuple[str, str]]:
    """Yield the name and text of each file."""
    rows = [
        f"| [{group}]({group}.md): {GROUPS[group][0]} | {', '.join(f'`{one.type}`' for one in found)} |"
        for group, found in entries().items()
    ]
    yield "README.md", "\n".join([OVERVIEW, HOW, ANSWERS, "| group | types |", "|---|---|", *rows]) + "\n"
    for group, found in entries().items():
        how = HOW + (ADMIN_HOW if any(one.type in ADMIN_TYPES for one in found) else "")
        lines = [f"# {group}", GROUPS[group][0], "", how, *(line for one in found for line in _section(one))]
        yield f"{group}.md", "\n".join(lines)


def curl(entry: CatalogueEntry) -> str:
    token = "$ADMIN_TOKEN" if entry.type in ADMIN_TYPES else "$TOKEN"
    body = json.dumps(entry.event, indent=2, ensure_ascii=False)
    return (
        f'curl -sS "$GATEWAY/v1/events" -H "Authorization: Bearer {token}" \\\n'
        f"  -H 'Content-Type: application/cloudevents+json' --data @- <<'EVENT'\n{body}\nEVENT"
    )


def _entry(name: str, words: TypeWords) -> CatalogueEntry:
    schema = models()[name].model_json_schema(mode="validation", by_alias=True)
    data = _resolved(schema["properties"]["data"], schema)
    required = frozenset(data.get("required", ()))
    # Fields that are the same in every event come last.
    members = sorted(data.get("properties", {}).items(), key=lambda one: one[0] in {"by", "evidence", "origin"})
    fields = (_field(field, inner, field in required, schema) for field, inner in members)
    return CatalogueEntry(f"{PREFIX}{name}", words, tuple(fields), _event(name))


def _event(name: str) -> Mapping[str, Any]:
    event = json.loads((EXAMPLES / f"{name}.json").read_bytes())
    found = {member: value for member, value in event.items() if member not in LEFT_OUT}
    found |= {"source": SOURCE, "id": f"example-{name.removesuffix('.v1')}"}
    if "subject" in found:
        # An erased relationship accepts no more events: do not erase the pair of the other examples.
        found |= {"subject": "cam-and-dee" if "erased" in name else RELATIONSHIP, "program": PROGRAM}
    if name == "event.retracted.v1":
        found["data"] = {**found["data"], "source": SOURCE}
    return found


def _field(name: str, schema: Mapping[str, Any], required: bool, document: Mapping[str, Any]) -> CatalogueField:  # noqa: FBT001 (of the schema)
    default = schema.get("default")
    written = "" if default is None or default == "" else json.dumps(default).strip('"')
    return CatalogueField(name, _form(schema, document), None if required else written, FIELDS[name])


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    return document["$defs"][reference.rpartition("/")[2]] if reference else schema


def _form(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    found = _resolved(schema, document)
    if "anyOf" in found:
        return " or ".join(_form(one, document) for one in found["anyOf"] if one.get("type") != "null")
    if "enum" in found or "const" in found:
        return ", ".join(f"`{value}`" for value in found.get("enum", [found.get("const")]))
    match found.get("type"):
        case "array":
            return f"{found.get('minItems', 0)} to {found['maxItems']} of: {_form(found['items'], document)}"
        case "object":
            return "{" + ", ".join(found["properties"]) + "}"
        case "boolean":
            return "true or false"
        case "integer" | "number":
            return _number(found)
        case _:
            return _text(found)


def _number(schema: Mapping[str, Any]) -> str:
    kind = "an integer" if schema["type"] == "integer" else "a number"
    low = f" above {schema['exclusiveMinimum']:g}" if "exclusiveMinimum" in schema else ""
    low = f" from {schema['minimum']:g}" if "minimum" in schema else low
    return kind + low + (f" up to {schema['maximum']:g}" if "maximum" in schema else "")


def _text(schema: Mapping[str, Any]) -> str:
    if schema.get("format") == "date":
        return "a day: 2026-03-31"
    words = PATTERN_WORDS.get(schema.get("pattern", ""), "text")
    return words if "pattern" in schema else f"text, at most {schema['maxLength']}"


OVERVIEW = """# The event catalogue
All events that Rapport accepts, generated from the models by `python -m schemas.generate`. Every event is a CloudEvent:
its sender (`source`) and its id (events with the same source and id are deduplicated), what happened (`type`), when
(`time`, with its UTC offset, not in the future), the relationship (`subject`), the programme (`program`), and `data`.
Events contain ids only: no names, no addresses, no free text.
"""
ANSWERS = """The response is 202 when the event is on the log, otherwise problem details with the invalid paths. To send
several events at once, send a JSON array as `application/cloudevents-batch+json`. `GET /docs` of the gateway shows the
same catalogue; generate clients from `GET /openapi.json`.
"""


def _section(entry: CatalogueEntry) -> Iterator[str]:
    yield from (f"## {entry.type}", entry.words.means, "")
    yield f"- **Sent by**: {entry.words.sent_by}."
    yield f"- **Affects**: {entry.words.moves}."
    yield from ("", "| `data` | type | required | meaning |", "|---|---|---|---|")
    for field in entry.fields:
        required = "yes" if field.default is None else f"no; `{field.default}`" if field.default else "no"
        yield f"| `{field.name}` | {field.form} | {required} | {field.words} |"
    if entry.type != CLOCK_REACHED:
        yield from ("", "```sh", curl(entry), "```")
    yield ""
