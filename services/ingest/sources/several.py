"""What a payload that holds several things says as a whole."""

from collections.abc import Iterable

from services.ingest.domain.tools.said import Said, Translation
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.reading import within

EMPTY = Ignored("empty")


def as_one(parts: Iterable[tuple[str, Translation]]) -> Translation:
    """`parts` are translations and their paths. The first that is at fault rejects the whole; if none says anything,
    the first reason stands for all."""
    said: list[Said] = []
    ignored: list[Ignored] = []
    for path, part in parts:
        match part:
            case Rejected():
                return within(path, part)
            case Ignored():
                ignored.append(part)
            case tuple():
                said += part
            case _:
                raise TypeError("no tool that sends several things sends pointers")
    return tuple(said) or (ignored[0] if ignored else EMPTY)
