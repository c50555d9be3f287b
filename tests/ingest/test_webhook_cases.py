"""Webhooks as vendors document them and as in-house tools send them (`webhooks.yaml` in `tests/ingest/cases`, which
extends `further.yaml`), with the expected results."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from services.runtime.strict_yaml import documents
from tests.ingest.test_cases import CASES, assert_told, events, told, tried
from tests.ingest.test_documented_cases import FurtherCase

(_TABLE,) = documents(CASES / "webhooks.yaml")
ALL = TypeAdapter(list[FurtherCase]).validate_python(_TABLE)


@pytest.mark.parametrize("case", ALL, ids=[one.case for one in ALL])
def test_what_a_webhook_becomes_is_right(case: FurtherCase, tmp_path: Path) -> None:
    payloads = tried(case.as_case(tmp_path))

    outcomes = [" ".join(filter(None, (one["outcome"], one.get("reason")))) for one in payloads]
    assert outcomes == (case.payloads or ["told"] * len(case.bodies))
    assert_told([told(one) for one in events(payloads)], case.written)
    assert_told([told(one) for one in payloads[-1]["outcomes"]], case.outcomes)
    assert_told(payloads[-1]["undecided"], case.undecided)


def test_of_what_is_chosen_from_a_list_only_words_of_the_settings_are_kept(tmp_path: Path) -> None:
    """An answer that the settings do not name may be free text: nothing of it is stored."""
    case = next(one for one in ALL if "chosen from a list" in one.case)

    payloads = tried(case.as_case(tmp_path))

    assert "nobody named this" not in str(payloads)
    assert payloads[-1]["outcome"] == "rejected"
    assert "form_response.answers.*.text" in payloads[-1]["cut"]
    assert "form_response.answers.*.text" not in payloads[0]["cut"]
