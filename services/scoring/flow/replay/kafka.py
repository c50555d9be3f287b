"""The log itself as the source of a replay, up to the stored watermarks."""

from collections.abc import Iterator

from schemas.topics import position
from services.runtime.kafka import Partition, partition_count
from services.runtime.log_place import misplaced
from services.runtime.settings import Settings
from services.scoring.flow.log_reading import Stored
from services.scoring.flow.replay.source import Logged, Part, Upto
from services.scoring.flow.whole_log import Passed, records_up_to
from services.scoring.names import Names


class KafkaSource:
    name = "kafka"

    def __init__(self, settings: Settings, names: Names, known: Stored) -> None:
        self._settings, self._names = settings, names
        self._offsets = {number: mark.offset for number, mark in sorted(known.watermarks.items())}
        self.size = sum(offset + 1 for offset in self._offsets.values())
        self.upto = upto(names, known)

    def records(self, part: Part, passed: Passed) -> Iterator[Logged]:
        """Raises LogCutOffError, KafkaError."""
        partitions = partition_count(self._settings, self._names.events)
        for number, offset in self._offsets.items():
            for record in records_up_to(self._settings, Partition(self._names.events, number), offset, passed):
                if record.key is None or record.value is None or not part.has(record.key):
                    continue
                name = record.key.decode(errors="replace")
                # Whether it is the key of its event is seen when that is decoded.
                if misplaced(record.key, number, partitions, name) is None:
                    yield Logged(name, number, position(self._names.epoch, record.offset), record.value)


def upto(names: Names, known: Stored) -> dict[int, Upto]:
    """What the workers have acknowledged of each partition."""
    return {number: Upto(position(names.epoch, m.offset), m.clock) for number, m in known.watermarks.items()}
