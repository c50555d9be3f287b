"""The text of one alert, or of several, for any channel: what changed, since when, why, how sure, what to do next, who
has it, until when, and the link."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from schemas.alerts import Alert, Delivery, Urgency
from services.notify.domain.deliveries import listed_alerts
from services.notify.domain.name_book import MessageNames, NameBook
from services.notify.domain.notices import NOTICES, OURS, is_notice
from services.notify.domain.pipeline import why_late
from services.notify.domain.wording import truncate
from services.notify.domain.working_hours import NEEDS_ACKNOWLEDGEMENT, escalates_at
from services.notify.rendering import phrases
from services.notify.rendering.machines import fill_link

HEADLINE = 65
"""Characters: 80 with the state before it (`RESOLVED · P3: `), which a phone, a preview and a list of mails show."""
REPEAT = "This may be a repeat: it is not known whether an earlier message with the same content arrived."
FALLBACK_REMARK = "You get this in place of somebody who could not be reached."
NO_OWNER = "nobody yet: the programme names no coordinator who is here"
UNKNOWN_PERSON = "somebody whom no directory names any more"


@dataclass(frozen=True)
class Headline:
    """A headline that stands alone, in at most HEADLINE characters. `details`: why, what to do next, who has it and
    until when, in one line."""

    word: str
    urgency: Urgency
    headline: str
    link: str | None
    details: str = ""


@dataclass(frozen=True)
class AlertText:
    """`topic` is the same for all messages of an episode; `act`: what to do next. A single alert has `because` and
    `facts`; several have `lines`, the most urgent first, and `more` are only counted. `people`: the ids of everybody
    named."""

    first: Headline
    topic: str
    paragraphs: tuple[str, ...]
    act: str = ""
    because: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    lines: tuple[Headline, ...] = ()
    more: int = 0
    people: tuple[str, ...] = ()

    @property
    def opening(self) -> str:
        """The subject, the change and what to do, in one line: previews show no more."""
        return f"{self.first.headline}. {self.act}".strip() if self.act else self.first.headline


def alert_text(delivery: Delivery, people: NameBook, link: str | None, board: str | None = None) -> AlertText:
    """`link`: the page of a relationship, with names to fill in; `board`: the page of all alerts, for a list."""
    if is_notice(delivery):
        return _notice_text(delivery, people)
    first = _AlertView(delivery.alert, delivery.tenant, delivery.program, delivery.relationship)
    items = [_AlertView(item.alert, delivery.tenant, item.program, item.relationship) for item in delivery.items]
    if items:
        found = _list_text(delivery, [first, *items], people, link)
        return replace(found, first=replace(found.first, link=board))
    found = _single_text(first, _remarks(delivery), people, link)
    next_in_line = _next_in_line(delivery, people)
    if next_in_line is None:
        return found
    person, words = next_in_line
    fact = ("If nobody acknowledges it", words)
    return replace(found, facts=(*found.facts, fact), people=tuple(dict.fromkeys((*found.people, person))))


@dataclass(frozen=True)
class _AlertView:
    alert: Alert
    tenant: str
    program: str
    relationship: str

    def naming(self, people: NameBook) -> MessageNames:
        return people.naming(self.tenant, self.program, self.relationship)

    def subject(self, naming: MessageNames) -> str:
        if self.alert.subject_kind != "relationship":
            return self.program
        return f"{self.program}: {naming.pair or f'pair {self.relationship}'}"


def _notice_text(delivery: Delivery, people: NameBook) -> AlertText:
    alert, words = delivery.alert, NOTICES[delivery.alert.rule]
    is_over = alert.transition == "resolved" and words.over
    first = Headline("Over" if is_over else words.word, alert.urgency, words.over if is_over else words.headline, None)
    facts, named = [("Next", alert.next_step)], tuple[str, ...]()
    if alert.rule == "address_off" and delivery.tenant != OURS:
        name = people.name(delivery.tenant, delivery.relationship)
        facts, named = [("Whose address", name or UNKNOWN_PERSON), *facts], (delivery.relationship,) if name else ()
    return AlertText(first, f"Rapport: {words.headline}", (alert.summary,), facts=tuple(facts), people=named)


def _single_text(view: _AlertView, remarks: Sequence[str], people: NameBook, link: str | None) -> AlertText:
    alert, naming = view.alert, view.naming(people)
    is_open = alert.transition != "resolved"
    due = [("Until", phrases.due(alert, naming))] if is_open else []
    return AlertText(
        first=_headline(view, naming, link),
        topic=f"{view.subject(naming)}: {phrases.topic(alert)}",
        paragraphs=(*remarks, phrases.change(alert, naming, alert.decided_at)),
        act=phrases.next_act(alert, naming),
        because=tuple(phrases.because(reason, alert) for reason in alert.reasons) if is_open else (),
        facts=(
            ("Who has it", naming.owner or NO_OWNER),
            *due,
            *([("How sure", sure)] if (sure := phrases.sure(alert)) else []),
        ),
        people=naming.people,
    )


def _list_text(delivery: Delivery, views: list[_AlertView], people: NameBook, link: str | None) -> AlertText:
    """A list: what to do first, and for each line who does what until when."""
    in_order = sorted(views, key=lambda view: (view.alert.transition == "resolved", view.alert.urgency))
    namings = [view.naming(people) for view in in_order]
    lines = tuple(_line(view, naming, link) for view, naming in zip(in_order, namings, strict=True))
    programs = sorted({view.program for view in views})
    where = programs[0] if len(programs) == 1 else f"{len(programs)} programmes"
    count = f"{len(views) + delivery.more} alerts"
    headline = f": {count}, the most urgent first"
    first = Headline("List", in_order[0].alert.urgency, f"{truncate(where, HEADLINE - len(headline))}{headline}", None)
    return AlertText(
        first=first,
        topic=f"{where}: {count}",
        paragraphs=tuple(_remarks(delivery)),
        lines=lines,
        more=delivery.more,
        people=tuple(dict.fromkeys(person for naming in namings for person in naming.people)),
    )


def _headline(view: _AlertView, naming: MessageNames, link: str | None) -> Headline:
    """`spruce: Ana Ruiz & Ben Ode: health 38, low since 1 May`: names are shortened, not the change."""
    happened = f": {phrases.happened(view.alert, naming, view.alert.decided_at)}"
    words = f"{truncate(view.subject(naming), HEADLINE - len(happened))}{happened}"
    url = fill_link(link, view.tenant, view.program, view.relationship) if link else None
    return Headline(phrases.word(view.alert), view.alert.urgency, words, url)


def _line(view: _AlertView, naming: MessageNames, link: str | None) -> Headline:
    alert, found = view.alert, _headline(view, naming, link)
    mostly = [f"Mostly: {phrases.because(alert.reasons[0], alert)}."] if alert.reasons else []
    due = f", {phrases.due(alert, naming)}" if alert.transition != "resolved" else ""
    muted = [f"First since the silence {alert.after_silence}."] if alert.after_silence else []
    details = " ".join(
        [*muted, *mostly, f"Next: {phrases.next_act(alert, naming)}", f"Who: {naming.owner or 'nobody yet'}{due}."]
    )
    return Headline(found.word, found.urgency, found.headline, found.link, details)


def _next_in_line(delivery: Delivery, people: NameBook) -> tuple[str, str] | None:
    """Return who is asked next, by id, and the words, for a mail to the owner of the programme."""
    alert, calendar = delivery.alert, people.calendar(delivery.tenant, delivery.program)
    at = escalates_at(alert.urgency, alert.decided_at, calendar)
    to = people.next_in_line(delivery.tenant, delivery.program, lambda _: False)
    if delivery.person is None or alert.transition not in NEEDS_ACKNOWLEDGEMENT or at is None or to is None:
        return None
    local = calendar.local(at)
    name = people.name(delivery.tenant, to.person.id)
    return to.person.id, f"it goes to {name} ({to.role}) on {local:%a} {local.day} {local:%b at %H:%M}"


def _remarks(delivery: Delivery) -> Sequence[str]:
    silence = delivery.alert.after_silence
    # Where all listed alerts were late, it says why; of several reasons the first.
    late = [why_late(alert) for alert in listed_alerts(delivery)]
    return [
        *([f"It is the first message since the silence {silence} has ended."] if silence else []),
        *([f"No news of today, but so now: {late[0]}."] if all(late) else []),
        *([REPEAT] if delivery.repeat else []),
        *([FALLBACK_REMARK] if delivery.fallback_of is not None else []),
    ]
