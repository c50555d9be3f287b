"""What a person reads: names, what changed, why, how sure, what to do next, who has it and until when."""

import json
from datetime import date, datetime, timedelta

import pytest

from schemas.alerts import ChannelName, Delivery, DeliveryItem, Reason, StageDecision
from schemas.scores import RiskTerm
from services.notify.domain.decisions import alert_changed, plan_deliveries
from services.notify.domain.ids import Destination
from services.notify.domain.name_book import MessageNames, NameBook, PairRecord
from services.notify.domain.pipeline import AT_RISK
from services.notify.domain.wording import HEALTH_WORDS, RISK_WORDS, chance_points
from services.notify.rendering.alert_text import alert_text
from services.notify.rendering.machines import webhook_body
from services.notify.rendering.phrases import ACTS, next_act
from services.notify.rendering.renderer import Renderer
from tests.notify.building import Pair, apply_event, clock, day, hour, new_alerts
from tests.notify.naming import participant, programme
from tests.notify.sending import LINK, episode, rendered


def people() -> NameBook:
    found = NameBook()
    for id_, name in (("p-1", "Ana Ruiz"), ("p-2", "Ben Ode"), ("p-3", "Dana Cole"), ("p-4", "Eli Stone")):
        found.upsert(participant(id_, name))
    found.upsert_programme(programme())
    found.upsert_pair("acme", "4F2", PairRecord(("p-1",), ("p-2",)))
    return found


def of_risk() -> Delivery:
    terms = (RiskTerm(name="base", value=0.5), RiskTerm(name="silence", value=1.9), RiskTerm(name="pace", value=0.4))
    pair = Pair().but(risk=0.8, risk_terms=terms)
    transitioned = apply_event(new_alerts(), pair.changed(hour(0)), clock(day(2)))
    return plan_deliveries(alert_changed(transitioned[0], day(9)), [Destination("smtp", "team")])[0]


def text_of(delivery: Delivery, known: NameBook) -> str:
    found: str = json.loads(rendered(delivery, known).body or "")["text"]
    return found


def test_a_complete_mail() -> None:
    assert text_of(episode("smtp", "team")[0], people()) == (
        "NEW · P3: spruce: Ana Ruiz & Ben Ode: health 38, low since 1 May. "
        "Ask Ana Ruiz (mentor) and Ben Ode (mentee) whether day and time still suit them, "
        "and agree on a slot that does.\n"
        "\n"
        "Health is 38 of 100 (strained); since Wed 1 May 2024 02:00 Europe/Berlin (health at or below 40 for 24 h). "
        "The last contact was on 1 May, 1 day earlier.\n"
        "\n"
        "Why:\n"
        "- meetings were missed or cancelled of late: -44 points of health\n"
        "- no meeting for 22 days (agreed rhythm: every 14 days): -18 points of health\n"
        "\n"
        "Who has it: Dana Cole (coordinator)\n"
        "Until: by Fri 17 May\n"
        "How sure: facts carry 60 % of the health score.\n"
        "\n"
        "https://pairs.example.org/4F2\n"
    )


def test_the_first_80_characters_stand_alone() -> None:
    long = people()
    long.upsert(participant("p-1", "Maximiliana Wilhelmina von und zu Hohenfels-Lauterbrunnen"))

    first, *_ = text_of(episode("smtp", "team")[0], long).split("\n")

    alone, act = first.split(". ", 1)
    assert len(alone) <= 80
    assert alone.startswith("NEW · P3: spruce: Maximiliana")
    assert alone.endswith("…: health 38, low since 1 May")
    assert act.startswith(
        "Ask Maximiliana Wilhelmina von und zu Hohen… (mentor) and Ben Ode (mentee) whether day and time"
    )


@pytest.mark.parametrize(
    ("at", "word", "headline"),
    [(0, "New", "health 38, low since 1 May"), (1, "Worse", "worse, health 20"), (2, "Resolved", "better, health 90")],
)
def test_every_transition_has_its_word_and_its_headline(at: int, word: str, headline: str) -> None:
    found = alert_text(episode("smtp", "team")[at], people(), LINK)

    assert found.first.word == word
    assert found.first.headline == f"spruce: Ana Ruiz & Ben Ode: {headline}"
    assert ("Until" not in dict(found.facts)) == (found.because == ()) == (word == "Resolved")


def test_risk_is_given_in_chances_and_days_and_never_in_log_odds() -> None:
    delivery = of_risk()

    text = text_of(delivery, people())

    assert "The chance that this relationship falls silent is 80 %" in text
    assert "(chance at or above 70 % for 24 h)" in text
    assert "Call Ana Ruiz (mentor) or Ben Ode (mentee), whoever answers more easily, and offer two dates" in text
    assert "- no contact for 0 days (agreed rhythm: every 14 days): +43 points of chance" in text
    assert "- contacts are far apart even when all is well: +7 points of chance" in text
    assert "a general estimate, not yet calibrated" in text
    channels: list[ChannelName] = ["smtp", "slack", "teams", "pagerduty", "log"]
    bodies = [rendered(delivery.model_copy(update={"channel": one}), people()).body or "" for one in channels]
    for told in (*bodies, delivery.alert.summary, delivery.alert.next_step):
        assert told
        assert "1.9" not in told
    assert chance_points(0.8, 1.9) == pytest.approx(42.5675, abs=1e-3)
    assert chance_points(1.0, 5.0) == pytest.approx(0, abs=1e-3)


def test_whoever_is_away_has_nothing_and_a_holiday_is_no_day_to_be_done_by() -> None:
    known = people()
    known.upsert(participant("p-3", "Dana Cole", status="leave"))
    # Decided on Fri 10 May 2024 at 02:00 in Berlin; the week after ends on a holiday.
    known.upsert_programme(programme(holidays=(date(2024, 5, 17), date(2024, 5, 20))))

    found = alert_text(episode("smtp", "team")[0], known, None)
    urgent = alert_text(episode("smtp", "team")[1], known, None)

    assert dict(found.facts)["Who has it"] == "Eli Stone (deputy)"
    assert dict(found.facts)["Until"] == "by Tue 21 May"
    assert dict(urgent.facts)["Until"] == "by the end of Fri 10 May"


def test_without_a_directory_a_message_names_the_pair_by_its_id() -> None:
    found = alert_text(episode("smtp", "team")[0], NameBook(), None)

    assert found.first.headline == "spruce: pair 4F2: health 38, low since 1 May"
    assert dict(found.facts)["Who has it"] == "nobody yet: the programme names no coordinator who is here"
    assert found.people == ()


def test_a_large_group_is_named_by_its_first_ones() -> None:
    known = people()
    known.upsert_pair("acme", "4F2", PairRecord(("p-1",), ("p-2", "p-3", "p-4", "p-5", "p-6")))

    assert known.naming("acme", "spruce", "4F2").pair == "Ana Ruiz & Ben Ode, Dana Cole, Eli Stone and 2 more"


def test_several_alerts_are_one_list_the_most_urgent_first_each_with_all_that_somebody_needs() -> None:
    first, worse, _ = episode("smtp", "team")
    digest = first.model_copy(
        update={"items": (DeliveryItem(program="spruce", relationship="9TB", alert=worse.alert),), "more": 5}
    )

    assert text_of(digest, people()) == (
        "LIST · P2: spruce: 7 alerts, the most urgent first\n"
        "\n"
        "- P2 Worse: spruce: pair 9TB: worse, health 20\n"
        "  Mostly: meetings were missed or cancelled of late: -44 points of health. "
        "Next: Ask both whether day and time still suit them, and agree on a slot that does. "
        "Who: Dana Cole (coordinator), by the end of Fri 10 May.\n"
        "  https://pairs.example.org/9TB\n"
        "\n"
        "- P3 New: spruce: Ana Ruiz & Ben Ode: health 38, low since 1 May\n"
        "  Mostly: meetings were missed or cancelled of late: -44 points of health. "
        "Next: Ask Ana Ruiz (mentor) and Ben Ode (mentee) whether day and time still suit them, "
        "and agree on a slot that does. "
        "Who: Dana Cole (coordinator), by Fri 17 May.\n"
        "  https://pairs.example.org/4F2\n"
        "\n"
        "… and 5 more\n"
    )
    assert rendered(digest, people()).people == ("p-3", "p-1", "p-2")


def test_what_a_list_only_counts_is_on_the_board_to_which_it_links() -> None:
    board = "https://board.acme.example"
    first, worse, _ = episode("smtp", "team")
    items = (DeliveryItem(program="spruce", relationship="9TB", alert=worse.alert),)
    digest = first.model_copy(update={"items": items, "more": 9_990})
    renderer = Renderer(people(), LINK, board)

    mail = json.loads(renderer.render(digest).body or "")
    alone = json.loads(renderer.render(first).body or "")
    chats = [renderer.render(digest.model_copy(update={"channel": one})).body or "" for one in ("slack", "teams")]

    assert f"the most urgent first\n\n{board}\n\n- P2 Worse" in mail["text"]
    assert mail["text"].endswith(f"… and 9990 more: {board}\n")
    assert f"<a href='{board}'>… and 9990 more</a>" in mail["html"]
    assert f"<{board}|Open>" in chats[0]
    assert f'"url": "{board}"' in chats[1]
    assert board not in alone["text"]


def test_a_rule_that_has_no_words_of_its_own_is_called_by_its_name() -> None:
    first, worse, last = episode("smtp", "team")
    told = [
        one.model_copy(update={"alert": one.alert.model_copy(update={"rule": "no_contact"})})
        for one in (first, worse, last)
    ]

    headlines = [alert_text(one, people(), None).first.headline for one in told]

    assert [headline.split(": ", 2)[2] for headline in headlines] == [
        "no contact since 1 May",
        "worse, no contact",
        "over: no contact",
    ]
    assert alert_text(told[0], people(), None).paragraphs[0].startswith("No contact; since Wed 1 May 2024")
    assert alert_text(told[0], people(), None).because[0] == "meetings were missed or cancelled of late"


def test_a_message_says_that_it_may_be_a_repeat_or_came_by_a_fallback() -> None:
    marked = episode("smtp", "team")[0].model_copy(update={"repeat": True, "fallback_of": "0" * 64})

    text = text_of(marked, people())

    assert "This may be a repeat" in text
    assert "in place of somebody who could not be reached" in text


def test_names_stand_in_mail_and_chat_only_and_whose_they_are_is_noted() -> None:
    delivery = episode("smtp", "team")[0]

    for channel in ("smtp", "slack", "teams"):
        found = rendered(delivery.model_copy(update={"channel": channel}), people())
        assert "Ana Ruiz" in (found.body or "")
        assert found.people == ("p-1", "p-2", "p-3")
    for channel in ("log", "webhook", "pagerduty"):
        found = rendered(delivery.model_copy(update={"channel": channel}), people())
        assert "Ana Ruiz" not in (found.body or "")
        assert found.people == ()


def test_html_shows_a_name_as_it_is_and_runs_nothing() -> None:
    known = people()
    known.upsert(participant("p-1", "<script>alert(1)</script> & sons"))

    html = json.loads(rendered(episode("smtp", "team")[0], known).body or "")["html"]

    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_the_webhook_has_the_same_bytes_every_time() -> None:
    delivery = of_risk()

    assert webhook_body(delivery, LINK) == webhook_body(delivery, LINK)


def test_a_p1_is_due_now_and_an_ended_relationship_says_so() -> None:
    first, _, last = episode("smtp", "team")
    urgent = first.model_copy(update={"alert": first.alert.model_copy(update={"urgency": "P1"})})
    ended = last.model_copy(update={"alert": last.alert.model_copy(update={"why": "relationship ended"})})

    assert dict(alert_text(urgent, people(), None).facts)["Until"] == "now"
    assert alert_text(ended, people(), None).first.headline.endswith(": has ended, alert closed")


def test_where_every_day_is_a_holiday_the_day_itself_stands() -> None:
    known = people()
    known.upsert_programme(programme(holidays=tuple(date(2024, 5, 1) + timedelta(days=ahead) for ahead in range(99))))

    assert dict(alert_text(episode("smtp", "team")[1], known, None).facts)["Until"] == "by the end of Fri 10 May"


def test_whoever_is_not_in_the_directory_has_nothing() -> None:
    known = people()
    known.forget("acme", "p-3")
    known.forget("acme", "p-4")
    known.forget("acme", "p-1")

    naming = known.naming("acme", "spruce", "4F2")

    assert (naming.owner, naming.pair) == (None, "Ben Ode")


@pytest.mark.parametrize("cause", [*HEALTH_WORDS, *RISK_WORDS, "rhythm", "silence"])
def test_every_cause_that_has_words_has_an_act(cause: str) -> None:
    first = episode("smtp", "team")[0].alert
    because = first.model_copy(update={"reasons": (Reason(name=cause, points=-9.0, words="so"),)})

    assert next_act(because, MessageNames()) == ACTS[cause]


def test_a_name_that_holds_one_of_our_words_stays_a_name() -> None:
    known = people()
    known.upsert(participant("p-2", "both Talboth"))

    assert "Call Ana Ruiz (mentor) or both Talboth (mentee), whoever answers" in text_of(of_risk(), known)


def test_of_a_group_nobody_is_named_in_what_to_do() -> None:
    known = people()
    known.upsert_pair("acme", "4F2", PairRecord(("p-1",), ("p-2", "p-3")))

    assert alert_text(episode("smtp", "team")[0], known, None).act.startswith(
        "Ask both whether day and time still suit"
    )


def test_where_no_cause_has_an_act_of_its_own_the_names_stand_in_what_the_alert_says() -> None:
    quiet = apply_event(new_alerts(), Pair().changed(day(40)), clock(day(60)))
    delivery = plan_deliveries(alert_changed(quiet[0], day(60)), [Destination("smtp", "team")])[0]

    act = alert_text(delivery, people(), None).act

    assert delivery.alert.rule == "no_contact"
    assert act == "Call Ana Ruiz (mentor) or Ben Ode (mentee), whoever answers more easily, and offer two dates."


@pytest.mark.parametrize(
    ("decided", "until"),
    [
        (day(0) + timedelta(hours=7), "by the end of Wed 1 May"),
        # Told with the digest of the next morning: the day before would be over.
        (day(0) + timedelta(hours=20), "by the end of Thu 2 May"),
        (day(2) + timedelta(hours=20), "by the end of Mon 6 May"),
    ],
)
def test_what_is_decided_when_nobody_works_is_due_on_the_day_on_which_people_are_notified(
    decided: datetime, until: str
) -> None:
    worse = episode("smtp", "team")[1]
    delivery = worse.model_copy(update={"alert": worse.alert.model_copy(update={"decided_at": decided})})

    assert dict(alert_text(delivery, people(), None).facts)["Until"] == until


@pytest.mark.parametrize(
    ("decided", "since"),
    [(day(9), "1 May"), (day(182), "1 May"), (day(184), "1 May 2024"), (day(1_043), "1 May 2024")],
)
def test_a_day_that_is_long_past_has_its_year(decided: datetime, since: str) -> None:
    first = episode("smtp", "team")[0]
    late = first.model_copy(update={"alert": first.alert.model_copy(update={"decided_at": decided})})

    text = text_of(late, people())

    assert f"health 38, low since {since}. " in text
    assert f"The last contact was on {since}, 1 day earlier." in text


def test_a_contact_of_the_same_day_is_no_days_earlier() -> None:
    first = episode("smtp", "team", last_contact=hour(12))[0]

    assert "The last contact was on 1 May, less than a day earlier." in text_of(first, people())


def test_a_fall_leaves_room_for_names_and_a_list_says_in_its_subject_how_many_it_lists() -> None:
    first, worse, _ = episode("smtp", "team")
    fell = first.alert.model_copy(update={"rule": "health_drop", "why": "health fell from 62 to 38 within 7 d"})
    several = first.model_copy(
        update={"items": (DeliveryItem(program="spruce", relationship="9TB", alert=worse.alert),), "more": 5}
    )

    found = alert_text(first.model_copy(update={"alert": fell}), people(), None)

    assert found.first.headline == "spruce: Ana Ruiz & Ben Ode: health fell from 62 to 38"
    assert "(health fell from 62 to 38 within 7 d)" in found.paragraphs[-1]
    assert json.loads(rendered(several, people()).body or "")["subject"] == "spruce: 7 alerts"


def test_a_call_for_support_says_nothing_of_how_sure_a_score_is() -> None:
    called = apply_event(new_alerts(), Pair().changed(hour(0), caps=("support_open",)), clock(hour(1)))
    delivery = plan_deliveries(alert_changed(called[0], day(9)), [Destination("smtp", "team")])[0]

    text = text_of(delivery, people())

    assert "support requested" in text
    assert "How sure" not in text


def test_what_came_to_light_late_says_why_it_comes_now() -> None:
    first, worse, _ = episode("smtp", "team")
    late = first.alert.model_copy(
        update={"decisions": (StageDecision(stage="group", outcome="passed", why=f"{AT_RISK}scored by s-2 since May"),)}
    )
    alone = first.model_copy(update={"alert": late})
    news = DeliveryItem(program="spruce", relationship="9TB", alert=worse.alert)

    assert "\n\nNo news of today, but so now: scored by s-2 since May.\n" in text_of(alone, people())
    assert "No news" not in text_of(alone.model_copy(update={"items": (news,)}), people())
