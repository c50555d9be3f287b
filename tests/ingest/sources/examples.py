"""Full payloads as vendors document them, every member filled in, of invented people: one folder per tool."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from services.ingest.domain.cloudevents import JSON, Parsed
from services.ingest.sources.registry import TOOLS
from services.ingest.sources.tool import RawPayloads, Received, Tool, ToolSettings

FOLDER = Path(__file__).parent / "examples"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MEDIA_TYPES = {".json": JSON, ".csv": "text/csv", ".multipart": 'multipart/mixed; boundary="abc"'}
# Of a person the directory holds the name, and a feed of HR is where it comes from.
HR_NAMES = frozenset({"Legal_Name", "Name", "name", "formatted", "displayName", "familyName", "givenName"})
HR_NAMES |= {"firstName", "lastName", "first_name", "last_name"}


@dataclass(frozen=True)
class Example:
    tool: Tool
    settings: ToolSettings
    name: str
    media_type: str
    body: bytes

    def payloads(self) -> list[Any]:
        """What is recorded of the request, parsed, before anything is cut of it."""
        split = self.tool.split(Received({"content-type": self.media_type}, self.body), self.settings, NOW)
        assert isinstance(split, RawPayloads), split
        parsed = [self.tool.parse(payload, split.media_type) for payload in split.payloads]
        assert all(isinstance(one, Parsed) for one in parsed)
        return [one.value for one in parsed if isinstance(one, Parsed)]


def examples() -> Iterator[Example]:
    for folder in sorted(path for path in FOLDER.iterdir() if path.is_dir()):
        tool = TOOLS[folder.name]
        file = folder / "settings.yaml"
        settings = tool.settings.model_validate(yaml.safe_load(file.read_text()) if file.exists() else {})
        for path in sorted(folder.iterdir()):
            if path.suffix in MEDIA_TYPES:
                name = f"{folder.name}/{path.name}"
                yield Example(tool, settings, name, MEDIA_TYPES[path.suffix], path.read_bytes())


def marked(value: Any, marker: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 (JSON)
    """The value with one of its texts, or one more member, in words that somebody wrote: by the path of it."""
    for path in _places(value):
        changed = copy.deepcopy(value)
        holder = changed
        for step in path[:-1]:
            holder = holder[step]
        here = holder[path[-1]] if path else changed
        if isinstance(here, dict):
            here[marker] = {marker: marker}
        else:
            holder[path[-1]] = marker
        yield ".".join(map(str, path)), changed


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    if isinstance(value, dict):
        yield path
        for name, inner in value.items():
            yield from _places(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _places(inner, (*path, index))
    elif isinstance(value, str):
        yield path
