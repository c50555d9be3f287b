"""`rapport scoring serve` on the topics of one test: python run_service.py PREFIX.

`DRILL_RUN_LENGTH` makes runs short, so that a small log has many. `DRILL_SLOW`: seconds that a phase of outputs
takes longer. `DRILL_FAULT` is one of
  raise:N  at the Nth phase of states, before it is written
  exit:N   die when the Nth phase of states is acknowledged and the watermark is not yet written
  lose:N   the Nth run never reaches the worker
  hole:N   the Nth run is stepped over
  stall:N  from the Nth run on nothing is applied"""

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from schemas.topics import EVENTS, SCORES, SCORING_STATE
from services.runtime.settings import load
from services.scoring.domain.changelog import WATERMARK, ChangelogEntry
from services.scoring.flow.faust import application, scheduler
from services.scoring.flow.settings import ScoringSettings
from services.scoring.flow.worker import Worker
from services.scoring.service import run
from services.scoring.topics import Topics


def topics(prefix: str, epoch: int = 0) -> Topics:
    return Topics(
        events=replace(EVENTS, name=f"{prefix}.events").at(epoch),
        state=replace(SCORING_STATE, name=f"{prefix}.state").at(epoch),
        scores=replace(SCORES, name=f"{prefix}.scores").at(epoch),
        rejected=f"{prefix}.rejected",
        group=prefix,
        epoch=epoch,
    )


class FaultyWorker(Worker):
    """The real worker, with a fault at a chosen moment."""

    _runs = 0
    _phases_of_states = 0

    async def apply(self, number: int, fetched: Sequence[Any]) -> int | None:
        self._runs += 1
        if os.environ.get("DRILL_FAULT") == f"lose:{self._runs}":
            return self.next_offset(number)
        fault, _, at = os.environ.get("DRILL_FAULT", "").partition(":")
        if fault == "stall" and self._runs >= int(at):
            return None
        if os.environ.get("DRILL_FAULT") == f"hole:{self._runs}":
            self._assigned_partitions[number].partition.offset = fetched[-1].offset
            return None
        return await super().apply(number, fetched)

    async def _send_acknowledged(self, assigned: Any, writes: Sequence[Any]) -> None:  # noqa: ANN401
        fault, _, at = os.environ.get("DRILL_FAULT", "").partition(":")
        states = any(isinstance(write, ChangelogEntry) and write.name != WATERMARK and write.value for write in writes)
        self._phases_of_states += states
        due = bool(fault) and states and self._phases_of_states == int(at)
        if due and fault == "raise":
            raise RuntimeError("the fault of a drill")
        if not states:
            await asyncio.sleep(float(os.environ.get("DRILL_SLOW", "0")))
        await super()._send_acknowledged(assigned, writes)
        if due and fault == "exit":
            os._exit(9)


if __name__ == "__main__":
    scheduler.BATCH_LENGTH = int(os.environ.get("DRILL_RUN_LENGTH", scheduler.BATCH_LENGTH))
    application.Worker = FaultyWorker  # type: ignore[attr-defined]
    settings = load(ScoringSettings, "scoring")
    run(settings, topics(sys.argv[1], settings.log_epoch))
