"""What `rapport scoring explain` prints: three lines that answer, then everything behind them."""

import io
import json
import re
from datetime import datetime

from rich.console import Console

from schemas.events import OfRelationship
from schemas.programs import CalibrationEvidence, Profile
from services.scoring.commands.explain import document, report
from services.scoring.domain.explaining.explanation import Explanation, explain
from services.scoring.domain.explaining.known_history import known_history
from services.scoring.domain.profiles import DEFAULT, Profiles
from tests.scoring.building import KEY, booked, held, micros, missed, paused, requested, started

SILENT = (started(0.5, 7), held(1.5), missed(20.5))


def test_the_first_three_lines_say_how_it_is_why_and_what_to_do() -> None:
    how, why, to_do, *_ = lines(explained(60, *SILENT))

    assert re.fullmatch(
        r"t/r: health \d+\.\d, critical \([+-]\d+\.\d in 4 weeks\); risk 0\.\d\d \(uncalibrated.*\)", how
    )
    assert re.match(r"Why:  no session for 58 days, due every 7 -\d+\.\d; no contact for 58 days -\d+\.\d; ", why)
    numbers = r"health \d+\.\d -> \d+\.\d, (thriving|steady|strained); risk 0\.86 -> 0\.\d\d"
    assert re.fullmatch(rf"Do:   hold a session: {numbers} \(uncalibrated.*", to_do)


def test_wherever_risk_is_shown_it_says_whether_it_is_calibrated() -> None:
    rests_on = CalibrationEvidence(cases=1840, judged=512, apart=0.031)
    calibrated = Profiles((Profile(version="v7", calibration="2026-q2", evidence=rests_on),))
    words = "calibrated on 1840 cases of its own past; on 512 newer ones predicted and observed lay 0.03 apart"

    assert "(uncalibrated: general defaults)" in lines(explained(9, *SILENT))[0]
    assert f"({words})" in " ".join(stated(explained(9, *SILENT, profiles=calibrated)).split())
    assert document(explained(9, *SILENT, profiles=calibrated))["certainty_of_risk"] == words


def test_the_head_tells_the_standing_of_the_relationship() -> None:
    text = stated(explained(9, *SILENT, booked(8.5, "s", 10.25)))

    assert "as of         2024-01-10 00:00; scored 2024-01-10 00:00; all times in UTC" in text
    assert "status        active, since 2024-01-01 12:00, a session expected every 7 days" in text
    assert "last contact  2024-01-02 12:00, 7 days ago" in text
    assert "next session  2024-01-11 06:00" in text
    assert re.search(r"confidence    0\.\d\d of 1, low", text)


def test_without_contact_or_booking_it_says_so() -> None:
    text = stated(explained(9, started(0.5)))

    assert "last contact  none\n" in re.sub(r" +\n", "\n", text)
    assert "next session  none booked" in text


def test_what_was_known_and_what_lies_ahead_is_named() -> None:
    known = known_history(KEY, list(enumerate(SILENT)), micros(5))
    found = explain(known, DEFAULT, micros(9))
    assert isinstance(found, Explanation)

    text = stated(found, clock=8)

    assert "known at      2024-01-06 00:00; recorded later and left out: 1 events" in text
    assert "as of         2024-01-10 00:00, ahead of the clock: as if nothing more happened" in text


def test_the_points_and_the_terms_add_up_as_they_are_printed() -> None:
    text = stated(explained(60, *SILENT))

    *parts, health = column(text, "Health, in points", 3)
    assert round(sum(parts), 1) == health
    *terms, log_odds, _ = column(text, "Risk of no contact in the next 30 days, in log-odds", -1)
    assert round(sum(terms), 2) == log_odds


def test_the_story_fits_a_narrow_terminal_and_loses_no_words() -> None:
    found = explained(60, *SILENT)

    narrow = stated(found, 80)

    assert all(len(line) <= 80 for line in narrow.splitlines())
    for change in found.story:
        for word in [*" ".join(change.words).split(), *(part for part, _ in change.moved)]:
            assert word in narrow


def test_what_caps_the_band_is_the_first_reason() -> None:
    found = explained(9, *SILENT[:2], requested(8.5, "q1"))

    assert lines(found)[1].startswith("Why:  an immediate support request is open, so no better than strained")
    assert "band          strained, capped: an immediate support request is open" in stated(found)
    assert "support       open requests: q1" in stated(found)
    assert "Do:   resolve support request q1: health " in stated(found)


def test_a_paused_relationship_is_told_first_as_paused() -> None:
    how, _, lift, *_ = lines(explained(20, *SILENT[:2], paused(9.5)))

    assert how.startswith("t/r: paused, health ")
    assert lift == "Do:   nothing: the relationship is paused"


def test_the_document_holds_the_same_with_points_that_add_up() -> None:
    found = json.loads(json.dumps(document(explained(60, *SILENT))))

    assert found["relationship"] == "t/r"
    assert datetime.fromisoformat(found["as_of"]) == datetime.fromisoformat("2024-03-01T00:00:00+00:00")
    assert round(sum(part["points"] for part in found["parts"]), 1) == found["health"]
    for change in found["story"]:
        assert round((change["before"] or 0) + sum(change["moved"].values()), 1) == change["health"]
    assert found["to_do"]["first"]["steps"] == ["hold a session"]
    assert found["to_do"]["first"]["risk"] < found["risk"]
    assert found["calibration"] is None
    assert found["known_at"] is None


def explained(days: float, *events: OfRelationship, profiles: Profiles = DEFAULT) -> Explanation:
    found = explain(known_history(KEY, list(enumerate(events)), None), profiles, micros(days))
    assert isinstance(found, Explanation)
    return found


def stated(found: Explanation, width: int = 140, clock: float = 1000) -> str:
    out = io.StringIO()
    report(Console(file=out, width=width, highlight=False), found, micros(clock))
    return out.getvalue()


def lines(found: Explanation) -> list[str]:
    return stated(found).splitlines()


def column(text: str, title: str, number: int) -> list[float]:
    """The numbers below one heading of a table; the total at the end has no value of its own."""
    _, *rows = text.split(f"{title}\n", 1)[1].split("\n\n", 1)[0].splitlines()
    return [float(row.split()[number if row.split()[0] != "health" else number - 1]) for row in rows]
