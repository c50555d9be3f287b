"""Weeks of a programme on a virtual clock, and its mornings."""

import json
from datetime import timedelta

from schemas.alerts import MAX_ITEMS
from services.notify.domain.name_book import PairRecord
from services.notify.rendering.renderer import Renderer
from tests.notify.building import Pair, day
from tests.notify.harness import lines, mailed, mailing, one
from tests.notify.naming import participant, programme
from tests.notify.virtual_program import check, ran

HOUR = timedelta(hours=1)
MORNING = day(1) + timedelta(hours=6.5)
"""08:30 in Berlin on Thursday, 2 May 2024."""


def test_weeks_of_a_programme_notify_people_when_they_work_and_drop_nothing() -> None:
    found = ran(pairs=48, days=40)

    check(found.office)
    assert found.rows == 48 * 40
    assert len(found.office.messages("owners")) > 10
    assert {message.person for message in found.office.messages("owners")} == {"p-3"}


def test_the_same_inputs_give_the_same_under_the_same_ids() -> None:
    one_, other = (ran(pairs=24, days=14).office for _ in range(2))

    assert [message.delivery_id for _, message in one_.sent] == [message.delivery_id for _, message in other.sent]


def test_the_morning_of_2000_pairs_is_one_mail_of_ten_lines_by_urgency() -> None:
    found = one(mailed(), mailing("unused", gets_alerts=False), now=day(-10))
    found.people.upsert_programme(programme(coordinator="p-3"))
    found.people.upsert(participant("p-3", "Ana Ruiz", addresses=("ana@acme.example",)))
    for number in range(2_000):
        found.people.upsert(participant(f"m-{number}", f"Mentor {number}"))
        found.people.upsert(participant(f"e-{number}", f"Mentee {number}"))
        found.people.upsert_pair("acme", f"pair-{number:04}", PairRecord((f"m-{number}",), (f"e-{number}",)))
    pairs = [Pair(f"pair-{number:04}") for number in range(2_000)]
    found.at(day(-1), *(pair.changed(day(-1), health=90.0) for pair in pairs))
    found.at(day(0), *(pair.changed(day(0), 2, health=38.0) for pair in pairs[3:150]))
    evening = day(0) + 20 * HOUR
    found.at(evening, *(pair.changed(evening, 2, health=20.0) for pair in pairs[:3]))
    found.until(MORNING - HOUR, HOUR)
    assert found.messages("owners") == []
    found.until(MORNING + HOUR, HOUR / 2)

    ((moment, mail),) = found.sent
    content = json.loads(Renderer(found.people, "https://pairs.example.org/{relationship}").render(mail).body or "")
    items = [line for line in content["text"].split("\n\n") if line.startswith("- ")]
    assert moment == MORNING
    assert lines(mail) == 150
    assert len(items) == 1 + MAX_ITEMS
    assert [item[2:4] for item in items] == ["P2"] * 3 + ["P3"] * 7
    assert "150 alerts, the most urgent first" in content["text"]
    assert "… and 140 more" in content["text"]
    for number, item in enumerate(items):
        headline, details, link = item.splitlines()
        assert f"Mentor {number} & Mentee {number}: " in headline
        assert "health" in headline
        assert "Mostly: " in details
        assert "Next: " in details
        assert "Who: Ana Ruiz (coordinator), by " in details
        assert link.strip() == f"https://pairs.example.org/pair-{number:04}"


def test_where_nothing_is_open_there_is_no_mail() -> None:
    found = one(mailing(), now=day(-10))
    pairs = [Pair(f"pair-{number}") for number in range(50)]
    found.at(day(0), *(pair.changed(day(0), health=90.0) for pair in pairs))
    found.until(day(9), HOUR)

    assert found.sent == []
