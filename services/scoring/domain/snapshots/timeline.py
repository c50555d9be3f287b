"""The snapshots of one relationship by instant."""

from bisect import bisect_left
from collections.abc import Iterable
from heapq import nlargest
from operator import itemgetter

from services.scoring.domain.facts import Fact, Facts, Key
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.snapshots.index import FactIndex, View
from services.scoring.domain.snapshots.snapshot import Snapshot, snapshot

REMEMBERED = 2
"""Snapshots kept for a relationship: those of the newest facts."""


class Timeline:
    def __init__(self, facts: Facts, profiles: Profiles) -> None:
        self.index = FactIndex(facts)
        self._profiles = profiles
        self._remembered: dict[tuple[int, int], Snapshot] = {}
        self._latest: dict[int, Snapshot] = {}

    def at(self, instant: int) -> Snapshot:
        """Of the facts up to and including this instant, under the version of the profile that is in force then."""
        count, version = self.index.count(instant), self._profiles.number(instant)
        found = self._remembered.get((count, version))
        if found is None:
            before, parameters = self._latest.get(version), self._profiles.parameters[version]
            found = snapshot(View(self.index, count), parameters, before)
            self._remembered[count, version] = found
            if before is None or before.view.count < count:
                self._latest[version] = found
        return found

    def forget(self) -> None:
        """All snapshots but those of the newest facts."""
        if len(self._remembered) > 2 * REMEMBERED:
            self._keep(nlargest(REMEMBERED, self._remembered.items(), key=itemgetter(0)))

    def append(self, key: Key, fact: Fact) -> None:
        """One more fact, newer than all others: what is known before it stays."""
        self.index.append(key, fact)

    def inherit(self, older: "Timeline", since: int) -> None:
        """Keeps the snapshots of the facts before `since`, if the two have the same ones before it."""
        count = bisect_left(self.index.times, since)
        if older.index.keys[:count] != self.index.keys[:count]:
            return
        # The first facts of both indexes are the same, and the older one need not live on.
        kept = [(place, found) for place, found in older._remembered.items() if 0 < place[0] <= count]  # noqa: SLF001 (of its own kind)
        for _, found in kept:
            found.view.index = self.index
        self._keep(kept)

    def _keep(self, snapshots: Iterable[tuple[tuple[int, int], Snapshot]]) -> None:
        """These alone, by how many facts and which version of the profile they are of."""
        self._remembered = dict(sorted(snapshots, key=itemgetter(0)))
        self._latest = {version: found for (_, version), found in self._remembered.items()}
