"""Damaged payloads of a tool: parts missing, null, of another type, extreme, or misplaced."""

import copy
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from services.ingest.domain.activity import Employed, Pointer, Statement
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.tool import Tool, ToolSettings

ABSURD: tuple[object, ...] = (
    *(None, True, False, 0, -1, 10**30, 1.5, -1e300, float("nan"), float("inf"), "", " ", "\u0000", "x" * 100_000),
    *("NaN", "1e999", "9" * 400, "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-13-45T99:99:99Z"),
    *("2026-03-01T10:00:00", "2026-02-30T10:00:00Z", "2026-03-01", "1735689600", 1735689600, 1735689600000, "@", "a@b"),
    *("💥", [], {}, [[]], [None], [{}], {"": ""}, {"id": {}}, "meeting.created", "message", [1, "2", {"3": None}]),
)


@st.composite
def mutated(draw: st.DrawFn, samples: Sequence[Any]) -> Any:  # noqa: ANN401 (JSON)
    """One of the samples, changed in up to five places."""
    holder = {"": copy.deepcopy(draw(st.sampled_from(samples)))}
    for _ in range(draw(st.integers(1, 5))):
        places = list(_places(holder))
        parent, name = places[draw(st.integers(0, len(places) - 1))]
        _change(draw, parent, name)
    return holder.get("")


def translated(tool: Tool, value: object, settings: ToolSettings) -> str:
    """What has become of it, after a check that it is something that the rest of ingest can take."""
    result = tool.translate(value, settings)
    if isinstance(result, Ignored | Pointer):
        return "ignored" if isinstance(result, Ignored) else "pointer"
    if isinstance(result, Rejected):
        assert result.errors
        assert all(error.reason for error in result.errors)
        return "rejected"
    assert result
    for statement in result:
        _is_sound(statement)
    return "said"


def _is_sound(statement: Statement) -> None:
    assert isinstance(statement, Employed) or statement.key
    assert statement.time.utcoffset() == timedelta(0)
    assert len(statement.native.id) <= 256
    assert len(statement.native.type) <= 128
    assert "@" not in statement.native.id


def _places(value: Any) -> Any:  # noqa: ANN401
    names = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for name in names:
        yield value, name
        yield from _places(value[name])


def _change(draw: st.DrawFn, parent: Any, name: Any) -> None:  # noqa: ANN401
    match draw(st.sampled_from(["replace", "remove", "wrap", "invent"])):
        case "replace":
            parent[name] = copy.deepcopy(draw(st.sampled_from(ABSURD)))
        case "remove" if isinstance(parent, dict) and name:
            del parent[name]
        case "wrap":
            parent[name] = draw(st.sampled_from([[parent[name]], {"object": parent[name]}, str(parent[name])]))
        case _:
            parent[name] = draw(st.text(max_size=8) | st.integers() | st.floats())
