"""The sample history as CloudEvents: chosen, shifted by whole days to end yesterday, in time order."""

import csv
import gzip
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import Any

SOURCE = "/sample/rust-review"
TENANT = "demo"
PROGRAM = "rust-review"
FROM, UNTIL = datetime(2021, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)
TRAINING_UNTIL = datetime(2023, 1, 1, tzinfo=UTC)
"""The risk is calibrated on the contacts before this instant; the last year shows how well it predicted. Two years,
because in the first months the sample has no history of a pair: cases of that time have met unusually often, and one
year alone underestimates how many pairs fall silent."""
MIN_CONTACT_DAYS = 3
"""Pairs with fewer contact days are no relationships worth monitoring."""


@dataclass(frozen=True)
class Contact:
    """`time` is the original one, before any shift: ids derive from it, so that they do not depend on the day of the
    demo."""

    pair: int
    time: datetime


def contacts() -> list[Contact]:
    """Return the contacts within the span of all pairs with enough contact days, oldest first."""
    packed = (files("deploy.local") / "sample" / "rust_review.csv.gz").read_bytes()
    with io.TextIOWrapper(gzip.GzipFile(fileobj=io.BytesIO(packed)), encoding="ascii") as lines:
        rows = [
            Contact(int(row["pair_id"]), datetime.fromtimestamp(int(row["t"]), tz=UTC)) for row in csv.DictReader(lines)
        ]
    days: Mapping[int, set[date]] = defaultdict(set)
    spanned = [contact for contact in rows if FROM <= contact.time < UNTIL]
    for contact in spanned:
        days[contact.pair].add(contact.time.date())
    chosen = [contact for contact in spanned if len(days[contact.pair]) >= MIN_CONTACT_DAYS]
    return sorted(chosen, key=lambda contact: (contact.time, contact.pair))


def shift_to(today: date, chosen: Sequence[Contact]) -> timedelta:
    """Return the whole days that move the last contact to the day before `today`."""
    return today - timedelta(days=1) - chosen[-1].time.date()


def end_of(chosen: Sequence[Contact], shift: timedelta) -> datetime:
    """Return the midnight after the last contact."""
    last = chosen[-1].time + shift
    return datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)


def events(chosen: Sequence[Contact], shift: timedelta) -> Iterator[dict[str, Any]]:
    """Yield one `session.held` per contact; a pair's first contact also starts the relationship."""
    started: set[int] = set()
    for contact in chosen:
        if contact.pair not in started:
            started.add(contact.pair)
            people = {"mentors": [f"reviewer-{contact.pair}"], "mentees": [f"author-{contact.pair}"]}
            data = {"kind": "one_to_one", **people, "evidence": "inferred"}
            yield _event(contact, shift, "relationship.started", f"{contact.pair}-started", data)
        identity = f"{contact.pair}-{round(contact.time.timestamp())}"
        data = {"session_id": identity, "started_at": _text(contact.time + shift), "evidence": "inferred"}
        yield _event(contact, shift, "session.held", identity, data)


def _event(contact: Contact, shift: timedelta, kind: str, identity: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "source": SOURCE,
        "id": identity,
        "type": f"mentoring.{kind}.v1",
        "time": _text(contact.time + shift),
        "subject": f"pair-{contact.pair}",
        "program": PROGRAM,
        "datacontenttype": "application/json",
        "data": data,
    }


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
