"""A score in words and numbers for people: in the terms of a programme coordinator, in rounded points that still add
up, and as the story of every change in order, with its cause and the points of each part. About the relationship, never
about a person."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from string import Formatter
from typing import NamedTuple

from schemas.events import OfRelationship
from services.scoring.domain.bounds import DAY, ONE
from services.scoring.domain.row import SILENCE, Evaluation, HistoryRow, PartValue
from services.scoring.domain.score import BASE
from services.scoring.domain.timeline import BOOKING_STARTS, GOAL_STALLED, MIDNIGHT, PAUSE_BOUNDARY, PROFILE_CHANGED

# By type without prefix and version: a sentence in pieces. A piece is omitted if a field that it names is missing.
WORDS: Mapping[str, tuple[str, ...]] = {
    "relationship.started": ("relationship started", ", meeting every {cadence_days:g} days"),
    "relationship.expectations_agreed": ("expectations agreed",),
    "relationship.paused": ("paused ({reason})", " from {from_:%d %b %Y}", " until {until:%d %b %Y}"),
    "relationship.resumed": ("resumed",),
    "relationship.ended": ("relationship ended ({reason_code})",),
    "relationship.erased": ("relationship erased",),
    "preparation.completed": ("{by} prepared ({kind})",),
    "session.scheduled": ("session booked for {starts_at:%d %b %Y %H:%M}",),
    "session.rescheduled": ("session moved to {starts_at:%d %b %Y %H:%M}",),
    "session.cancelled": ("session cancelled", " {notice_hours:g} h ahead"),
    "session.held": ("session held", ", {minutes:g} min"),
    "session.missed": ("session missed, absent: {absent}",),
    "session.joined": ("{role} joined a session",),
    "session.left": ("{role} left a session",),
    "message.sent": ("message from the {by}",),
    "checkin.answered": ("{by} checked in", ", {rating} of 5"),
    "goal.set": ("goal {goal_id} set", ", due {due:%d %b %Y}"),
    "goal.revised": ("goal {goal_id} revised", ", due {due:%d %b %Y}"),
    "goal.progressed": ("goal {goal_id} at {percent:g} %",),
    "goal.achieved": ("goal {goal_id} achieved",),
    "goal.missed": ("goal {goal_id} missed",),
    "goal.abandoned": ("goal {goal_id} abandoned",),
    "milestone.celebrated": ("milestone celebrated", ", goal {goal_id}"),
    "feedback.given": ("{by} rated the {about} {rating:g} of {scale_max:g}",),
    "fit.rated": ("{by} calls the fit {fit}",),
    "pulse.answered": ("{by} rated well-being {rating} of 5",),
    "reflection.recorded": ("reflection of the {by}",),
    "skill.assessed": ("{by}'s skill {skill} went from {before} to {after}",),
    "introduction.made": ("introduction made by the {by}",),
    "resource.shared": ("resource shared by the {by}",),
    "support.requested": ("support requested ({topic}, {priority})",),
    "support.resolved": ("support request {request_id} resolved",),
    "event.retracted": ("an earlier report retracted",),
}
_FORMATTER = Formatter()


def short_type(type_: str) -> str:
    """`session.held` for `mentoring.session.held.v1`: also the cause of the row that the event brings about."""
    return type_.removeprefix("mentoring.").rpartition(".v")[0]


def words_of(event: OfRelationship) -> str:
    fields = dict(event.data)
    return "".join(
        piece.format(**fields)
        for piece in WORDS[short_type(event.type)]
        if all(fields[name] is not None for _, name, _, _ in _FORMATTER.parse(piece) if name)
    )


OF_TIME = {
    BOOKING_STARTS: "a booked session was to begin",
    GOAL_STALLED: "the open goals count as stalled",
    PAUSE_BOUNDARY: "a pause begins or ends",
    PROFILE_CHANGED: "the programme's profile changes",
}


def cause_words(at: int, row: HistoryRow, statements: Sequence[str]) -> tuple[str, ...]:
    """Of a row other than a plain midnight; the second argument holds what events report for this instant."""
    words = list(statements)
    for cause in row.causes:
        if cause.startswith("crossing."):
            _, measure, level = cause.split(".", 2)
            words.append(f"{passing(at, row)}: {'health falls' if measure == 'health' else 'risk rises'} to {level}")
        elif cause != MIDNIGHT and cause not in WORDS:
            words.append(OF_TIME.get(cause, cause.replace(".", " ").replace("_", " ")))
    return tuple(words)


def passing(at: int, row: HistoryRow) -> str:
    """What time alone brings: `no contact for 12 days`."""
    if row.last_contact is not None and at - row.last_contact < DAY:
        return "time passes"
    return since_words("contact", row.last_contact, row.started, at)


def since_words(what: str, last: int | None, started: int, at: int) -> str:
    """`no session for 12 days`; since the start if there was none."""
    days = spell((at - (started if last is None else last)) // DAY)
    return f"no {what} since the start, {days}" if last is None else f"no {what} for {days}"


def spell(days: float) -> str:
    rounded = round(days)
    return "1 day" if rounded == 1 else f"{rounded} days"


TENTH = ONE // 10
HUNDREDTH = ONE // 100


def shown_health(evaluation: Evaluation) -> int:
    """In tenths."""
    return rounded(evaluation.health, TENTH)


def shown_points(evaluation: Evaluation) -> list[int]:
    """The points of the parts in tenths, which sum exactly to the shown health."""
    return tenths([part.contribution for part in evaluation.parts])


def rounded(value: int, unit: int) -> int:
    """Millionths in units, halves rounded up: equal steps stay equal, which rounding to even would not guarantee."""
    return (2 * value + unit) // (2 * unit)


def tenths(values: Sequence[int]) -> list[int]:
    """Each value of millionths in tenths, summing to their rounded sum."""
    return shares(values, TENTH, rounded(sum(values), TENTH))


def shares(values: Sequence[int], unit: int, total: int) -> list[int]:
    """Each value of millionths in units such that they sum to `total`, which is their sum or next to it, by largest
    remainder; ties to the earlier. A value that needs no rounding stays as it is."""
    out = [value // unit for value in values]
    by_remainder = sorted(range(len(out)), key=lambda i: out[i] * unit - values[i])
    for i in by_remainder[: total - sum(out)]:
        out[i] += 1
    return out


NOTABLE = 20
"""Tenths of a point; less is no reason."""
LACKS: Mapping[str, str] = {
    "reliability": "sessions missed, cancelled, or few so far",
    "goals": "goals have not moved, or are not SMART",
    "feedback": "ratings below the full mark, or few so far",
    "mutual": "messages mostly from one side",
    "responsiveness": "replies take long",
    "support": "well-being rated below the full mark, or seldom so far",
    "growth": "no recent step of learning",
    "expectations": "expectations or preparation still open",
}
CAPS: Mapping[str, str] = {
    "support_open": "an immediate support request is open",
    "fit_not_good": "the fit is called not good",
}


class Missing(NamedTuple):
    """`points`: how far the part is below its maximum, in tenths, negative."""

    part: str
    points: int
    words: str


def missing(at: int, row: HistoryRow, last_held: int | None) -> tuple[Missing, ...]:
    """The notable shortfalls, the largest first. `last_held`: when the last session was held."""
    statements = {
        **LACKS,
        SILENCE: since_words("contact", row.last_contact, row.started, at),
        "rhythm": f"{since_words('session', last_held, row.started, at)}, due every {row.cadence:g}",
    }
    lacks = [
        Missing(part.name, points - full(row, part), statements.get(part.name, part.name))
        for part, points in zip(row.evaluation.parts, shown_points(row.evaluation), strict=True)
    ]
    return tuple(sorted((lack for lack in lacks if lack.points <= -NOTABLE), key=lambda lack: lack.points))


def full(row: HistoryRow, part: PartValue) -> int:
    """The maximum points of the part, in tenths."""
    total = sum(one.weight for one in row.evaluation.parts)
    return round(1000 * part.weight / total) if total else 0


def capped_by(row: HistoryRow) -> tuple[str, ...]:
    """What caps the band, in words."""
    return tuple(CAPS[code] for code in row.evaluation.caps)


PLURAL = frozenset({"goals", "expectations"})


class Change(NamedTuple):
    """One row, or a stretch of midnights. Health in tenths, `before` None without a preceding row; `moved`: the parts
    that changed, in tenths that sum to the change shown. `risk` in millionths, `term`: the term that raises it most."""

    begin: int
    end: int
    rows: int
    words: tuple[str, ...]
    before: int | None
    health: int
    band: str
    moved: tuple[tuple[str, int], ...]
    risk: int
    term: str


def story(rows: Mapping[int, HistoryRow], words: Mapping[int, tuple[str, ...]]) -> Iterator[Change]:
    """`rows` in order; `words`: what events report for each instant."""
    statements: list[tuple[list[tuple[int, HistoryRow]], tuple[str, ...]]] = []
    for quiet, stretch in groupby(rows.items(), key=lambda item: item[1].causes == (MIDNIGHT,)):
        if quiet:
            midnights = list(stretch)
            statements.append((midnights, (passing(*midnights[-1]),)))
        else:
            statements += [([(at, row)], cause_words(at, row, words.get(at, ()))) for at, row in stretch]
    for some, sentence in statements:
        (begin, first), (end, last) = some[0], some[-1]
        before, now = first.before.evaluation if first.before else None, last.evaluation
        yield Change(
            begin=begin,
            end=end,
            rows=len(some),
            words=sentence,
            before=shown_health(before) if before else None,
            health=shown_health(now),
            band=now.band,
            moved=_moved(before, now),
            risk=now.risk,
            # The term that raises the risk most; if none does, the one that lowers it least.
            term=max((value, name) for name, value in now.terms if name != BASE)[1],
        )


def _moved(before: Evaluation | None, now: Evaluation) -> tuple[tuple[str, int], ...]:
    """Where a factor begins or ceases to count, the weights of all others are redistributed: that effect is listed with
    the factor, so that no other part seems to get worse."""
    if before is None:
        points = {part.name: part.contribution for part in now.parts}
        total = shown_health(now)
    else:
        points = _differences(before, now)
        total = shown_health(now) - shown_health(before)
    moved = shares(list(points.values()), TENTH, total)
    return tuple((name, tenth) for name, tenth in zip(points, moved, strict=True) if tenth)


def _differences(before: Evaluation, now: Evaluation) -> dict[str, int]:
    """By part, in millionths; the effect of new weights is an entry of its own."""
    was, points = {part.name: part for part in before.parts}, {part.name: part for part in now.parts}
    began, ceased = [name for name in points if name not in was], [name for name in was if name not in points]
    found = {name: part.contribution - was[name].contribution for name, part in points.items() if name in was}
    if not began and not ceased:
        return found
    old, new = (sum(part.weight for part in of.parts) for of in (before, now))
    reweighted = {
        name: round(100.0 * (part.weight / new - was[name].weight / old) * was[name].value)
        for name, part in points.items()
        if name in was and part.weight
    }
    shared = sum(reweighted.values()) + sum(points[name].contribution for name in began)
    shared -= sum(was[name].contribution for name in ceased)
    # Silence takes its share of the redistributed points, too.
    reweighted[SILENCE] = -round(shared * was[SILENCE].value / ONE)
    rest = {name: value - reweighted.get(name, 0) for name, value in found.items()}
    # `goals now count`, `support no longer counts`.
    statements = [
        f"{' and '.join(names)} {when} {'count' if len(names) > 1 or names[0] in PLURAL else 'counts'}"
        for names, when in ((began, "now"), (ceased, "no longer"))
        if names
    ]
    return {", ".join(statements): shared + reweighted[SILENCE], **rest}
