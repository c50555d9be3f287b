"""When the next row of each relationship of a partition is due: at the next midnight, together with all others for whom
nothing but time passes, or at an instant of its own. And the histories that were worked with last: indexed facts take
many times the room of packed ones."""

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from services.scoring.domain.bounds import FOREVER
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.midnights import Group, NightlyRow, carried, due_groups, groups, midnight_rows
from services.scoring.domain.outlook import BLOCK, Outlook, Outlooks
from services.scoring.domain.profiles import Profiles

ProfilesOf = Callable[[str], Profiles]
"""Those of a relationship."""


class Schedule:
    def __init__(self) -> None:
        self.outlooks = Outlooks()
        self._alone: list[tuple[int, str]] = []

    def put(self, name: str, outlook: Outlook) -> None:
        """Replaces what was known of a relationship."""
        self.outlooks.write(name, outlook)
        if not outlook.prospect.nightly:
            self._put_alone(name, outlook.prospect.due)

    def next_due(self) -> int | None:
        """No row is due before it; None: none is ever, without another fact."""
        alone, night = self.next_alone(), self.outlooks.nearest_night
        return alone if night == FOREVER or (alone is not None and alone < night) else night

    def next_alone(self) -> int | None:
        """The least instant at which a relationship is due that has to be looked at by itself; entries that a later one
        replaced are thrown away."""
        while self._alone:
            due, name = self._alone[0]
            prospect = self.outlooks.prospect(name)
            if prospect is not None and prospect.due == due and not prospect.nightly:
                return due
            heapq.heappop(self._alone)
        return None

    def pop_alone(self) -> str:
        """The relationship that is due at `next_alone`."""
        return heapq.heappop(self._alone)[1]

    def midnight(self, midnight: int, most: int, profiles_of: ProfilesOf) -> Iterator[list[NightlyRow]]:
        """The rows of all those whose next one is that of this midnight, so many at the most at once; they are
        scheduled anew."""
        if self.outlooks.nearest_night > midnight:
            return
        for group in due_groups(self.outlooks, midnight, most):
            profiles = profiles_of(self.outlooks.names[group.block * BLOCK + int(group.places[0])])
            rows = midnight_rows(self.outlooks, group, midnight, profiles)
            for found in rows:
                if not found.nightly:
                    self._put_alone(found.name, found.due)
            yield rows
        self.outlooks.find_nearest_night()

    def carry(self, stored: Mapping[str, bytes], clock: int, profiles_of: ProfilesOf) -> set[str]:
        """Takes outlooks as they were stored, by relationship, as far as nothing but midnights lies between then and
        the clock. Returns the others: these have to be looked at anew."""
        anew: set[str] = set()
        places: dict[int, list[int]] = {}
        for name, derived in stored.items():
            place = self.outlooks.load(name, derived)
            if place is None:
                anew.add(name)
            else:
                places.setdefault(place // BLOCK, []).append(place % BLOCK)
        for block, rows in places.items():
            for group in groups(self.outlooks.blocks[block], block, np.array(rows), BLOCK):
                anew.update(self._carry_group(group, clock, profiles_of))
        self.outlooks.find_nearest_night()
        return anew

    def _carry_group(self, group: Group, clock: int, profiles_of: ProfilesOf) -> list[str]:
        names = {row: self.outlooks.names[group.block * BLOCK + row] for row in group.places.tolist()}
        profiles, block = profiles_of(next(iter(names.values()))), self.outlooks.blocks[group.block]
        if profiles.fingerprint == group.profiles:
            left = carried(self.outlooks, group, clock, profiles)
        else:
            left = group.places
            for name in names.values():
                self.outlooks.forget_healths(name, 0)
        block["nightly"][left] = 0
        for row in np.setdiff1d(group.places[block["nightly"][group.places] == 0], left).tolist():
            self._put_alone(names[row], int(block["due"][row]))
        return [names[row] for row in left.tolist()]

    def _put_alone(self, name: str, due: int) -> None:
        if due != FOREVER:
            heapq.heappush(self._alone, (due, name))


class Histories:
    """At most `most` facts, beside what may not be dropped yet."""

    def __init__(self, most: int) -> None:
        self.facts = 0
        self._most = most
        self._latest: OrderedDict[str, ScoreHistory] = OrderedDict()
        self._sizes: dict[str, int] = {}

    def get(self, name: str) -> ScoreHistory | None:
        found = self._latest.get(name)
        if found is not None:
            self._latest.move_to_end(name)
        return found

    def peek(self, name: str) -> ScoreHistory | None:
        """The same by somebody who does not work with it."""
        return self._latest.get(name)

    def put(self, name: str, history: ScoreHistory) -> None:
        """Also one that is there and has grown."""
        self._latest[name] = history
        self._latest.move_to_end(name)
        size = len(history.facts)
        self.facts += size - self._sizes.get(name, 0)
        self._sizes[name] = size

    def drop(self, name: str) -> None:
        if self._latest.pop(name, None) is not None:
            self.facts -= self._sizes.pop(name)

    def shrink(self, is_stored: Callable[[str], bool]) -> None:
        """Drops those that nobody has worked with for longest, as far as their facts lie elsewhere too."""
        for _ in range(len(self._latest)):
            if self.facts <= self._most:
                return
            name = next(iter(self._latest))
            if is_stored(name):
                self.drop(name)
            else:
                self._latest.move_to_end(name)
