"""Input and output of `rapport scoring calibrate --apply`: every programme of the log with its history, and a new
profile version, which is applied with `rapport programs apply`."""

import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from schemas.events import OfPartition, partition_key
from schemas.primitives import from_micros, to_micros
from schemas.programs import MAX_PROFILES, PROFILE_NOTICE, Profile, Programme
from schemas.topics import PROGRAMS
from services.runtime.kafka import read_to_end
from services.runtime.settings import Settings
from services.scoring.domain.backtesting.cases import PairHistories, histories_of
from services.scoring.domain.bounds import NONE
from services.scoring.domain.facts import Fact, Key, facts_of, merge_into
from services.scoring.flow.histories import log_events
from services.scoring.topics import Topics
from services.validation_errors import reason_of

COMMAND = ("programs", "apply")
SLACK = timedelta(minutes=10)
"""Time allowed for the command, in addition to the notice that a version needs."""
SECONDS = 120.0


class UnreadableProgrammeError(Exception):
    """The profiles of a programme cannot be read."""


class NotAppliedError(Exception):
    """A version was not accepted, and no part of it is in force; the message states the reason."""


@dataclass(frozen=True)
class ProgrammeHistory:
    """A programme as described, or with the defaults; `earliest`: when a new version may begin."""

    programme: Programme
    histories: PairHistories
    earliest: datetime

    @property
    def id(self) -> str:
        return self.programme.id

    @property
    def key(self) -> str:
        return partition_key(self.programme.tenant, self.programme.id)

    @property
    def in_force(self) -> Profile:
        """The newest version, even if it has yet to begin: the next one follows it."""
        return self.programme.profiles[-1]


def programme_histories(settings: Settings, topics: Topics) -> list[ProgrammeHistory]:
    """Of all relationships on the log that were ever in contact, by the programme of their first fact. Raises
    KafkaError, UnreadableProgrammeError."""
    described = _read_programmes(settings)
    facts: dict[str, dict[str, dict[Key, Fact]]] = defaultdict(lambda: defaultdict(dict))
    program_of: dict[str, str] = {}
    end = recorded = NONE
    for _, position, event in log_events(settings, topics):
        end, recorded = max(end, to_micros(event.time)), max(recorded, to_micros(event.recordedtime))
        if isinstance(event, OfPartition):
            continue
        if new_facts := facts_of(event, position):
            key = program_of.setdefault(event.partitionkey, partition_key(event.tenant, event.program))
            merge_into(facts[key][event.partitionkey], new_facts)
    present = from_micros(recorded) if settings.clock == "log" and recorded != NONE else datetime.now(UTC)
    soon, found = present + PROFILE_NOTICE + SLACK, []
    for key in sorted(facts):
        if (histories := histories_of(facts[key], end)) is not None:
            tenant, _, program = key.partition("/")
            # The first version of an undescribed programme scores as the defaults do: no emitted row changes.
            programme = described.get(key) or Programme(id=program, tenant=tenant, recordedtime=present)
            # Also after a version that has yet to begin.
            begins = programme.profiles[-1].effective_from
            found.append(ProgrammeHistory(programme, histories, soon if begins is None else max(soon, begins + SLACK)))
    return found


def append_version(settings: Settings, programme_history: ProgrammeHistory, profile: Profile) -> None:
    """Append the version with `rapport programs apply`, the only writer of programmes: it refuses a conflicting change
    that was applied in the meantime. Raises NotAppliedError."""
    profiles = (*programme_history.programme.profiles, profile)
    if len(profiles) > MAX_PROFILES:
        raise NotAppliedError(f"a programme has at most {MAX_PROFILES} versions of its profile")
    changed = programme_history.programme.model_copy(update={"profiles": profiles})
    environ = {
        **os.environ,
        "RAPPORT_KAFKA": settings.kafka,
        "RAPPORT_CLOCK": settings.clock,
        "RAPPORT_LOG_EPOCH": str(settings.log_epoch),
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "programme.json"
        file.write_text(changed.model_dump_json(), encoding="utf-8")
        command = [sys.executable, "-m", "services.cli", *COMMAND, str(file)]
        try:
            done = subprocess.run(  # noqa: S603 (our own program)
                command, env=environ, capture_output=True, text=True, check=False, timeout=SECONDS
            )
        except subprocess.TimeoutExpired as late:
            raise NotAppliedError(f"`rapport {' '.join(COMMAND)}` took over {SECONDS:.0f} s") from late
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise NotAppliedError(f"`rapport {' '.join(COMMAND)}` failed: {reason[0]}")


def _read_programmes(settings: Settings) -> dict[str, Programme]:
    """The latest record of each programme."""
    found, faults = dict[str, Programme](), dict[str, str]()
    for record in read_to_end(settings, [PROGRAMS.name]):
        key, where = (record.key or b"").decode(errors="replace"), f"{PROGRAMS.name}, offset {record.offset}"
        found.pop(key, None)
        faults.pop(key, None)
        if record.value is None:
            continue
        try:
            programme = Programme.model_validate_json(record.value)
        except ValidationError as invalid:
            faults[key] = f"{where}: programme {key} cannot be read: {reason_of(invalid)}; apply it again"
            continue
        if (described := partition_key(programme.tenant, programme.id)) == key:
            found[key] = programme
        else:
            faults[key] = f"{where}: under {key} it describes {described}; apply it again"
    for fault in faults.values():
        raise UnreadableProgrammeError(fault)
    return found
