"""A file of CloudEvents, one JSON per line, read by all cores."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np

from services.scoring.domain.bounds import NONE
from services.scoring.fast.lines import LineError, Rows, rows_of

CHUNK = 8 << 20
"""Bytes that a process takes at once: a tenth of a second of work."""

Progress = Callable[[int], None]
"""Told the bytes that were read, chunk by chunk."""


class Span(NamedTuple):
    """Whole lines of a file."""

    begin: int
    end: int


class Part(NamedTuple):
    """The rows of a span, positions counted from its first line; or what is wrong with the line so far behind it."""

    rows: Rows | None
    lines: int
    fault: str = ""


def rows_of_file(path: Path, progress: Progress = lambda _: None) -> Rows:
    """All facts of the file; positions are the numbers of lines, from 0. Raises LineError, which names file and line,
    and OSError."""
    spans = list(_spans(path))
    if len(spans) < 2:  # noqa: PLR2004 (a pool is worth its start from two spans on)
        return _joined(path, [_told(_part(path, span), span, progress) for span in spans])
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        parts = pool.map(_part, [path] * len(spans), spans)
        return _joined(path, [_told(part, span, progress) for part, span in zip(parts, spans, strict=True)])


def _spans(path: Path) -> Iterator[Span]:
    size, begin = path.stat().st_size, 0
    with path.open("rb") as file:
        while begin < size:
            file.seek(begin + CHUNK)
            file.readline()
            end = min(size, file.tell())
            yield Span(begin, end)
            begin = end


def _part(path: Path, span: Span) -> Part:
    with path.open("rb") as file:
        file.seek(span.begin)
        lines = file.read(span.end - span.begin).split(b"\n")
    if not lines[-1]:
        lines.pop()
    try:
        return Part(rows_of(lines), len(lines))
    except LineError as invalid:
        return Part(None, invalid.line, invalid.reason)


def _told(part: Part, span: Span, progress: Progress) -> Part:
    progress(span.end - span.begin)
    return part


def _joined(path: Path, parts: Sequence[Part]) -> Rows:
    """One after another, as if they had been read as one."""
    before, rows = 0, []
    for part in parts:
        if part.rows is None:
            raise LineError(before + part.lines, f"{path}: {part.fault}")
        rows.append(_from(part.rows, before))
        before += part.lines
    return _all(rows) if rows else rows_of([])


def _from(rows: Rows, before: int) -> Rows:
    return rows._replace(position=np.where(rows.position == NONE, NONE, rows.position + before))


def _all(parts: Sequence[Rows]) -> Rows:
    places: dict[str, int] = {}
    for part in parts:
        for name in part.names:
            places.setdefault(name, len(places))
    pair = [np.array([places[name] for name in part.names], dtype=np.int64)[part.pair] for part in parts]
    rest = {
        field: np.concatenate([getattr(part, field) for part in parts])
        for field in Rows._fields
        if field not in {"names", "pair", "uid"}
    }
    return Rows(list(places), np.concatenate(pair), uid=b"".join(part.uid for part in parts), **rest)
