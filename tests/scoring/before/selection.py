"""What a score looks at: the window of one instant, in the words in which rows read it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from services.scoring.domain.bounds import FOREVER, UNSET
from services.scoring.domain.facts import Fact, Facts, Key
from services.scoring.domain.kinds import Kind
from services.scoring.domain.memory import LOOKED_AT, PER_GOAL, groups
from tests.scoring.before.kernel import places
from tests.scoring.before.kernel.pauses import later
from tests.scoring.before.kernel.places import Columns, Window
from tests.scoring.before.kernel.score import stalled_after
from tests.scoring.before.kernel.voices import REQUESTED, is_resolved

CAPS: Mapping[int, str] = {places.SUPPORT_OPEN: "support_open", places.FIT_NOT_GOOD: "fit_not_good"}
PER_GOAL_GROUPS = frozenset(number for number, name in enumerate(LOOKED_AT) if name in PER_GOAL)


@dataclass(frozen=True)
class Known:
    """A number of a relationship's facts, in key order; `counts` tells how many each group has of them. More may be
    behind them."""

    facts: Facts
    keys: Sequence[Key]
    columns: Columns
    counts: Sequence[int]
    sources: Collection[str]
    """Of all facts."""


@dataclass(frozen=True)
class Selection:
    """The selected facts of a relationship. Times in microseconds; everything stays the same until the next fact."""

    known: Known
    window: Window
    profile: Sequence[float]

    @property
    def exists(self) -> bool:
        """Whether anything stands."""
        return self.window.whole[places.EXISTS] != 0

    @property
    def ended(self) -> int | None:
        return _time(self.window.whole[places.ENDED])

    @property
    def started(self) -> int:
        return self.window.whole[places.START]

    @property
    def cadence(self) -> float:
        """Days."""
        return self.window.real[places.E_DAYS]

    @property
    def last_contact(self) -> int | None:
        return _time(self.window.whole[places.LAST_CONTACT])

    @property
    def bookings(self) -> Sequence[int]:
        """Starts of the booked meetings, ascending, also of those that have begun."""
        return self.window.starts

    @property
    def caps(self) -> tuple[str, ...]:
        bits = self.window.whole[places.CAPS]
        return tuple(name for bit, name in CAPS.items() if bits & bit)

    def is_open(self, at: int) -> bool:
        """Whether rows may exist after this instant."""
        return self.exists and (self.ended is None or self.ended > at)

    def is_paused(self, at: int) -> bool:
        window = self.window
        return any(begin <= at < end for begin, end in zip(window.pause_begin, window.pause_end, strict=True))

    @cached_property
    def boundaries(self) -> frozenset[int]:
        """The instants that the events of pauses named."""
        standing = (fact for key, fact in self.standing("status") if key.kind == Kind.PAUSED)
        return frozenset(time for fact in standing for time in (fact.first, fact.second) if time != UNSET)

    @cached_property
    def stalls(self) -> int | None:
        """When the open goals count as stalled, unless something changes."""
        whole = self.window.whole
        if whole[places.GOALS_OPEN] == 0:
            return None
        at = later(self.window, whole[places.PAUSES], whole[places.LAST_GOAL_CHANGE], stalled_after(self.profile))
        return None if at == FOREVER else at

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Who told what the score rests on."""
        if len(self.known.sources) == 1 and self.exists:
            return tuple(self.known.sources)
        found = {fact.source for name in LOOKED_AT for _, fact in self.standing(name)}
        first = self.known.facts[self.known.keys[0]]
        return tuple(sorted(found | ({first.source} if first.stands else set())))

    @cached_property
    def open_requests(self) -> tuple[str, ...]:
        """Names of the requests for support that nobody has resolved, oldest first."""
        columns, (low, high) = self.known.columns, self._selected(places.SUPPORT)
        return tuple(
            self._fact(columns.members[m])[1].name
            for m in range(low, high)
            if columns.kind[columns.members[m]] == REQUESTED
            and columns.stands[columns.members[m]]
            and not is_resolved(columns, m, high)
        )

    def standing(self, name: str) -> list[tuple[Key, Fact]]:
        """The selected facts of a group that are not retracted."""
        group = list(LOOKED_AT).index(name)
        if group in PER_GOAL_GROUPS:
            chosen = [i for i in self.window.goal if name in groups(self.known.keys[i])]
        else:
            low, high = self._selected(group)
            chosen = list(self.known.columns.members[low:high])
        return [(key, fact) for key, fact in map(self._fact, chosen) if fact.stands]

    def _selected(self, group: int) -> tuple[int, int]:
        columns, count = self.known.columns, self.known.counts[group]
        begin = columns.begin[group]
        return begin + max(0, count - columns.looked_at[group]), begin + count

    def _fact(self, place: int) -> tuple[Key, Fact]:
        key = self.known.keys[place]
        return key, self.known.facts[key]


def _time(micros: int) -> int | None:
    return None if micros == UNSET else micros
