"""Programmes and sources: a programme that shifts, a source that falls silent, scores that do not keep up."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import Handling
from schemas.programs import Programme, Source, SourceWatermark
from schemas.scores import Trigger
from services.notify.domain.decisions import subject_alert_changed
from services.notify.domain.guards import CatchingUp, CatchUp
from services.notify.domain.ids import LONGEST_KEY, AlertSubject, ProgrammeKey
from services.notify.domain.record import SubjectRecord, dump, load_subject
from services.notify.domain.rule_book import RuleBook
from services.notify.domain.shared_alerts import SharedAlerts, late_histories
from services.notify.domain.subjects import LateHistory, SubjectTransitioned, Tally, programme_subject, source_subject
from tests.notify.building import START, day, hour, new_alerts

SPRUCE: ProgrammeKey = ("acme", "spruce")
FEED = "/calendar"
GOOD, BAD = [80.0] * 20, [80.0] * 16 + [20.0] * 4


def programme(*sources: Source, at: datetime = START) -> Programme:
    return Programme(id="spruce", tenant="acme", sources=sources, recordedtime=at)


def feed(interval_hours: float = 24, source: str = FEED) -> Source:
    return Source(source=source, interval_hours=interval_hours)


def mark(at: datetime, recorded: datetime | None = None, source: str = FEED) -> SourceWatermark:
    return SourceWatermark(tenant="acme", source=source, time=at, recordedtime=recorded or at)


@dataclass
class World:
    """One programme, as it is told hour by hour."""

    alerts: SharedAlerts = field(default_factory=lambda: SharedAlerts(RuleBook("wall"), {}))
    healths: Sequence[float] = ()
    alerting: int = 0
    catching_up: int = 0

    def at(self, clock: datetime) -> list[tuple[str, str, datetime]]:
        return told(self.alerts.advance(clock, lambda: {SPRUCE: self._tally}))

    def caught_up(self, clock: datetime, relationships: int) -> list[SubjectTransitioned]:
        late = {SPRUCE: LateHistory(relationships, "recorded 700 days after it happened")}
        return self.alerts.caught_up(clock, late, {SPRUCE: self._tally})

    @property
    def _tally(self) -> Tally:
        return Tally(self.healths, self.alerting, self.catching_up)

    def hours(self, begin: int, end: int) -> list[tuple[str, str, datetime]]:
        return [one for at in range(begin, end) for one in self.at(hour(at))]


def told(found: Sequence[SubjectTransitioned]) -> list[tuple[str, str, datetime]]:
    return [(one.transition.rule.name, one.transition.name, one.transition.at) for one in found]


def test_a_programme_shifts_when_one_pair_in_seven_alerts_and_is_steady_again_after_two_days_below_a_tenth() -> None:
    world = World(healths=[70.0] * 40, alerting=5)
    assert world.hours(0, 2) == []

    world.alerting = 6
    assert world.hours(2, 4) == [("programme_shift", "fired", hour(2))]
    world.alerting = 4
    assert world.hours(4, 60) == []
    world.alerting = 3
    assert world.hours(60, 120) == [("programme_shift", "resolved", hour(108))]


def test_in_a_small_programme_a_few_pairs_are_no_shift() -> None:
    assert World(healths=[70.0] * 20, alerting=4).hours(0, 9) == []
    assert World(healths=[20.0] * 4, alerting=4).hours(0, 9) == []


def test_a_programme_shifts_when_its_median_health_falls_by_ten_within_a_week() -> None:
    world = World(healths=[70.0] * 9)
    world.hours(0, 24)
    world.healths = [70.0] * 4 + [60.0] * 5

    assert world.hours(24, 30) == [("programme_shift", "fired", hour(24))]
    assert world.hours(30, 24 * 8 + 60) == [("programme_shift", "resolved", hour(23 + 7 * 24 + 1 + 48))]


def test_a_median_that_falls_slower_is_no_shift() -> None:
    world = World()
    for hours in range(24 * 30):
        world.healths = [80.0 - hours / 24] * 9
        assert world.at(hour(hours)) == []


def test_a_programme_that_has_shrunk_is_steady_when_none_of_the_few_alerts() -> None:
    world = World(healths=[70.0] * 20, alerting=10)
    world.hours(0, 1)
    world.healths, world.alerting = [70.0] * 3, 0

    assert world.hours(1, 99) == [("programme_shift", "resolved", hour(49))]


def test_a_programme_is_not_measured_while_the_history_of_one_pair_in_seven_arrives() -> None:
    world = World(healths=[70.0] * 17, alerting=0)
    world.hours(0, 24)
    world.healths, world.catching_up = [40.0] * 17, 3

    assert world.hours(24, 48) == []
    world.catching_up = 2
    assert world.hours(48, 49) == [("programme_shift", "fired", hour(48))]


def test_what_a_programme_shows_when_its_history_is_complete_is_no_news_of_its_own() -> None:
    world = World(healths=[70.0] * 40, alerting=8)

    (found,) = world.caught_up(hour(1), 40)

    assert told([found]) == [("programme_shift", "fired", hour(1))]
    assert found.transition.late == "recorded 700 days after it happened"
    assert world.hours(1, 48) == []


def test_of_a_relationship_that_is_gone_nobody_is_notified_late() -> None:
    gone = CatchingUp("acme/gone", 0, CatchUp(day(0), day(1), "late"), day(2), timedelta(0))

    assert late_histories([gone], {0: new_alerts()}) == {}


def test_a_median_from_before_a_large_part_of_a_programme_arrived_shows_no_fall() -> None:
    world = World(healths=[80.0] * 10)
    world.hours(0, 24)
    world.healths = [80.0] * 10 + [60.0] * 30

    assert world.caught_up(hour(24), 30) == []
    assert world.hours(24, 48) == []


def test_where_little_was_late_the_medians_of_before_still_count() -> None:
    world = World(healths=[80.0] * 40)
    world.hours(0, 24)
    assert world.caught_up(hour(24), 2) == []
    world.healths = [69.0] * 40

    assert world.hours(25, 26) == [("programme_shift", "fired", hour(25))]


def test_a_history_of_a_programme_that_is_frozen_or_unknown_shows_nothing() -> None:
    world = World(healths=[70.0] * 40, alerting=8)
    late = {("acme", "unknown"): LateHistory(1, "late"), SPRUCE: LateHistory(1, "late")}
    world.alerts.upsert_programme(programme(feed()))
    assert told(world.alerts.advance(day(3), dict)) == []
    assert told(world.alerts.advance(day(6), dict)) == [("source_silent", "fired", day(6))]

    assert world.alerts.caught_up(day(6), late, {SPRUCE: Tally([70.0] * 40, 8)}) == []


def test_of_a_programme_of_which_nothing_is_known_nothing_resolves() -> None:
    world = World(healths=[70.0] * 20, alerting=10)
    world.hours(0, 1)
    world.healths, world.alerting = (), 0

    assert world.hours(1, 200) == []


def test_a_source_is_silent_after_twice_its_interval_and_speaks_again_when_its_backlog_is_here() -> None:
    world = World()
    world.alerts.upsert_programme(programme(feed()))
    world.alerts.apply_watermark(mark(day(1)))
    assert world.hours(24, 72) == []
    assert world.at(day(3) + timedelta(minutes=5)) == [("source_silent", "fired", day(3) + timedelta(minutes=5))]

    # It speaks, of what was long ago; then of today, which scores do not know yet.
    world.alerts.apply_watermark(mark(day(2), recorded=day(4)))
    assert world.hours(97, 99) == []
    world.alerts.apply_watermark(mark(day(4), recorded=hour(100)))
    assert world.at(hour(99.5)) == []

    assert world.at(hour(101)) == [("source_silent", "resolved", hour(101))]


def test_a_source_that_has_never_spoken_is_silent_from_when_it_was_expected() -> None:
    world = World()
    world.alerts.upsert_programme(programme(feed(), at=day(2)))

    assert world.hours(0, 24 * 9) == [("source_silent", "fired", hour(24 * 4 + 1))]


def test_a_history_that_is_imported_does_not_make_its_source_silent() -> None:
    world = World()
    world.alerts.upsert_programme(programme(feed(), at=day(100)))
    world.alerts.apply_watermark(mark(day(1), recorded=day(100)))

    assert world.at(day(101)) == []


def test_on_the_clock_of_the_log_a_source_has_spoken_when_scores_say_so() -> None:
    alerts = SharedAlerts(RuleBook("log"), {})
    alerts.upsert_programme(programme(feed()))
    alerts.advance(day(0), dict)
    alerts.apply_watermark(mark(day(900)))
    heard = Trigger(source=FEED, id="e", type="mentoring.session.held.v1", time=day(3), recordedtime=day(3))
    alerts.apply_trigger("acme", heard)
    alerts.apply_trigger("acme", heard.model_copy(update={"source": "/of-nobody"}))

    assert alerts.advance(day(5), dict) == []
    assert told(alerts.advance(day(6), dict)) == [("source_silent", "fired", day(6))]
    assert alerts.stale(day(6)) == []


def test_of_what_was_said_before_anybody_looked_nobody_is_late() -> None:
    world = World()
    world.alerts.upsert_programme(programme(feed()))
    assert world.at(day(50)) == []
    saved = {key: load_subject(dump(SubjectRecord(watch=watch))) for key, watch in world.alerts.drain_changes().items()}

    restored = World(SharedAlerts(RuleBook("wall"), {key: one.watch for key, one in saved.items()}))
    restored.alerts.upsert_programme(programme(feed()))

    assert restored.at(day(52)) == []
    assert restored.at(day(53)) == [("source_silent", "fired", day(53))]


def test_a_silent_source_does_not_speak_again_because_its_programme_is_described_again() -> None:
    world = World()
    world.alerts.upsert_programme(programme(feed()))
    world.at(day(0))
    world.alerts.apply_watermark(mark(day(1)))
    assert len(world.at(day(4))) == 1

    world.alerts.upsert_programme(programme(feed(), at=day(5)))

    assert world.at(day(6)) == []


def test_an_earlier_mark_of_another_writer_changes_nothing() -> None:
    world = World()
    world.alerts.upsert_programme(programme(feed()))
    world.alerts.apply_watermark(mark(day(5)))
    world.alerts.apply_watermark(mark(day(1)))

    assert world.at(day(6)) == []


def test_a_source_that_nobody_expects_any_more_is_over() -> None:
    world = World()
    world.alerts.upsert_programme(programme(feed(), feed(source="/hr")))
    assert world.at(day(0)) == []
    assert len(world.at(day(4))) == 2

    world.alerts.upsert_programme(programme(feed()))
    (over,) = world.alerts.advance(day(5), dict)
    world.alerts.remove_programme(*SPRUCE)
    (last,) = world.alerts.advance(day(6), dict)

    assert (over.transition.why, over.watch.source) == ("nobody expects it any more", "/hr")
    assert (last.transition.why, last.watch.source) == ("nobody expects it any more", FEED)
    assert world.alerts.silent() == {}


def test_while_a_source_is_silent_its_programme_is_not_measured() -> None:
    world = World(healths=[70.0] * 20, alerting=10)
    world.alerts.upsert_programme(programme(feed()))
    assert world.alerts.advance(day(0), dict) == []

    assert told(world.alerts.advance(day(4), lambda: {SPRUCE: Tally([70.0] * 20, 10)})) == [
        ("source_silent", "fired", day(4))
    ]
    assert world.hours(97, 200) == []


def test_scores_are_stale_when_events_arrive_and_they_do_not() -> None:
    alerts = SharedAlerts(RuleBook("wall"), {})
    alerts.upsert_programme(programme(feed(), feed(interval_hours=8, source="/chat")))
    alerts.apply_watermark(mark(day(1)))
    assert alerts.stale(day(1)) == []

    alerts.apply_watermark(mark(day(2) + timedelta(minutes=1)))
    found = told(alerts.stale(day(1)))
    again = alerts.stale(day(1))
    back = told(alerts.stale(day(2)))

    assert found == [("score_stale", "fired", day(2) + timedelta(minutes=1))]
    assert again == []
    assert back == [("score_stale", "resolved", day(2) + timedelta(minutes=1))]


def test_a_programme_without_sources_expects_no_scores() -> None:
    alerts = SharedAlerts(RuleBook("wall"), {})
    alerts.upsert_programme(programme())

    assert alerts.stale(day(9)) == []
    assert alerts.advance(day(9), dict) == []


def test_what_is_reported_names_the_programme_the_source_and_the_numbers_and_rests_on_no_reading() -> None:
    world = World(healths=[70.0] * 36 + [20.0] * 4, alerting=8)
    (shift,) = world.alerts.advance(day(1), lambda: {SPRUCE: Tally(world.healths, 8)})
    world.alerts.upsert_programme(programme(feed(), at=day(1)))
    assert world.alerts.advance(day(1), dict) == []
    (silent,) = world.alerts.advance(day(4), dict)

    one, other = (subject_alert_changed(found, day(9)) for found in (shift, silent))

    assert (one.subject, one.program, one.partitionkey) == ("spruce", "spruce", "acme/programme/spruce")
    assert (one.data.subject_kind, one.data.reading, one.data.urgency) == ("programme", None, "P1")
    assert one.data.summary == (
        "spruce: many pairs at once are worse (P1), since 2 May 2024 00:00 UTC. 8 of 40 active pairs alert (20%). "
        "median health 70, at most 70 within 7 days"
    )
    assert other.subject.startswith("source-")
    assert other.data.subject_kind == "source"
    assert other.data.summary == (
        "spruce: a source is silent (P1), since 2 May 2024 00:00 UTC. "
        "/calendar: nothing heard since 2 May 2024 00:00 UTC, expected every 24 h"
    )


def test_names_of_full_length_are_reported_and_kept() -> None:
    longest = "x" * 128
    subject = programme_subject(longest, longest)
    source = source_subject(longest, longest, "y" * 512)

    assert len({subject.key, source.key, AlertSubject(longest, "programme", longest[:-1], longest[:-1]).key}) == 3
    assert max(len(subject.key), len(source.key)) <= LONGEST_KEY


def test_somebody_looks_after_it_and_is_asked_again() -> None:
    world = World(healths=[70.0] * 20, alerting=10)
    (fired,) = world.alerts.advance(day(0), lambda: {SPRUCE: Tally([70.0] * 20, 10)})
    key = fired.watch.subject.key
    assert world.alerts.has_watch(key)

    world.alerts.set_handling(key, "programme_shift", Handling(state="acknowledged", by="p-1", until=hour(5)), "I look")
    found = world.hours(1, 9)

    watch = world.alerts.watch(key)
    assert found == [("programme_shift", "reminded", hour(5))]
    assert watch is not None
    assert (watch.notes, watch.handling) == ({"programme_shift": "I look"}, {})


MINUTES = st.lists(st.tuples(st.integers(1, 90), st.integers(0, 20), st.sampled_from([60.0, 70.0])), max_size=60)


@given(drawn=MINUTES, cuts=st.sets(st.integers(0, 60)))
def test_whatever_is_saved_and_restored_in_between_the_same_is_sent(
    drawn: list[tuple[int, int, float]], cuts: set[int]
) -> None:
    def run(restores: set[int]) -> list[str]:
        rules, saved, found, now = RuleBook("wall"), dict[str, bytes](), list[str](), day(0)
        alerts = SharedAlerts(rules, {})
        described = programme(feed(interval_hours=3))
        alerts.upsert_programme(described)
        last = mark(day(0))
        alerts.apply_watermark(last)
        for number, (minutes, alerting, health) in enumerate(drawn):
            if number in restores:
                alerts = SharedAlerts(rules, {key: load_subject(value).watch for key, value in saved.items()})
                alerts.upsert_programme(described)
                alerts.apply_watermark(last)
            now += timedelta(minutes=10 * minutes)
            if alerting % 3 == 0:
                last = mark(now)
                alerts.apply_watermark(last)
            tally = Tally([health] * 20, alerting)
            turned = alerts.advance(now, lambda tally=tally: {SPRUCE: tally})  # type: ignore[misc]
            found += [subject_alert_changed(one, day(0)).model_dump_json() for one in turned]
            saved |= {key: dump(SubjectRecord(watch=watch)) for key, watch in alerts.drain_changes().items()}
        return found

    everything = run(set())

    # A restore looks at once, whatever the time: it may tell earlier, never something else.
    if all(minutes >= 6 for minutes, _, _ in drawn):
        assert run(cuts) == everything
    assert len(set(everything)) == len(everything)
