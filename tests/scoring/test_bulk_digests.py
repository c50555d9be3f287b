"""The rows of many histories in columns are the rows of each by itself, to the last bit."""

import pytest

from services.scoring.domain.bounds import NONE
from services.scoring.domain.bulk_digests import DigestRequest, digests
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.profiles import DEFAULT, Profiles
from services.scoring.domain.verification import NO_ROWS, RowsDigest, comparable
from tests.scoring.building import micros
from tests.scoring.full_logs import CHANGING, relationships
from tests.scoring.readers import digest
from tests.scoring.test_themes import EVERYTHING_COUNTS

LOGS = 90


def alone(history: DigestRequest) -> RowsDigest:
    rows = ScoreHistory(history.facts, history.profiles).rows(NONE, history.until)
    return RowsDigest(len(rows), digest(history.relationship, {at: comparable(row) for at, row in rows.items()}))


def histories(profiles: Profiles, days: float) -> list[DigestRequest]:
    return [
        DigestRequest(f"t/{number}", facts, profiles, micros(days)) for number, facts in enumerate(relationships(LOGS))
    ]


@pytest.mark.parametrize("profiles", [DEFAULT, CHANGING, EVERYTHING_COUNTS], ids=["default", "changing", "all"])
@pytest.mark.parametrize("days", [0.3, 20.7, 250])
def test_columns_say_the_same_as_each_history_by_itself(profiles: Profiles, days: float) -> None:
    some = histories(profiles, days)

    assert digests(some) == [alone(history) for history in some]


def test_programmes_may_be_mixed_and_the_order_does_not_matter() -> None:
    some = [
        history
        for three in zip(histories(DEFAULT, 60), histories(CHANGING, 90), histories(EVERYTHING_COUNTS, 40), strict=True)
        for history in three
    ]

    assert digests(some) == [alone(history) for history in some]
    assert digests(some[::-1]) == digests(some)[::-1]


def test_what_has_no_rows_has_no_digest() -> None:
    some = [DigestRequest("t/none", {}, DEFAULT, micros(9)), *histories(DEFAULT, -9)]

    assert digests([]) == []
    assert digests(some) == [NO_ROWS] * len(some)
