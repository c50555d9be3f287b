"""The settings that the page of tools shows, each put into the file of a running stack, taken up there and sent to."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import yaml

from services.ingest.sources.registry import TOOLS
from tests import plain_http
from tests.ingest.signing import SECRET, headers_of

PAGE = Path(__file__).parents[2] / "services" / "ingest" / "sources" / "README.md"
# What a tool sends, as short as it goes, where a block of the page is about what its payloads hold.
SENT = {
    "typeform": {
        "event_type": "form_response",
        "form_response": {"token": "t-1", "submitted_at": "2026-03-01T10:00:00Z"},
    },
    "xapi": {
        "id": "6a4a5e4e-6d3f-4c0e-9a55-5f3a0c8a4f10",
        "actor": {"account": {"homePage": "https://people.example.com", "name": "p-ann"}},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
        "object": {"id": "https://lms.example.com/xapi/briefing"},
    },
    "caliper": {
        "sensor": "https://lms.example.com/sensor",
        "sendTime": "2026-03-01T10:00:00.000Z",
        "dataVersion": "http://purl.imsglobal.org/ctx/caliper/v1p1",
        "data": [],
    },
    "hr": {"employees": [{"Personalnummer": "p-ann", "Name": "A. N.", "Zustand": "Aktiv", "Slack ID": "U01"}]},
    "mapping": {"event": "goals.saved", "pair": "ann-and-ben", "goals": []},
    "zoom": {"event": "meeting.started", "event_ts": 1772359200000, "payload": {}},
}


def every_block(folder: Path, shell: Callable[[str, Path], str]) -> list[tuple[str, int]]:
    """Of each block its tool, and the status with which a payload of that tool is answered."""
    text = PAGE.read_text()
    first, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    (whole,) = re.findall(r"```yaml\n(.*?)```", first, re.DOTALL)
    answers = [_answered(folder, shell, "zoom", "zoom_europe", whole)]
    for section in sections:
        tool = next((name for name in TOOLS if f"(`{name}`)" in section.splitlines()[0]), None)
        for block in re.findall(r"```yaml\n(.*?)```", section, re.DOTALL):
            assert tool, section
            account = {"id": "one", "tool": tool, "tenant": "acme", "program": "spring", "secret_file": "one.secret"}
            file = yaml.safe_dump({"connections": [account | yaml.safe_load(block)]})
            answers.append(_answered(folder, shell, tool, "one", file))
    return answers


def _answered(
    folder: Path, shell: Callable[[str, Path], str], tool: str, connection: str, file: str
) -> tuple[str, int]:
    stack = folder / ".rapport" / "up"
    (stack / "one.secret").write_text(SECRET)
    (stack / "connections.yaml").write_text(file)
    taken_up = shell(". .rapport/up/env; rapport ingest connections reload", folder)
    assert f"{tool}/{connection}: tenant acme" in taken_up, taken_up
    assert taken_up.endswith("taken up by 2 processes: 1 connections\n"), taken_up
    port = shell(". .rapport/up/env; echo $RAPPORT_INGEST_PORT", folder).strip()
    body = json.dumps(SENT[tool]).encode()
    address = f"http://127.0.0.1:{port}/v1/sources/{tool}/{connection}"
    path = "/statements" if tool == "xapi" else ""
    answer = plain_http.post(address + path, content=body, headers=headers_of(tool, body), timeout=30)
    return tool, answer.status_code
