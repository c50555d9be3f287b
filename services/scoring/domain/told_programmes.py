"""What a partition was told of the programmes, and what it is still to be told.

The rows that are out were made by the profiles of then. So a partition remembers them in its changelog and starts with
them again; only then is it told what the topic says now, and finds out whose rows would have been others."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from services.scoring.domain.bounds import NONE
from services.scoring.domain.profiles import DEFAULT, Programmes
from services.scoring.domain.programme_record import ProgrammeRecord, Unreadable

Told = Mapping[str, Sequence[ProgrammeRecord]]
"""By programme what each generation was told, latest record last: more than one where a worker died or was replaced
while it was told."""


class ProgrammeTable:
    """The topic, read up to `offset`: of each programme the last record that could be read."""

    def __init__(self) -> None:
        self.offset = NONE
        self._known: dict[str, ProgrammeRecord] = {}
        self._unreadable: dict[str, Unreadable] = {}

    def apply(self, record: ProgrammeRecord | Unreadable) -> None:
        if isinstance(record, Unreadable):
            self._unreadable[record.name] = record
        else:
            self._known[record.name] = record
            self._unreadable.pop(record.name, None)
        # Last: whoever sees this offset, on whatever thread, sees the record.
        self.offset = record.offset

    def since(self, offset: int) -> list[ProgrammeRecord]:
        """The programmes that have had a record beyond `offset`, in the order of their last ones."""
        return sorted((r for r in list(self._known.values()) if r.offset > offset), key=_offset)

    @property
    def unreadable(self) -> Collection[Unreadable]:
        """The programmes whose last record could not be read."""
        return self._unreadable.values()

    def untold(self, told: Told) -> list[ProgrammeRecord]:
        """What a partition that was told so much must be told to be where the topic is. Where two generations were told
        different things, rows may be of either: it is told both. A programme that the topic has forgotten has the
        defaults again."""
        disputed = [record for records in told.values() for record in records[:-1]]
        changed = [record for record in self.since(NONE) if not _is_told(record, told)]
        gone = [records[-1] for name, records in told.items() if name not in self._known.keys() | self._unreadable]
        back = [record._replace(profiles=DEFAULT, offset=self.offset) for record in gone]
        return [*disputed, *changed, *back]

    def programmes(self) -> Programmes:
        return _programmes(self.since(NONE))


def remembered(told: Told) -> Programmes:
    """With which a partition starts again, and with which its rows are healed."""
    return _programmes(records[-1] for records in told.values())


def _programmes(records: Iterable[ProgrammeRecord]) -> Programmes:
    programmes = Programmes()
    for record in records:
        programmes.tell(*record)
    return programmes


def _is_told(record: ProgrammeRecord, told: Told) -> bool:
    known = told.get(record.name, ())
    return [other.profiles for other in known] == [record.profiles]


def _offset(record: ProgrammeRecord) -> int:
    return record.offset
