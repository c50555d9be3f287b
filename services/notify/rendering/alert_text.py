"""What a person reads of one alert, or of several, in any channel: what changed, since when, why, how sure, what to do
next, who has it, until when, and where more of it stands."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from schemas.alerts import Alert, Delivery, Urgency
from services.notify.domain.deliveries import listed_alerts
from services.notify.domain.name_book import MessageNames, NameBook
from services.notify.domain.notices import NOTICES, OURS, is_notice
from services.notify.domain.pipeline import why_late
from services.notify.domain.wording import cut
from services.notify.domain.working_hours import NEEDS_ACKNOWLEDGEMENT, escalates_at
from services.notify.rendering import phrases
from services.notify.rendering.machines import fill_link

HEADLINE = 65
"""Characters: with the state before it (`RESOLVED · P3: `) 80, which a phone, a preview and a list of mails show."""
REPEAT = "This may be a repeat: it is not known whether an earlier message with the same content arrived."
STANDS_IN = "You get this in place of somebody who could not be reached."
NOBODY = "nobody yet: the programme names no coordinator who is here"
NOT_NAMED = "somebody whom no directory names any more"


@dataclass(frozen=True)
class Headline:
    """One alert, or all that a message tells: words that stand alone, in at most HEADLINE characters. `details`: in
    one line why, what to do next, who has it and until when."""

    word: str
    urgency: Urgency
    headline: str
    link: str | None
    details: str = ""


@dataclass(frozen=True)
class AlertText:
    """`topic` is the same for all messages of an episode; `act`: what to do next. Of one alert `because` and `facts`
    tell; of several `lines`, the most urgent first, and `more` are only counted. `people`: the ids of everybody who is
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
        """Who it is about, what has happened and what to do, in one line: previews show no more."""
        return f"{self.first.headline}. {self.act}".strip() if self.act else self.first.headline


def alert_text(delivery: Delivery, people: NameBook, link: str | None) -> AlertText:
    if is_notice(delivery):
        return _of_notice(delivery, people)
    first = _AlertView(delivery.alert, delivery.tenant, delivery.program, delivery.relationship)
    items = [_AlertView(item.alert, delivery.tenant, item.program, item.relationship) for item in delivery.items]
    if items:
        return _of_several(delivery, [first, *items], people, link)
    found = _of_one(first, _remarks(delivery), people, link)
    asked = _next_in_line(delivery, people)
    if asked is None:
        return found
    person, words = asked
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


def _of_notice(delivery: Delivery, people: NameBook) -> AlertText:
    alert, words = delivery.alert, NOTICES[delivery.alert.rule]
    is_over = alert.transition == "resolved" and words.over
    first = Headline("Over" if is_over else words.word, alert.urgency, words.over if is_over else words.headline, None)
    facts, named = [("Next", alert.next_step)], tuple[str, ...]()
    if alert.rule == "address_off" and delivery.tenant != OURS:
        name = people.name(delivery.tenant, delivery.relationship)
        facts, named = [("Whose address", name or NOT_NAMED), *facts], (delivery.relationship,) if name else ()
    return AlertText(first, f"Rapport: {words.headline}", (alert.summary,), facts=tuple(facts), people=named)


def _of_one(told: _AlertView, remarks: Sequence[str], people: NameBook, link: str | None) -> AlertText:
    alert, naming = told.alert, told.naming(people)
    is_open = alert.transition != "resolved"
    due = [("Until", phrases.due(alert, naming))] if is_open else []
    return AlertText(
        first=_headline(told, naming, link),
        topic=f"{told.subject(naming)}: {phrases.topic(alert)}",
        paragraphs=(*remarks, phrases.change(alert, naming, alert.decided_at)),
        act=phrases.next_act(alert, naming),
        because=tuple(phrases.because(reason, alert) for reason in alert.reasons) if is_open else (),
        facts=(
            ("Who has it", naming.owner or NOBODY),
            *due,
            *([("How sure", sure)] if (sure := phrases.sure(alert)) else []),
        ),
        people=naming.people,
    )


def _of_several(delivery: Delivery, all_: list[_AlertView], people: NameBook, link: str | None) -> AlertText:
    """A list: whoever reads it in the morning sees what to do first, and for each line who does what until when."""
    in_order = sorted(all_, key=lambda told: (told.alert.transition == "resolved", told.alert.urgency))
    namings = [told.naming(people) for told in in_order]
    lines = tuple(_line(told, naming, link) for told, naming in zip(in_order, namings, strict=True))
    programs = sorted({told.program for told in all_})
    where = programs[0] if len(programs) == 1 else f"{len(programs)} programmes"
    count = f"{len(all_) + delivery.more} alerts"
    headline = f": {count}, the most urgent first"
    first = Headline("List", in_order[0].alert.urgency, f"{cut(where, HEADLINE - len(headline))}{headline}", None)
    return AlertText(
        first=first,
        topic=f"{where}: {count}",
        paragraphs=tuple(_remarks(delivery)),
        lines=lines,
        more=delivery.more,
        people=tuple(dict.fromkeys(person for naming in namings for person in naming.people)),
    )


def _headline(told: _AlertView, naming: MessageNames, link: str | None) -> Headline:
    """`spruce: Ana Ruiz & Ben Ode: health 38, low since 1 May`: names give way to what has happened."""
    happened = f": {phrases.happened(told.alert, naming, told.alert.decided_at)}"
    words = f"{cut(told.subject(naming), HEADLINE - len(happened))}{happened}"
    url = fill_link(link, told.tenant, told.program, told.relationship) if link else None
    return Headline(phrases.word(told.alert), told.alert.urgency, words, url)


def _line(told: _AlertView, naming: MessageNames, link: str | None) -> Headline:
    alert, found = told.alert, _headline(told, naming, link)
    mostly = [f"Mostly: {phrases.because(alert.reasons[0], alert)}."] if alert.reasons else []
    due = f", {phrases.due(alert, naming)}" if alert.transition != "resolved" else ""
    muted = [f"First since the silence {alert.after_silence}."] if alert.after_silence else []
    details = " ".join(
        [*muted, *mostly, f"Next: {phrases.next_act(alert, naming)}", f"Who: {naming.owner or 'nobody yet'}{due}."]
    )
    return Headline(found.word, found.urgency, found.headline, found.link, details)


def _next_in_line(delivery: Delivery, people: NameBook) -> tuple[str, str] | None:
    """Who is asked next, by id, and in words: of a mail to whoever looks after the programme."""
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
    # Where all that it lists came to light late, it says why; of several reasons the first.
    late = [why_late(alert) for alert in listed_alerts(delivery)]
    return [
        *([f"It is the first message since the silence {silence} has ended."] if silence else []),
        *([f"No news of today, but so now: {late[0]}."] if all(late) else []),
        *([REPEAT] if delivery.repeat else []),
        *([STANDS_IN] if delivery.fallback_of is not None else []),
    ]
