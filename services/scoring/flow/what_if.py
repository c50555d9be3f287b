"""Inputs of `rapport scoring what-if`: the full log, the profiles that score it, and the file of candidates."""

import json
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from schemas.events import partition_key
from schemas.primitives import Message
from schemas.programs import Profile, Programme
from services.runtime.settings import Settings
from services.runtime.strict_yaml import UnreadableError, documents
from services.scoring.domain.profiles import without_start
from services.scoring.domain.what_if import Candidates, TrialSpan
from services.scoring.flow.log_reading import FullLog, full_log, stored
from services.scoring.topics import Topics

UNNAMED = "what-if"
NEVER = "1971-01-01T00:00:00Z"
"""The recorded time of a programme in a file."""
Record = TypeVar("Record", bound=Message)


class ProfileFileError(Exception):
    """The file holds no usable profile; the message names the location and the reason."""


class NothingScoredError(Exception):
    """There is no history on which to try a profile."""


def read_candidates(file: Path) -> Candidates:
    """From a file as `rapport programs apply` takes it, the newest version of each programme; or one profile by itself,
    tried on all programmes: missing fields have their defaults, `version` is not needed, and `effective_from` is
    ignored. Raises ProfileFileError."""
    try:
        read = documents(file)
    except UnreadableError as broken:
        raise ProfileFileError(str(broken)) from broken
    found = [one for document in read for one in (document if isinstance(document, list) else [document])]
    records = [record for record in found if isinstance(record, dict)]
    if not records or len(records) < len(found):
        raise ProfileFileError(f"{file}: a profile, or a programme, is one mapping of names to values")
    if any("profiles" in record or "tenant" in record for record in records):
        programmes = [_parsed(file, Programme, {"recordedtime": NEVER, **record}) for record in records]
        return Candidates(of_program={partition_key(p.tenant, p.id): without_start(p.profiles[-1]) for p in programmes})
    if len(records) > 1:
        raise ProfileFileError(f"{file}: one profile can be tried at a time")
    return Candidates(of_all=without_start(_parsed(file, Profile, {"version": UNNAMED, **records[0]})))


def read_log(settings: Settings, topics: Topics) -> tuple[FullLog, TrialSpan]:
    """The log up to what the workers have acknowledged, and the span from the first fact to the clock up to which
    everything is scored on all partitions. Raises NothingScoredError, KafkaError."""
    stored_states = stored(settings, topics)
    found = full_log(settings, topics, stored_states.watermarks)
    if stored_states.clock is None or not found.histories:
        raise NothingScoredError("scoring has stored nothing yet; is `rapport scoring serve` running?")
    begin = min(min(history.facts).time for history in found.histories.values())
    return found, TrialSpan(begin, stored_states.clock)


def _parsed(file: Path, kind: type[Record], record: dict[str, object]) -> Record:
    try:
        return kind.model_validate_json(json.dumps(record))
    except ValidationError as invalid:
        listed = invalid.errors(include_url=False, include_context=False, include_input=False)
        faults = [f"{'.'.join(map(str, error['loc'])) or 'the profile'}: {error['msg']}" for error in listed]
        raise ProfileFileError("\n".join(f"{file}: {fault}" for fault in faults)) from invalid
    except (TypeError, ValueError) as invalid:
        raise ProfileFileError(f"{file}: {invalid}") from invalid
