"""The ids of statements, which a client may leave to us."""

import json
import re
from collections.abc import Mapping
from uuid import UUID, uuid5

# The namespace of ids that were made here.
NAMESPACE = UUID("6f1d6a3e-5f0b-5c55-9d0f-7d2b7f3a9c41")
SHAPE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def is_uuid(text: str) -> bool:
    return SHAPE.fullmatch(text.lower()) is not None


def made_id(statement: Mapping[str, object]) -> str:
    """The same statement gets the same id, so that a repeat is one. Raises RecursionError."""
    content = {name: value for name, value in statement.items() if name != "id"}
    return str(uuid5(NAMESPACE, json.dumps(content, sort_keys=True)))
