"""The kernel over a whole log, no broker. Variants: `memory`: compiled, one core, from columns in memory; `python`: the
same kernel in Python; `jsonl`: compiled, from the file, which all cores read."""

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.contestants.task import Meter, Task, asked
from services.scoring.domain.kernel.places import Columns
from services.scoring.domain.profiles import DEFAULT, Profiles
from services.scoring.fast.columns import columns
from services.scoring.fast.files import rows_of_file
from services.scoring.fast.lines import rows_of
from services.scoring.fast.scored import Scores, is_compiled, scored_compiled, scored_in_python


def measure(task: Task) -> None:
    score = scored_in_python if task.variant == "python" else _compiled()
    meter = Meter(task)
    if task.variant == "jsonl":
        meter.begin()
    found, _ = columns(rows_of_file(Path(task.log)))
    meter.begin()
    meter.answer(len(score(found, DEFAULT).health))


def _compiled() -> Callable[[Columns, Profiles], Scores]:
    """Compiled before anything is measured; kept on disk from then on."""
    if not is_compiled():
        sys.exit("numba is not installed: pip install 'rapport[fast]'")
    scored_compiled(columns(rows_of([]))[0], DEFAULT)
    return scored_compiled


if __name__ == "__main__":
    measure(asked())
