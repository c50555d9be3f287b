"""The gate: what a sender handed in, completed and judged."""

import json
from collections.abc import Mapping

from pydantic import ValidationError

from schemas import events
from schemas.events import MENTORING_EVENT, MentoringEvent, partition_key
from schemas.payloads import ClockReached, EventRetracted
from schemas.primitives import to_rfc3339
from services.ingest.domain.catalogue import CLOCK_REACHED, refused_type
from services.ingest.domain.clock import Clock
from services.ingest.domain.cloudevents.json_format import normal_form
from services.ingest.domain.cloudevents.screening import Screened, screened
from services.ingest.domain.pseudonym import Pseudonym, pseudonym_of
from services.ingest.domain.scope import Home, Scope, out_of_scope, unknown
from services.ingest.domain.verdict import Admitted, Rejected, Verdict, rejected
from services.ingest.domain.wording import explain

# Of a relationship's id: a longer subject is refused as subject, not once more as partitionkey.
LONGEST_ID = 128
# A fault of each member takes time: with a mebibyte of unknown ones, half a second in one piece.
MOST_MEMBERS = 2_000


def admit(raw: object, scope: Scope, clock: Clock, home: Home = unknown, pseudonym: Pseudonym | None = None) -> Verdict:
    """`raw` is one parsed CloudEvent of the JSON format. `recordedtime` is ours whatever it says; `tenant` and
    `partitionkey` may be left out. `home` is asked where the scope is limited to programmes. `pseudonym` of the scope's
    tenant replaces ids that may be text; without it they are refused."""
    if not isinstance(raw, dict):
        return rejected("malformed", "", f"an event is a JSON object, not {_kind(raw)}")
    normal = normal_form(raw)
    if isinstance(normal, Rejected):
        return normal
    # What we say ourselves was made of such ids before.
    found = Screened(normal, 0) if scope.internal else screened(normal, pseudonym or pseudonym_of("", scope.tenant))
    if isinstance(found, Rejected):
        return found
    given = found.event
    if refusal := refused_type(given.get("type"), scope, clock):
        return refusal
    # Our model has it as a default, the specification has not: without it this is no CloudEvent.
    if "specversion" not in given:
        return rejected("invalid", "specversion", "is required")
    event = _validated(_completed(given, scope, clock))
    if isinstance(event, Rejected):
        return event
    refused = out_of_scope(event, scope, home) or _refusal(event, clock)
    return refused or Admitted(_recorded(event, clock), found.dropped)


def _kind(value: object) -> str:
    return "an array" if isinstance(value, list) else "a single value"


def _completed(given: Mapping[str, object], scope: Scope, clock: Clock) -> dict[str, object]:
    ours: dict[str, object] = {"tenant": scope.tenant}
    if given["type"] != CLOCK_REACHED:
        ours["partitionkey"] = partition_key(scope.tenant, str(given.get("subject"))[:LONGEST_ID])
    return {**ours, **given, "recordedtime": to_rfc3339(clock.now)}


def _validated(attributes: Mapping[str, object]) -> MentoringEvent | Rejected:
    try:
        # Back to text, because only from JSON does a strict model read times and tuples.
        text = json.dumps(attributes)
        if text.count(",") > MOST_MEMBERS:
            return rejected("invalid", "", f"holds more than {MOST_MEMBERS:,} values: no event of the catalogue does")
        return MENTORING_EVENT.validate_json(text)
    except RecursionError:
        return rejected("malformed", "", "is nested too deeply")
    except ValidationError as invalid:
        return Rejected("invalid", explain(invalid))


def _refusal(event: MentoringEvent, clock: Clock) -> Rejected | None:
    return _misplaced(event) or _ahead(event, clock)


def _misplaced(event: MentoringEvent) -> Rejected | None:
    if event.type == "mentoring.clock.reached.v1" or event.partitionkey == partition_key(event.tenant, event.subject):
        return None
    return rejected("invalid", "partitionkey", "must be tenant/subject, or left out")


def _ahead(event: MentoringEvent, clock: Clock) -> Rejected | None:
    if clock.is_ahead(event.time):
        return rejected("future", "time", "lies in the future; an effective date belongs into data")
    # A retraction of what has not happened, or a clock ahead of the world, would lie in wait on the log.
    if isinstance(event.data, EventRetracted | ClockReached) and clock.is_ahead(event.data.time):
        return rejected("future", "data.time", "lies in the future")
    return None


def _recorded(event: MentoringEvent, clock: Clock) -> MentoringEvent:
    if event.type == "mentoring.clock.reached.v1":
        return _known_until(event)
    recorded = clock.recorded(event.time)
    return event if recorded == event.recordedtime else event.model_copy(update={"recordedtime": recorded})


def _known_until(event: events.ClockReached) -> events.ClockReached:
    """Everything but the source follows from the instant, so that a repeated import says the same again."""
    time = event.data.time
    return event.model_copy(update={"id": f"clock-reached-{to_rfc3339(time)}", "time": time, "recordedtime": time})
