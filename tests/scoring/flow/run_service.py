"""`rapport scoring serve` on the topics of one test: python run_service.py PREFIX.

`DRILL_RUN_LENGTH` makes runs short, so that a small log has many. `DRILL_FAULT` is `raise:N` or `exit:N`: at the Nth
phase of states, raise before it is written, or die when it is acknowledged and the watermark is not yet written.
`DRILL_SLOW` is the seconds that every phase of outputs takes longer."""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Any

from services.runtime.settings import load
from services.scoring.__main__ import run
from services.scoring.domain.changelog import WATERMARK, Entry
from services.scoring.flow import application, sequencer
from services.scoring.flow.settings import ScoringSettings
from services.scoring.flow.worker import Worker
from services.scoring.names import Names


def names(prefix: str) -> Names:
    return Names(
        events=f"{prefix}.events",
        state=f"{prefix}.state",
        scores=f"{prefix}.scores",
        rejected=f"{prefix}.rejected",
        group=prefix,
    )


class FaultyWorker(Worker):
    """The real worker, with a fault at a chosen moment."""

    _phases_of_states = 0

    async def _acknowledged(self, producer: Any, owned: Any, writes: Sequence[Any]) -> None:  # noqa: ANN401
        fault, _, at = os.environ.get("DRILL_FAULT", "").partition(":")
        states = any(isinstance(write, Entry) and write.name != WATERMARK and write.value for write in writes)
        self._phases_of_states += states
        due = bool(fault) and states and self._phases_of_states == int(at)
        if due and fault == "raise":
            raise RuntimeError("the fault of a drill")
        if not states:
            await asyncio.sleep(float(os.environ.get("DRILL_SLOW", "0")))
        await super()._acknowledged(producer, owned, writes)
        if due and fault == "exit":
            os._exit(9)


if __name__ == "__main__":
    sequencer.RUN_LENGTH = int(os.environ.get("DRILL_RUN_LENGTH", sequencer.RUN_LENGTH))
    application.Worker = FaultyWorker  # type: ignore[misc]
    run(load(ScoringSettings, "scoring"), names(sys.argv[1]))
