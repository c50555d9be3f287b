"""Where silence takes the score of one relationship to watched levels, in the spans of its timeline."""

from collections.abc import Sequence

import numpy as np

from services.scoring.domain.bounds import DAY, NONE, SECOND
from services.scoring.domain.crossings import Level, SilentTime, crossing, crossings, passed, passed_of_many
from services.scoring.domain.evaluation import numbers_of, score_columns, scores_at
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.score import FEW
from services.scoring.domain.snapshots.snapshot import Snapshot
from services.scoring.domain.timeline import Instant, SilentSpan

REMEMBERED = 4
"""Crossings kept for a relationship: whoever asks for what is due asks for its row next."""


class CrossingSearch:
    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles
        self._crossed: dict[tuple[Snapshot, Level], int] = {}

    def instants(self, spans: Sequence[SilentSpan]) -> list[Instant]:
        """Where levels are passed in these spans, in order."""
        # 1. Which are passed at all.
        wanted = self._passed([span for span in spans if span.last // SECOND * SECOND > span.begin])
        # 2. When. Under one snapshot a level is crossed once, wherever the search begins.
        unknown = [
            (span, level)
            for span, level in wanted
            if not span.begin < self._crossed.get((span.snapshot, level), NONE) <= span.last
        ]
        for (span, level), at in zip(unknown, _searched(unknown), strict=True):
            if at is not None:
                self._crossed[span.snapshot, level] = at
        # 3. What is crossed in the same second is one row; a midnight has its own, and the level is passed there.
        together: dict[int, tuple[Snapshot, list[str]]] = {}
        for span, level in wanted:
            at = self._crossed.get((span.snapshot, level))
            if at is not None and span.begin < at <= span.last and at % DAY != 0:
                together.setdefault(at, (span.snapshot, []))[1].append(level.cause)
        return [Instant(at, tuple(sorted(causes)), snapshot) for at, (snapshot, causes) in sorted(together.items())]

    def forget(self) -> None:
        """All but the last."""
        if len(self._crossed) > 2 * REMEMBERED:
            self._crossed = dict(list(self._crossed.items())[-REMEMBERED:])

    def forget_all(self) -> None:
        self._crossed.clear()

    def _passed(self, spans: Sequence[SilentSpan]) -> list[tuple[SilentSpan, Level]]:
        levels, number = self._profiles.levels, self._profiles.number
        if len(spans) * 2 <= FEW:
            watched = ((span, levels[number(span.begin)]) for span in spans)
            return [(span, level) for span, some in watched for level in passed(some, *map(scores_at, span.ends))]
        begin, end = (score_columns(moments) for moments in zip(*[span.ends for span in spans], strict=True))
        versions = [number(span.begin) for span in spans]
        return [
            (spans[place], level)
            for version, some in enumerate(levels)
            for place, level in passed_of_many(some, begin, end)
            if versions[place] == version
        ]


def _searched(crossed: Sequence[tuple[SilentSpan, Level]]) -> list[int | None]:
    """When each level is crossed in its span; None: only behind it."""
    if len(crossed) <= 1:
        return [
            crossing(SilentTime(one.snapshot.aging, *_silence(one)), one.begin, one.last, level)
            for one, level in crossed
        ]
    spans = [span for span, _ in crossed]
    aging = numbers_of([span.snapshot for span in spans]).aging
    active, booked = zip(*map(_silence, spans), strict=True)
    silences = SilentTime(aging, np.array(active), np.array(booked))
    begins, lasts = np.array([(span.begin, span.last) for span in spans]).T
    return crossings(silences, begins, lasts, [level for _, level in crossed])


def _silence(span: SilentSpan) -> tuple[int, float]:
    """Where it begins on the active clock, and whether a booking lies ahead."""
    return span.snapshot.active(span.begin), span.snapshot.booked(span.begin)
