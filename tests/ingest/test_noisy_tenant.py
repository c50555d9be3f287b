"""One tenant at full load for a minute beside another that must be served: the attacks of `benchmarks/ingest.py`."""

from pathlib import Path

import pytest

from benchmarks.attack import ATTACKS, run_attack
from services.runtime.settings import Settings

SECONDS = 60


@pytest.mark.drill
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ATTACKS)
def test_a_tenant_at_full_force_keeps_no_other_out(broker: Settings, tmp_path: Path, kind: str) -> None:
    outcome = run_attack(kind, broker, tmp_path, SECONDS)

    assert outcome.attacked.failed == 0
    # Where nothing else runs it is some 20 ms; the bound is for a machine that does other things. It was 38 s.
    assert outcome.attacked.p99 < 1_000
