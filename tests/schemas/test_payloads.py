"""Rules across fields of one payload; values of single fields are tested on the golden examples."""

import pytest
from pydantic import ValidationError

from schemas.payloads import FeedbackGiven, RelationshipPaused, SessionScheduled

MONDAY, TUESDAY = "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"


@pytest.mark.parametrize("ends_at", [MONDAY, "2026-03-01T23:00:00Z"])
def test_a_session_ends_after_it_starts(ends_at: str) -> None:
    with pytest.raises(ValidationError, match="ends_at must be after starts_at"):
        SessionScheduled.model_validate_json(
            f'{{"session_id": "s-1", "starts_at": "{MONDAY}", "ends_at": "{ends_at}"}}'
        )


@pytest.mark.parametrize("until", [MONDAY, "2026-03-01T23:00:00Z"])
def test_a_pause_is_over_after_it_begins(until: str) -> None:
    with pytest.raises(ValidationError, match="until must be after from"):
        RelationshipPaused.model_validate_json(
            f'{{"pause_id": "p-1", "reason": "leave", "from": "{MONDAY}", "until": "{until}"}}'
        )


@pytest.mark.parametrize("span", ["", f', "from": "{MONDAY}"', f', "until": "{TUESDAY}"'])
def test_a_pause_may_be_open_at_either_end(span: str) -> None:
    pause = RelationshipPaused.model_validate_json(f'{{"pause_id": "p-1", "reason": "leave"{span}}}')

    assert pause.from_ is None or pause.until is None


@pytest.mark.parametrize(
    ("scale", "reason"),
    [
        ('"scale_min": 5, "scale_max": 5', "scale_min must be below scale_max"),
        ('"scale_min": 6, "scale_max": 5', "scale_min must be below scale_max"),
        ('"scale_min": 0, "scale_max": 3', "rating must lie on the scale"),
        ('"scale_min": 5, "scale_max": 10', "rating must lie on the scale"),
    ],
)
def test_a_rating_lies_on_its_scale(scale: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        FeedbackGiven.model_validate_json(f'{{"by": "mentee", "rating": 4, "about": "session", {scale}}}')
