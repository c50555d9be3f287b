"""Digests of the full histories of many relationships at once, computed in columns, for `replay --dry-run` and
`verify`.

No row object is created: a row is an index into columns, and its content goes from there into the digest. The result
equals verification.digest_of of the same rows to the last bit."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.programs import Profile
from services.scoring.domain import bounds
from services.scoring.domain.bounds import DAY, ONE, UNSET
from services.scoring.domain.crossings import Instant, SilentSpan, crossing_instants, find_crossings, passed_levels
from services.scoring.domain.evaluation import (
    PARTS,
    TERMS,
    EvaluationColumns,
    Moment,
    SnapshotTable,
    evaluation_columns,
    midnights,
    score_columns,
    slopes_of,
    trend,
)
from services.scoring.domain.facts import Facts
from services.scoring.domain.kinds import FactKind
from services.scoring.domain.profiles import Parameters, Profiles
from services.scoring.domain.row import BANDS
from services.scoring.domain.score import MANY, Level
from services.scoring.domain.serialization import UNCALIBRATED
from services.scoring.domain.snapshots.snapshot import Snapshot
from services.scoring.domain.timeline import MIDNIGHT, Timeline
from services.scoring.domain.verification import NO_ROWS, RowsDigest, digest_of, words

ROWS_AT_ONCE = 20_000
"""About 50 MB of columns; larger chunks make no row cheaper. A single history is computed at once, however long it is:
7 kB for each of its facts."""
_STATUS = ("active", "paused", "ended")
_KEYED = 1 << 32
"""More than the number of days since 1970."""

Column = npt.NDArray[np.int64]


class DigestRequest(NamedTuple):
    """All facts of a relationship (`tenant/id`), and the instant up to which its rows are requested."""

    relationship: str
    facts: Facts
    profiles: Profiles
    until: int


def digests(histories: Sequence[DigestRequest]) -> list[RowsDigest]:
    """For each request, verification.digest_of of its rows."""
    found: list[RowsDigest] = []
    some: list[DigestRequest] = []
    rows = 0
    for history in histories:
        days = max(0, history.until - min(history.facts).time) // DAY if history.facts else 0
        if some and rows + days > ROWS_AT_ONCE:
            found += _digested(some)
            some, rows = [], 0
        some.append(history)
        rows += days + len(history.facts)
    return [*found, *_digested(some)]


class _Rows(NamedTuple):
    """Ordered by history and instant. For each row the number of its history, its instant, and the numbers of its
    causes, its snapshot and its status; the next booked session, UNSET if there is none."""

    history: Column
    at: Column
    cause: Column
    snapshot: Column
    status: Column
    next_session: Column


class _Timelines(NamedTuple):
    """The histories as tables: a timeline per history, None where no fact is left; every distinct snapshot and tuple of
    causes with its number; and by the identity of the parameters, to which snapshots refer, a number and the version.
    """

    timelines: list[Timeline | None]
    snapshots: dict[Snapshot, int]
    profiles: dict[int, tuple[int, Profile, Parameters]]
    causes: dict[tuple[str, ...], int]


class _Scored(NamedTuple):
    """`found`: the evaluations of all rows, followed by those of instants that are no rows but that deltas are measured
    against. `before`: for each row, the index of the evaluation before it, -1 if no fact stood then. For each
    evaluation its instant, and the number of the version that made it."""

    found: EvaluationColumns
    before: Column
    instants: Column
    made_by: Column


def _digested(histories: Sequence[DigestRequest]) -> Iterator[RowsDigest]:
    tables, rows = _read(histories)
    begins = np.searchsorted(rows.history, np.arange(len(histories) + 1))
    if not len(rows.at):
        return iter([NO_ROWS] * len(histories))
    before, of_others = _before(tables, rows)
    table = SnapshotTable(list(tables.snapshots))
    # 1. The scores.
    indexes = np.concatenate([rows.snapshot, [index for index, _ in of_others]]).astype(np.int64)
    instants = np.concatenate([rows.at, [at for _, at in of_others]]).astype(np.int64)
    made_by = np.array([tables.profiles[id(s.parameters)][0] for s in tables.snapshots])[indexes]
    slopes = np.array([slopes_of(parameters) for _, _, parameters in tables.profiles.values()]).T
    capped = np.array([bool(snapshot.reports.caps) for snapshot in tables.snapshots])
    found = evaluation_columns(slopes[:, made_by], *table.columns(indexes, instants), capped[indexes])
    # 2. Their texts and their numbers.
    scored = _Scored(found, before, instants, made_by)
    numbers, lengths = _numbers(tables, rows, scored, _trends(tables, rows, found))
    texts = _encoded_words(tables, rows, scored)
    ends = np.concatenate([[0], np.cumsum(lengths)])[begins].tolist()
    return (
        digest_of(history.relationship, texts[begin:end], numbers[first:last].tobytes())
        for history, begin, end, first, last in zip(
            histories, begins.tolist(), begins[1:].tolist(), ends, ends[1:], strict=False
        )
    )


def _read(histories: Sequence[DigestRequest]) -> tuple[_Timelines, _Rows]:
    """Find the instants that have a row: those that facts and profiles name, the midnights in between, and
    crossings."""
    tables = _Timelines([], {}, {}, {})
    spans: list[tuple[int, SilentSpan]] = []
    watched: list[tuple[SilentSpan, tuple[Level, ...]]] = []
    instants: list[tuple[int, Instant]] = []
    for number, (_, facts, profiles, until) in enumerate(histories):
        # An erasure is absorbing: it removes the whole history.
        if not facts or any(key.kind == FactKind.ERASED for key in facts):
            tables.timelines.append(None)
            continue
        timeline = Timeline(facts, profiles)
        tables.timelines.append(timeline)
        points, silent = timeline.between(timeline.index.times[0] - 1, until)
        instants += [(number, point) for point in points]
        spans += [(number, span) for span in silent]
        watched += [(span, profiles.levels[profiles.number(span.begin)]) for span in silent]
        for version, parameters in zip(profiles.versions, profiles.parameters, strict=True):
            tables.profiles.setdefault(id(parameters), (len(tables.profiles), version, parameters))
    number_of, passed = {span: number for number, span in spans}, passed_levels(watched)
    crossed = ((span, level, at) for (span, level), at in zip(passed, find_crossings(passed), strict=True))
    instants += [(number_of[span], instant) for span, instant in crossing_instants(crossed)]
    return tables, _in_order(tables, instants, spans)


def _in_order(
    tables: _Timelines, instants: Sequence[tuple[int, Instant]], spans: Sequence[tuple[int, SilentSpan]]
) -> _Rows:
    """The rows at the given instants, and at every midnight of the spans in between."""
    ones = np.array(
        [
            (
                number,
                at,
                tables.causes.setdefault(causes, len(tables.causes)),
                tables.snapshots.setdefault(snapshot, len(tables.snapshots)),
                _STATUS.index(snapshot.status(at)),
                snapshot.next_session(at),
            )
            for number, (at, causes, snapshot) in instants
        ],
        dtype=np.int64,
    ).reshape(-1, len(_Rows._fields))
    nights = np.array(
        [
            (
                number,
                span.begin // DAY,
                max(0, (span.edge - 1) // DAY - span.begin // DAY),
                tables.snapshots.setdefault(span.snapshot, len(tables.snapshots)),
                span.snapshot.next_session(span.begin),
            )
            for number, span in spans
        ],
        dtype=np.int64,
    ).reshape(-1, 5)
    counts = nights[:, 2]
    of_span = np.repeat(np.arange(len(nights)), counts)
    number, day, _, index, session = nights[of_span].T
    midnight = (day + 1 + np.arange(len(of_span)) - (np.cumsum(counts) - counts)[of_span]) * DAY
    cause = np.full(len(of_span), tables.causes.setdefault((MIDNIGHT,), len(tables.causes)))
    columns = np.hstack([ones.T, [number, midnight, cause, index, np.zeros_like(number), session]])
    return _Rows._make(columns[:, np.lexsort((columns[1], columns[0]))])


def _before(tables: _Timelines, rows: _Rows) -> tuple[Column, list[tuple[int, int]]]:
    """For each row, the index of the evaluation that its deltas are measured against: the row before, or where that is
    too old, an index behind all rows into the returned snapshots and instants; -1 if no fact stood then."""
    before = np.arange(len(rows.at)) - 1
    is_far = np.ones(len(rows.at), dtype=bool)
    is_far[1:] = (rows.history[1:] != rows.history[:-1]) | (rows.at[:-1] < rows.at[1:] - bounds.LOOKBACK)
    others: list[tuple[int, int]] = []
    for index in np.flatnonzero(is_far).tolist():
        at, snapshot = int(rows.at[index]) - bounds.LOOKBACK, None
        timeline = tables.timelines[rows.history[index]]
        assert timeline is not None, "who has rows has facts"
        if at >= timeline.index.times[0]:
            snapshot = timeline.at(at)
        if snapshot is None or not snapshot.exists:
            before[index] = -1
            continue
        before[index] = len(rows.at) + len(others)
        others.append((tables.snapshots.setdefault(snapshot, len(tables.snapshots)), at))
    return before, others


def _trends(tables: _Timelines, rows: _Rows, found: EvaluationColumns) -> Column:
    """Most of the midnights of the trends are rows."""
    is_night = rows.at % DAY == 0
    nights = rows.history[is_night] * _KEYED + rows.at[is_night] // DAY
    times = midnights(rows.at)
    wanted = [rows.history * _KEYED + time // DAY for time in times]
    firsts = np.array([timeline.index.times[0] if timeline else 0 for timeline in tables.timelines])[rows.history]
    # 1. The midnights without a row, as in a pause.
    missing = np.unique(np.concatenate([keys[time >= firsts] for keys, time in zip(wanted, times, strict=True)]))
    moments: dict[int, Moment] = {}
    for key in missing[~np.isin(missing, nights)].tolist():
        timeline, at = tables.timelines[key // _KEYED], key % _KEYED * DAY
        if timeline is not None and (snapshot := timeline.at(at)).exists:
            moments[key] = Moment(snapshot, at)
    cached_words = np.concatenate([nights, np.array(list(moments), dtype=np.int64)])
    healths = found.health[: len(rows.at)]
    kept = np.concatenate([healths[is_night], score_columns(list(moments.values())).health if moments else []])
    order = np.argsort(cached_words)
    cached_words, kept = cached_words[order], kept[order]
    # 2. All midnights.
    then, counts = [], []
    for keys in wanted:
        index = np.minimum(np.searchsorted(cached_words, keys), max(0, len(cached_words) - 1))
        is_known = cached_words[index] == keys if len(cached_words) else np.zeros(len(keys), dtype=bool)
        then.append(np.where(is_known, kept[index] if len(kept) else 0.0, 0.0))
        counts.append(is_known * 1.0)
    ones = np.ones(len(rows.at))
    slopes: Column = trend([*times, rows.at], [*then, healths * 1.0], [*counts, ones], MANY).astype(np.int64)
    return slopes


def _numbers(tables: _Timelines, rows: _Rows, scored: _Scored, trends: Column) -> tuple[Column, Column]:
    """In the order of verification.digest_of, and how many numbers each row has."""
    found, before, instants, made_by = scored
    count = len(rows.at)
    own = EvaluationColumns._make(column[..., :count] for column in found)
    is_first = before < 0
    of_snapshots = np.array(
        [
            (s.started, round(s.frame.cadence * ONE), UNSET if s.last_contact is None else s.last_contact)
            for s in tables.snapshots
        ]
    )
    of_profiles = np.array([(*parameters.weights, 0.0) for _, _, parameters in tables.profiles.values()])
    weights = np.rint(of_profiles * ONE).astype(np.int64).T
    # A factor that was not there before counts from 0; one that is gone is listed with the points it took away.
    was_shown = found.parts[:, before] & ~is_first
    shown = own.parts | was_shown
    contributions = np.where(own.parts, own.contributions, 0)
    table = np.vstack(
        [
            *(rows.at, own.health, own.risk, own.confidence, trends),
            *of_snapshots[rows.snapshot].T,
            rows.next_session,
            *(np.where(is_first, UNSET, column[before]) for column in (instants, found.health, found.risk)),
            np.where(own.parts, own.values, 0),
            np.where(own.parts, weights[:, made_by[:count]], 0),
            contributions,
            contributions - np.where(was_shown, found.contributions[:, before], 0),
            own.effects,
        ]
    )
    always = np.ones((len(table) - 4 * len(PARTS) - len(TERMS), count), dtype=bool)
    is_told = np.vstack([always, shown, shown, shown, shown, own.terms])
    return table.T[is_told.T].astype("<i8"), is_told.sum(axis=0)


def _encoded_words(tables: _Timelines, rows: _Rows, scored: _Scored) -> list[bytes]:
    """Most rows have the same words: each distinct combination is encoded once."""
    found, before, _, made_by = scored
    causes, profiles = list(tables.causes), [profile for _, profile, _ in tables.profiles.values()]
    labels: dict[tuple[tuple[str, ...], ...], int] = {}
    label_of = np.array(
        [labels.setdefault((s.reports.caps, s.reports.requests, s.sources), len(labels)) for s in tables.snapshots]
    )
    of_labels = list(labels)
    count, is_first = len(rows.at), before < 0
    shown = found.parts[:, :count] | (found.parts[:, before] & ~is_first)
    parts, terms = (np.left_shift(1, np.arange(len(mask))) @ mask for mask in (shown, found.terms[:, :count]))
    was_in = np.where(is_first, len(BANDS), found.bands[before])
    bands = (*BANDS, "")
    cached_words: dict[tuple[int, ...], bytes] = {}
    texts: list[bytes] = []
    columns = (rows.cause, found.bands[:count], label_of[rows.snapshot], parts, was_in, terms, rows.status)
    for codes in zip(*(column.tolist() for column in (*columns, made_by[:count])), strict=True):
        if codes not in cached_words:
            cause, band, label, part, then, term, status, profile = codes
            caps, requests, sources = of_labels[label]
            by = profiles[profile]
            of_scores = (bands[then], _picked(term, TERMS), _STATUS[status], requests)
            of_profile = (by.version, by.calibration or UNCALIBRATED, sources)
            cached_words[codes] = words(causes[cause], bands[band], caps, _picked(part, PARTS), *of_scores, *of_profile)
        texts.append(cached_words[codes])
    return texts


def _picked(mask: int, of_all: Sequence[str]) -> tuple[str, ...]:
    """The names whose bits are set."""
    return tuple([name for index, name in enumerate(of_all) if mask >> index & 1])
