"""Two years of history that are imported on the wall clock: however much comes to light, people hear of it once."""

from collections import Counter

from services.notify.domain.deliveries import listed_alerts
from services.notify.domain.lifecycle import OPEN
from services.notify.domain.subjects import programme_subject
from tests.notify.harness import NotifyHarness, lines
from tests.notify.imported_years import LIVES, NOW, PER_DAY, emitted_by_scoring, imported, truth

PAIRS = 8 * len(LIVES)
SHIFT = "programme_shift"


def test_two_years_of_many_pairs_are_one_digest_for_everybody_and_nothing_else() -> None:
    assert all(len(emitted_by_scoring(kind)) > 780 for kind in LIVES), "a row a day, at the least"

    office = imported(PAIRS)

    assert office.now > NOW + PER_DAY
    assert Counter(message.recipient for _, message in office.sent) == {"owners": 1, "team": 1, "hook": 1}
    at_risk = {kind: truth(kind) for kind in LIVES}
    expected = {(number, rule) for number in range(PAIRS) for rule in at_risk[LIVES[number % len(LIVES)]]}
    assert at_risk["steady"] == at_risk["fell silent, came back"] == set()
    assert at_risk["fell silent"] >= {"disengaging", "health_low", "no_contact"}
    assert told(office) == expected
    for _, message in office.sent:
        assert message.group == "late"
        assert lines(message) == len(expected) + 1
        # That so many alert is the most urgent line of it, and no call of its own.
        assert [alert.rule for alert in listed_alerts(message)][:2] == [SHIFT, "no_contact"]
    shift = office.shared.watch(programme_subject("acme", "spruce").key)
    assert shift is not None
    assert shift.rules[SHIFT].condition == "firing"


def told(office: NotifyHarness) -> set[tuple[int, str]]:
    """What is open, and was told: the number of the pair and the rule."""
    watches = {number: office.partition.watch(f"acme/pair-{number:04}") for number in range(PAIRS)}
    return {
        (number, rule)
        for number, watch in watches.items()
        if watch is not None
        for rule, state in watch.rules.items()
        if state.condition in OPEN and state.told == state.episode
    }
