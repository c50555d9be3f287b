"""`rapport scoring verify`: the rows in ClickHouse against the truth computed afresh from the log."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas.primitives import from_micros
from services.runtime.clickhouse import ClickHouse
from services.runtime.settings import Settings
from services.scoring.domain.bounds import NONE
from services.scoring.domain.bulk_digests import DigestRequest, digests
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.serialization import MODEL, UNCALIBRATED
from services.scoring.domain.verification import NO_ROWS, Verdict, comparable, difference
from services.scoring.flow.log_reading import Stored, full_log, stored
from services.scoring.flow.sink import await_sink, stored_digests, stored_rows
from services.scoring.topics import Topics

RELATIONSHIPS_AT_ONCE = 100
ATTEMPTS = 3
"""A log that grows during the check makes apparent differences: then the check is repeated."""
# With two programmes there would be two rows of the same instant.
_LABELS = """
SELECT concat(tenant_id, '/', relationship_id) AS relationship, groupUniqArray(program_id), groupUniqArray(model),
       countIf(calibrated = (calibration = {uncalibrated:String}))
FROM mentoring.score_history FINAL WHERE as_of <= {until:DateTime64(6, 'UTC')} GROUP BY relationship
"""

Progress = Callable[[str], None]


class NotVerifiableError(Exception):
    """There is nothing to compare yet."""


@dataclass(frozen=True)
class VerifyReport:
    until: int
    verdict: Verdict
    stale: Sequence[str]
    relationships: int


def verify(settings: Settings, until: int | None, progress: Progress) -> VerifyReport:
    """Raises NotVerifiableError, SinkBehindError, KafkaError, ClickHouseError."""
    topics = Topics.at(settings.log_epoch)
    for attempt in range(1, ATTEMPTS + 1):
        progress("reading the stored states")
        before = stored(settings, topics)
        report = _compare_all(settings, before, until, progress)
        if report.verdict.equal:
            return report
        after = stored(settings, topics)
        if before.watermarks == after.watermarks and before.stale == after.stale:
            return report
        progress(f"the log has grown meanwhile, attempt {attempt} of {ATTEMPTS} is repeated")
    return report


def _compare_all(settings: Settings, stored_states: Stored, until: int | None, progress: Progress) -> VerifyReport:
    topics, clock = Topics.at(settings.log_epoch), stored_states.clock
    if clock is None:
        raise NotVerifiableError("scoring has stored nothing yet")
    until = clock if until is None else min(until, clock)
    progress("waiting for the warehouse to store what was emitted")
    await_sink(settings, topics.scores)
    progress("reading the log")
    log = full_log(settings, topics, stored_states.watermarks)
    stale = set(stored_states.stale)
    warehouse = ClickHouse(settings)
    labels = stored_labels(warehouse, until)
    relationships = sorted((log.histories.keys() | labels.keys()) - stale)
    verdict = Verdict()
    for begin in range(0, len(relationships), RELATIONSHIPS_AT_ONCE):
        progress(f"computing and comparing, {begin} of {len(relationships)} relationships done")
        chunk = relationships[begin : begin + RELATIONSHIPS_AT_ONCE]
        # The log's facts, scored by the log's profiles. Rows are read only for the first difference.
        full_histories = [log.histories.get(name, FullHistory()) for name in chunk]
        requests = [
            DigestRequest(name, history.facts, log.profiles_of(name, history.program), until)
            for name, history in zip(chunk, full_histories, strict=True)
        ]
        table = stored_digests(warehouse, chunk, until)
        for (name, facts, profiles, _), history, true in zip(requests, full_histories, digests(requests), strict=True):
            stored_ones = table.get(name, NO_ROWS)
            verdict.add(true, stored_ones)
            if stored_ones != true and verdict.first_difference is None:
                true_rows = {at: comparable(row) for at, row in ScoreHistory(facts, profiles).rows(NONE, until).items()}
                rows = stored_rows(warehouse, [name], until).get(name, {})
                verdict.first_difference = difference(name, true_rows, rows)
            for mismatch in mismatches(labels.get(name), history.program):
                verdict.add_mismatch(name, mismatch)
    return VerifyReport(until, verdict, sorted(stale), len(relationships))


class StoredLabels(NamedTuple):
    """Values that are the same in all rows of a relationship. `contradictions`: rows in which `calibrated` contradicts
    the name of the calibration, which is compared row by row."""

    programs: Sequence[str]
    models: Sequence[str]
    contradictions: int


def stored_labels(warehouse: ClickHouse, until: int) -> dict[str, StoredLabels]:
    """For each relationship that has rows up to `until`. Raises ClickHouseError."""
    parameters = {"until": from_micros(until), "uncalibrated": UNCALIBRATED}
    return {name: StoredLabels(*labels) for name, *labels in warehouse.query(_LABELS, parameters)}


def mismatches(labels: StoredLabels | None, program: str) -> Iterator[str]:
    """The labels that differ from the truth; None: there are no rows."""
    if labels is None:
        return
    for name, true_rows, true in (("program_id", labels.programs, program), ("model", labels.models, MODEL)):
        if list(true_rows) != [true]:
            yield f"{name} is {', '.join(sorted(true_rows))} in the table, {true or 'none'} in truth"
    if labels.contradictions:
        yield f"calibrated contradicts the calibration in {labels.contradictions} rows"
