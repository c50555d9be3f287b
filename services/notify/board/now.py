"""The page of all open alerts: its address says which of them it shows, and in which order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from schemas.alerts import Urgency
from services.notify.board.access import BoardPerson
from services.notify.board.rows import AlertReader, AlertRow, group_by_subject, is_unassigned
from services.notify.domain.alert_episode import AlertEpisode
from services.notify.domain.wording import ISOLATED, ISOLATED_END

URGENCIES: tuple[Urgency, ...] = ("P1", "P2", "P3")
OWNERS = ("all", "mine", "team", "unassigned")
SORTS: Mapping[str, str] = {"since": "longest open first", "newest": "newest first", "name": "name", "due": "due first"}
PER_PAGE = 200
"""Also the limit of a bulk act."""
LONGEST_SEARCH, LONGEST_ID, MAX_PAGES = 100, 128, 1_000


@dataclass(frozen=True)
class AlertQuery:
    """Which alerts are shown, and in which order, as the address says."""

    owner: str = "all"
    program: str = ""
    rule: str = ""
    search: str = ""
    sort: str = "since"
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "AlertQuery":
        """Parse any address: invalid values count as absent."""
        owner, sort, page = query.get("owner", "all"), query.get("sort", "since"), query.get("page", "1")
        return cls(
            owner if owner in OWNERS else "all",
            query.get("program", "")[:LONGEST_ID],
            query.get("rule", "")[:LONGEST_ID],
            " ".join(query.get("q", "")[:LONGEST_SEARCH].split()),
            sort if sort in SORTS else "since",
            min(int(page[:6]), MAX_PAGES) if page.isascii() and page.isdecimal() and int(page[:6]) else 1,
        )

    def address(self, **changed: Any) -> str:  # noqa: ANN401 (its own fields)
        changed_query = replace(self, **({"page": 1} | changed))
        values = {
            "owner": changed_query.owner,
            "program": changed_query.program,
            "rule": changed_query.rule,
            "q": changed_query.search,
        }
        values |= {"sort": changed_query.sort, "page": str(changed_query.page)}
        defaults = {"owner": "all", "sort": "since", "page": "1"}
        # An explicit "all" overrides what the board opens with for the person.
        explicit = {"owner"} if changed.get("owner") == "all" else set[str]()
        parameters = {n: value for n, value in values.items() if value and (value != defaults.get(n) or n in explicit)}
        return f"/?{urlencode(parameters)}" if parameters else "/"


@dataclass(frozen=True)
class NowPage:
    """`groups`: entries by class, the most urgent first; a pair is one entry, with all of its matching alerts. `found`:
    entries of all pages; `open`: alerts before filtering."""

    query: AlertQuery
    groups: Sequence[tuple[str, Sequence[AlertRow]]]
    found: int
    open: int
    urgent: int
    pages: int
    programs: Sequence[str]
    rules: Sequence[str]
    mine: int
    team: int
    unassigned: int


def now_page(reader: AlertReader, person: BoardPerson, query: AlertQuery) -> NowPage:
    everything = [one for one in reader.visible(person) if one.is_open]
    entries = group_by_subject(matching_alerts(reader, everything, person, query))
    pages = max(1, -(-len(entries) // PER_PAGE))
    first = (min(query.page, pages) - 1) * PER_PAGE
    rows = [reader.entry(of_one, person) for of_one in entries[first : first + PER_PAGE]]
    team = _team(reader, person)
    return NowPage(
        query=query,
        groups=[(u, of) for u in URGENCIES if (of := [row for row in rows if row.urgency == u])],
        found=len(entries),
        open=len(everything),
        urgent=sum(one.state.urgency == "P1" for one in everything),
        pages=pages,
        programs=sorted({one.watch.subject.program for one in everything}),
        rules=sorted({one.rule for one in everything}),
        mine=sum(_is_held_by(one, person) for one in everything),
        team=sum(one.watch.subject.program in team for one in everything),
        unassigned=sum(is_unassigned(one) for one in everything),
    )


def matching_alerts(
    reader: AlertReader, open_: Iterable[AlertEpisode], person: BoardPerson, query: AlertQuery
) -> list[AlertEpisode]:
    """Return the matching alerts, firing before recovering, and unhandled before handled."""
    last = datetime.max.replace(tzinfo=UTC)

    def key(one: AlertEpisode) -> tuple[object, ...]:
        first = (one.state.urgency or "P9", one.state.condition != "firing", one.handling.state != "open")
        since = one.state.since or last
        match query.sort:
            case "newest":
                return (*first, -since.timestamp(), one.dedup_key)
            case "name":
                return (*first, reader.who(one, reader.naming(one)).casefold(), one.dedup_key)
            case "due":
                return (*first, reader.due_day(one, reader.naming(one), reader.last(one)), one.dedup_key)
            case _:
                return (*first, since, one.dedup_key)

    return sorted((one for one in open_ if matches(reader, one, person, query)), key=key)


def matches(reader: AlertReader, one: AlertEpisode, person: BoardPerson, query: AlertQuery) -> bool:
    if query.program and one.watch.subject.program != query.program:
        return False
    if query.rule and one.rule != query.rule:
        return False
    if query.owner == "mine" and not _is_held_by(one, person):
        return False
    if query.owner == "team" and one.watch.subject.program not in _team(reader, person):
        return False
    if query.owner == "unassigned" and not is_unassigned(one):
        return False
    subject, who = one.watch.subject, reader.who(one, reader.naming(one)) if query.search else ""
    words = f"{who} {subject.id} {subject.program} {one.rule} {one.rule.replace('_', ' ')}"
    return _letters(query.search) in _letters(words)


def _letters(words: str) -> str:
    """Return what somebody would type: without the marks that isolate right-to-left names."""
    return words.replace(ISOLATED, "").replace(ISOLATED_END, "").casefold()


def _team(reader: AlertReader, person: BoardPerson) -> list[str]:
    """Return the programmes that name the person."""
    return [] if person.tenant is None else [name for name, _ in reader.people.roles_of(person.tenant, person.id)]


def _is_held_by(one: AlertEpisode, person: BoardPerson) -> bool:
    handling = one.handling
    return handling.assignee == person.id or (handling.assignee is None and handling.by == person.id)
