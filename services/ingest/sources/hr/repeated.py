"""One person in several rows of a file: a post that has ended beside the one that goes on, or the same row twice."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from services.ingest.domain.written import visible
from services.ingest.sources.hr.columns import COLUMNS
from services.ingest.sources.hr.employee import Employee
from services.ingest.sources.hr.settings import HrSettings

UNCLEAR = "stands in several rows, of which none is active: nobody knows which of them counts"


def distinct(records: Sequence[object], settings: HrSettings) -> list[object]:
    """The records in their order. Of several of one person the first that is active counts or, where they all say the
    same, the first; the others say `counts_elsewhere`. Where that leaves it open, each of them is at fault: which one
    holds, and so whether somebody has left, is not guessed. One whose status nobody knows is at fault by itself."""
    found = list(records)
    for people in _repeated(records, settings):
        active = next((place for place, person in people.items() if _status(person, settings) == "active"), None)
        is_same = len({repr([person.found(column)[1] for column in COLUMNS]) for person in people.values()}) == 1
        one = min(people) if active is None and is_same else active
        for place in people.keys() - {one}:
            said = {"fault": {"words": UNCLEAR}} if one is None else {"counts_elsewhere": True}
            found[place] = _only_place(records[place]) | said
    return found


def _repeated(records: Sequence[object], settings: HrSettings) -> Iterator[Mapping[int, Employee]]:
    """Of each person of whom several records have a status that is known, these, by their places."""
    people = defaultdict[str, dict[int, Employee]](dict)
    for place, record in enumerate(records):
        if isinstance(record, dict) and isinstance(record.get("employee"), dict) and "fault" not in record:
            person = Employee("", record["employee"], settings)
            if _status(person, settings):
                people[visible(person.text("id"))][place] = person
    yield from (found for name, found in people.items() if name and len(found) > 1)


def _status(person: Employee, settings: HrSettings) -> str | None:
    return settings.status(person.text("status"), person.found("status")[0])


def _only_place(record: object) -> dict[str, object]:
    assert isinstance(record, dict)
    return {name: record[name] for name in ("line", "index") if name in record} | {"employee": {}}
