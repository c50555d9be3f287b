"""Moves what the old log holds to the new one: the records, then the states that are made of them."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from services.runtime.kafka import Committed, Partition, Reader, reading
from services.runtime.settings import Settings
from services.scoring.domain.changelog import Recovery
from services.scoring.domain.repartition import PartitionSplit
from services.scoring.flow.repartition.copying import Digest, copy_partition
from services.scoring.flow.repartition.plan import NotRepartitionedError, Repartitioning, Tracked
from services.scoring.flow.repartition.states import entries_of, of_child, read_log, repartitioned_states, write_states


@dataclass(frozen=True)
class Repartitioned:
    """What the new log holds."""

    records: int
    relationships: int


@dataclass(frozen=True)
class Move:
    settings: Settings
    repartitioning: Repartitioning
    split: PartitionSplit
    told: Tracked

    def copy_log(self) -> dict[int, Digest]:
        """What each new partition has to hold. Raises NotRepartitionedError, KafkaError."""
        source, target = self.repartitioning.old.names.events, self.repartitioning.new.names.events
        with reading(self.settings, [source]) as reader:
            places = sorted(reader.assignment())
            total = sum(reader.end_offsets(places).values()) - sum(reader.beginning_offsets(places).values())
        passed = self.told("copying the log", total)
        due: dict[int, Digest] = {}
        for place in places:
            self.repartitioning.check()
            due |= copy_partition(self.settings, place, target, self.split, passed)
        return due

    def pass_over(self, due: Mapping[int, Digest]) -> None:
        """Who has read the old log goes on behind the copies."""
        old, new = self.repartitioning.old.names.events, self.repartitioning.new.names.events
        for group in (group for group, topics in self.repartitioning.readers.items() if old in topics):
            with closing(Reader(self.settings, group)) as reader:
                reader.assign([new])
                reader.commit({Partition(new, child): Committed(digest.count) for child, digest in due.items()})

    def rebuild_states(self, recovered: Mapping[int, Recovery], due: Mapping[int, Digest]) -> Repartitioned:
        """Raises NotRepartitionedError where a new partition is not what was copied, KafkaError."""
        names = self.repartitioning.new.names
        passed = self.told("rebuilding the states", sum(digest.count for digest in due.values()))
        relationships = 0
        for child, digest in due.items():
            found = read_log(self.settings, names, child, passed)
            if found.digest.value != digest.value:
                raise NotRepartitionedError(
                    f"{names.events} {child} is not what was copied: --abandon it and begin again"
                )
            old = recovered[child % self.split.old]
            states = repartitioned_states(of_child(old.states, child, self.split.new), found)
            self.repartitioning.check()
            write_states(self.settings, names, child, entries_of(old, states, digest.count))
            relationships += len(states)
        return Repartitioned(sum(digest.count for digest in due.values()), relationships)
