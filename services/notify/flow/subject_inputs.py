"""What programmes expect, how far sources have spoken, and which rules were applied: from their topics to
where it is decided."""

from pydantic import ValidationError

from schemas.programs import Programme, SourceWatermark
from schemas.rule_faults import unwatched
from schemas.rule_sets import RULE_EVENT
from services.notify.domain.rule_book import RuleBook
from services.notify.domain.shared_alerts import SharedAlerts
from services.notify.flow.report import Metrics
from services.notify.names import Names
from services.runtime import log
from services.runtime.kafka import Record
from services.runtime.unexpected import described
from services.validation_errors import places

LONGEST_SHOWN = 100
"""A key may have a megabyte."""


class SubjectInputs:
    """The topics are read to their end before anything is decided, and as they grow from there on; twice is as once."""

    def __init__(self, rules: RuleBook, shared: SharedAlerts, names: Names, metrics: Metrics) -> None:
        self._rules, self._shared, self._names, self._metrics = rules, shared, names, metrics
        self._applied_to: dict[tuple[str, int], int] = {}

    @property
    def topics(self) -> list[str]:
        return [self._names.programs, self._names.sources, self._names.rules]

    def apply(self, record: Record) -> None:
        """What cannot be read is told, once, and what was known before stands."""
        partition = (record.topic, record.partition)
        if record.offset <= self._applied_to.get(partition, -1):
            return
        self._applied_to[partition] = record.offset
        try:
            self._apply(record)
        except ValidationError as invalid:
            self._leave_out(record, "; ".join(places(invalid)))
        except Exception as failure:  # noqa: BLE001 (told; whatever it was, the next record is read)
            self._leave_out(record, str(described(failure)))

    def _apply(self, record: Record) -> None:
        if record.topic == self._names.rules:
            self._rules.apply(RULE_EVENT.validate_json(record.value or b""))
        elif record.topic == self._names.sources:
            if record.value is not None:
                self._shared.mark(SourceWatermark.model_validate_json(record.value))
        elif record.value is not None:
            programme = Programme.model_validate_json(record.value)
            self._shared.describe(programme)
            self._check_levels(programme)
        else:
            tenant, _, program = (record.key or b"").decode(errors="replace").partition("/")
            self._shared.undescribe(tenant, program)

    def _check_levels(self, programme: Programme) -> None:
        """A level that no row crosses fires late: with the next row of the pair, at midnight at the latest."""
        watch = programme.profiles[-1].watch
        rules = self._rules.in_force((programme.tenant, programme.id), programme.recordedtime).rules
        found = [f"{rule.name}: {gap}" for rule in rules for gap in unwatched(rule, watch)]
        if found:
            log.get(__name__).warning(
                "levels_unwatched", tenant=programme.tenant, program=programme.id, levels="; ".join(found)
            )

    def _leave_out(self, record: Record, reason: str) -> None:
        self._metrics.inputs_unreadable.labels(record.topic).inc()
        log.get(__name__).error(
            "input_unreadable",
            topic=record.topic,
            key=(record.key or b"").decode(errors="replace")[:LONGEST_SHOWN],
            offset=record.offset,
            reason=reason,
        )
