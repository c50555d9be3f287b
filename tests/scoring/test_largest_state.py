"""However many facts one relationship has, its state fits into a record of the changelog: otherwise its partition could
not be scored."""

from datetime import timedelta

from schemas.topics import DEFAULT_MAX_BYTES, SCORING_STATE
from services.scoring.domain import bounds, layout
from services.scoring.domain.facts import Fact, Facts, Key
from services.scoring.domain.kinds import FactKind, slots_of
from services.scoring.domain.layout import Enrolment, RelationshipState
from services.scoring.domain.memory import trimmed

LONGEST_SOURCE, LONGEST_NAME, LONGEST_KEY = 512, 128, 300
SPACING = round(timedelta(minutes=10).total_seconds()) * bounds.SECOND


def test_the_state_of_the_most_facts_each_under_names_of_its_own_fits_into_a_record() -> None:
    facts = facts_of_every_kind(bounds.GROUP_CAPACITY + 100)

    state = RelationshipState(trimmed(facts), enrolment=Enrolment(0, "p" * LONGEST_NAME))

    size = len(layout.dump(state)) + LONGEST_KEY
    assert DEFAULT_MAX_BYTES < size < SCORING_STATE.most_bytes


def facts_of_every_kind(count: int) -> Facts:
    """So many of each, ten minutes apart; no two share a source or a name."""
    found = {}
    for kind in (kind for kind in FactKind if kind != FactKind.ERASED):
        for slot in slots_of(kind):
            for number in range(count):
                key = Key(number * SPACING, kind.value, f"{number:08d}{kind.value:08d}".encode(), slot)
                name = f"{kind.value}/{slot}/{number}/"
                found[key] = Fact(
                    number, marked=False, source=name.ljust(LONGEST_SOURCE, "s"), name=name.ljust(LONGEST_NAME, "n")
                )
    return found
