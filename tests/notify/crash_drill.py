"""The crash drill of delivery: two instances, alerts all the time, kills at named points and at random, and an account
of what every receiver got."""

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from deploy.local.kafka import LocalKafka
from schemas.alerts import Alert, Delivery
from services.notify.domain.deliveries import INTERRUPTED, KEYED
from services.runtime.kafka import Record, read_to_end
from services.runtime.kafka.reader import open_reader
from tests.notify.building import Pair, clock, hour
from tests.notify.conftest import Notify, notify_on
from tests.notify.drilled_service import POINTS
from tests.notify.emulators import ROUTING_KEY, Answer, PagerDuty, Slack, emulating
from tests.notify.test_smtp import MailServer
from tests.notify.test_smtp import serving as serving_mail
from tests.receiver import Call, eventually, receiving
from tests.warm import WarmProcess

HELD = ("held by webhook", "held by slack", "held by smtp")
"""The receiver has the message, and has not answered."""
NAMED = (*POINTS, *HELD)
RANDOM = ("random", "random standby", "random both")
BY_ITSELF = "by itself"
ATTENTION_SECONDS = 1.5
"""So long a standby has been one, so that it is a member of the group, before the leader dies."""
REACHED_SECONDS = 20.0
"""A point that is not reached within so many seconds is a kill at random."""
STEP_SECONDS = 4.0
"""One pair begins to alert and another one ends: two messages, of which Slack takes one a second, and only while
somebody leads."""
STEP_HOURS = 6
RECOVERS_AFTER_STEPS, ENDS_AFTER_STEPS = 6, 20
LAST_WORDS = 4_000
"""Characters of the log of one that ended by itself."""
TAKEOVER_SECONDS = 120.0
"""What a busy machine is given; what it took is in the table."""


@dataclass(frozen=True)
class Kill:
    point: str
    takeover_seconds: float | None


@dataclass
class Account:
    """What one destination got. `repeated`: messages beyond the first of each; `unmarked`: those of them that do not
    say that they may be one. `replaced`: what nobody knows of, that the end of its episode overtook, or that another
    destination got in its place."""

    told: int = 0
    lost: int = 0
    replaced: int = 0
    repeated: int = 0
    unmarked: int = 0
    most_at_once: int = 0

    def add(self, other: "Account") -> None:
        for name in ("told", "lost", "replaced", "repeated", "unmarked"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.most_at_once = max(self.most_at_once, other.most_at_once)


@dataclass
class Report:
    """`by_itself`: what those said last that ended without being killed."""

    kills: list[Kill] = field(default_factory=list)
    by_itself: list[str] = field(default_factory=list)
    accounts: dict[str, Account] = field(default_factory=lambda: defaultdict(Account))
    decided: int = 0
    decided_twice: int = 0
    undecided: int = 0

    def add(self, other: "Report") -> None:
        self.kills += other.kills
        self.by_itself += other.by_itself
        self.decided += other.decided
        self.decided_twice += other.decided_twice
        self.undecided += other.undecided
        for name, account in other.accounts.items():
            self.accounts[name].add(account)

    @property
    def takeovers(self) -> list[float]:
        return [kill.takeover_seconds for kill in self.kills if kill.takeover_seconds is not None]

    def table(self) -> str:
        lines = [f"{'killed':<26}{'times':>6}{'taken over, s: median':>24}{'longest':>9}"]
        for point in (*NAMED, *RANDOM, BY_ITSELF):
            took = [kill.takeover_seconds for kill in self.kills if kill.point == point]
            known = [seconds for seconds in took if seconds is not None]
            times = f"{median(known):>24.1f}{max(known):>9.1f}" if known else f"{'-':>24}{'-':>9}"
            lines.append(f"{point:<26}{len(took):>6}{times}")
        lines.append(f"{'all':<26}{len(self.kills):>6}{median(self.takeovers):>24.1f}{max(self.takeovers):>9.1f}")
        lines += ["", f"{'destination':<12}{'told':>7}{'lost':>6}{'replaced':>10}{'repeated':>10}{'unmarked':>10}"]
        for name, found in sorted(self.accounts.items()):
            counts = f"{found.told:>7}{found.lost:>6}{found.replaced:>10}{found.repeated:>10}{found.unmarked:>10}"
            lines.append(f"{name:<12}{counts}")
        decided = f"decided {self.decided}, twice {self.decided_twice}, not at all {self.undecided}"
        return "\n".join([*lines, "", decided])


@dataclass
class HoldingSlack(Slack):
    took: Callable[[], None] = lambda: None

    def answer(self, headers: Mapping[str, str], body: bytes) -> Answer:
        found = super().answer(headers, body)
        self.took()
        return found


@dataclass
class HoldingMail(MailServer):
    took: Callable[[], None] = lambda: None

    async def handle_DATA(self, *given: Any) -> str:  # noqa: ANN401, N802 (aiosmtpd's)
        said = await super().handle_DATA(*given)
        self.took()
        return said


@dataclass
class Instance:
    process: WarmProcess
    number: int
    point: str
    gate: Path
    stands_by_since: float | None = None
    leads_since: float | None = None


class Drill:
    """One world: topics, four receivers, two instances. `kills`: the points in their order."""

    def __init__(self, notify: Notify, stack: ExitStack, folder: Path, kills: Sequence[str], seed: int) -> None:
        self._notify, self._folder, self._chance = notify, folder, random.Random(seed)
        self._plan, self._wanted = list(kills), len(kills)
        self._slack, self._incidents, self._mail = HoldingSlack(), PagerDuty(), HoldingMail()
        self._slack.took = lambda: self._held("held by slack")
        self._mail.took = lambda: self._held("held by smtp")
        notify.receiver.answer = self._answer
        for emulator in (self._slack, self._incidents):
            stack.enter_context(emulating(emulator))
        stack.enter_context(serving_mail(self._mail))
        self._instances: list[Instance] = []
        self._report = Report()
        self._steps, self._begun = 0, 0
        self._feeding = threading.Event()

    def run(self) -> Report:
        self._configure()
        feeder = threading.Thread(target=self._feed, daemon=True)
        feeder.start()
        self._start()
        eventually(lambda: self._leader() is not None, TAKEOVER_SECONDS, "the first leader")
        while len(self._report.kills) < self._wanted:
            self._kill_one()
        self._feeding.set()
        feeder.join(60)
        self._let_all_end()
        self._settle_accounts()
        return self._report

    # What comes in.

    def _feed(self) -> None:
        while not self._feeding.wait(STEP_SECONDS):
            self._step(begins=True)
        for _ in range(ENDS_AFTER_STEPS):
            self._step(begins=False)

    def _step(self, *, begins: bool) -> None:
        now = hour(self._steps * STEP_HOURS)
        rows = []
        if begins:
            rows.append(self._pair(self._steps).changed(now, 1, risk=0.9, last_contact=now, cadence_days=3_000.0))
            self._begun = self._steps
        recovers = self._steps - RECOVERS_AFTER_STEPS
        if 0 <= recovers <= self._begun:
            rows.append(self._pair(recovers).changed(now, 2, risk=0.1, last_contact=now, cadence_days=3_000.0))
        self._notify.write(*rows, clock(now))
        self._steps += 1

    def _pair(self, number: int) -> Pair:
        """Each of a programme of its own: none of them shifts."""
        return Pair(f"pair-{number}", program=f"program-{number}")

    # Who dies.

    def _configure(self) -> None:
        files = {"slack-url": self._slack.url, "pagerduty-key": ROUTING_KEY}
        for name, content in files.items():
            (self._folder / name).write_text(content)
        (self._folder / "destinations.yaml").write_text(
            f"""destinations:
  - {{name: chat, channel: slack, url_file: slack-url, allow_private: true, fallback: webhook}}
  - {{name: mail, channel: smtp, host: 127.0.0.1, port: {self._mail.port}, security: none,
     sender: rapport@acme.example, to: [team@acme.example], fallback: webhook}}
  - {{name: incidents, channel: pagerduty, url: "{self._incidents.url}", routing_key_file: pagerduty-key,
     allow_private: true}}
"""
        )

    def _start(self) -> None:
        """As many as are missing of two."""
        while len(self._instances) < 2:
            point = self._plan.pop(0) if self._plan else "random"
            number = len(self._notify.processes)
            gate = self._folder / f"gate-{number}"
            # A process takes over once.
            nth = "1" if point == "taking over" else str(self._chance.randint(1, 2))
            destinations = str(self._folder / "destinations.yaml")
            process = self._notify.start(point, nth, str(gate), RAPPORT_NOTIFY_DESTINATIONS=destinations)
            self._instances.append(Instance(process, number, point, gate))

    def _look(self) -> None:
        for one in self._instances:
            log = self._notify.log(one.number)
            if one.stands_by_since is None and '"standing_by"' in log:
                one.stands_by_since = time.monotonic()
            said = log.rfind('"restored"'), log.rfind('"leadership_lost"')
            if said[0] > said[1]:
                one.leads_since = one.leads_since or time.monotonic()
            else:
                one.leads_since = None

    def _leader(self) -> Instance | None:
        self._look()
        alive = [one for one in self._instances if one.leads_since is not None and one.process.poll() is None]
        return max(alive, key=lambda one: one.leads_since or 0.0, default=None)

    def _is_ready(self) -> bool:
        """One leads, and another one stands by, for long enough to be known to the group."""
        leader, now = self._leader(), time.monotonic()
        others = [one for one in self._instances if one is not leader and one.stands_by_since is not None]
        return leader is not None and any(now - (one.stands_by_since or now) > ATTENTION_SECONDS for one in others)

    def _kill_one(self) -> None:
        self._start()
        until = time.monotonic() + TAKEOVER_SECONDS
        while not self._is_ready() and self._all_alive():
            assert time.monotonic() < until, "no leader with a standby"
            time.sleep(0.1)
        leader = self._leader()
        if leader is None or not self._all_alive():
            died = next(one for one in self._instances if one.process.poll() is not None)
            was_killed = died.point == "taking over" and died.gate.exists()
            if not was_killed:
                self._report.by_itself.append(self._last_words(died))
            self._bury(died.point if was_killed else BY_ITSELF)
            return
        standby = next(one for one in self._instances if one is not leader)
        point = leader.point
        # 1. Its successor dies while it takes over: its gate is open before.
        if point == "taking over":
            point = "random"
        for one in (leader, standby):
            if one is leader or one.point == "taking over":
                one.gate.touch()
        # 2. At the named point it dies by itself, or by the receiver; else after a while.
        if point.startswith("random"):
            time.sleep(self._chance.uniform(0, 3))
            victims = {"random": [leader], "random standby": [standby], "random both": [leader, standby]}[point]
            for one in victims:
                one.process.send_signal(signal.SIGKILL)
            # Else it would lead to the end of the drill, and nothing but its standbys would die.
            leader.point = "random"
        else:
            with suppress(subprocess.TimeoutExpired):
                leader.process.wait(REACHED_SECONDS)
            if leader.process.poll() is None:
                leader.process.send_signal(signal.SIGKILL)
                point = "random"
        self._bury(point)

    def _bury(self, point: str) -> None:
        """Waits until somebody leads again."""
        died = time.monotonic()
        dead = [one for one in self._instances if _has_died(one.process)]
        before = self._leader()
        self._instances = [one for one in self._instances if one not in dead]
        # What has not been tried yet another one tries.
        self._plan += [one.point for one in dead if one.point in NAMED and one.point != point]
        led = point == "taking over" or any(one.leads_since is not None for one in dead)
        alone = bool(self._instances) and led and before is None
        self._start()
        eventually(lambda: self._leader() is not None or not self._all_alive(), TAKEOVER_SECONDS, "the takeover")
        took = time.monotonic() - died if alone and self._leader() is not None else None
        self._report.kills.append(Kill(point, took))

    def _last_words(self, one: Instance) -> str:
        words = self._notify.log(one.number)[-LAST_WORDS:]
        return f"notify-{one.number}, to die at {one.point!r}, ended with {one.process.returncode}: ...{words}"

    def _all_alive(self) -> bool:
        return all(one.process.poll() is None for one in self._instances)

    def _answer(self, _: Call) -> tuple[int, Mapping[str, str]]:
        self._held("held by webhook")
        return 200, {}

    def _held(self, point: str) -> None:
        leader = next((one for one in self._instances if one.leads_since is not None and one.gate.exists()), None)
        if leader is not None and leader.point == point:
            with suppress(ProcessLookupError):
                os.kill(leader.process.pid, signal.SIGKILL)

    # What has come of it.

    def _let_all_end(self) -> None:
        """Two without failpoints bring all to its end."""
        for one in self._instances:
            one.process.send_signal(signal.SIGKILL)
            one.process.wait(30)
        self._instances = []
        self._plan = ["random"] * 2
        self._start()
        pairs = range(self._begun + 1)
        ended = {"delivered", "superseded", "dead"}

        last: dict[str, Delivery] = {}
        topics, settings = [self._notify.names.deliveries], self._notify.settings
        with open_reader(settings, topics, isolation_level="read_committed") as reader:

            def all_told() -> bool:
                # Nobody starts them again: what they leave would be waited for to no end, without a word why.
                died = [one for one in self._instances if one.process.poll() is not None]
                assert not died, self._last_words(died[0])
                # What came before has been read: all deliveries of a drill again at every look would take longer and
                # longer, on a machine that should deliver.
                while polled := reader.poll(0.2):
                    found = (_delivery(record) for records in polled.values() for record in records)
                    last.update({one.delivery_id: one for one in found if one is not None})
                at: Counter[tuple[str, str, str]] = Counter(
                    (one.relationship, one.transition, one.channel) for one in last.values() if _ended(one, ended)
                )
                wanted = [(f"pair-{number}", name) for number in pairs for name in ("fired", "resolved")]
                return all(at[*one, channel] for one in wanted for channel in ("webhook", "slack", "smtp", "pagerduty"))

            eventually(all_told, 600, "the end of all deliveries")

    def _records(self) -> list[Record]:
        topics = [self._notify.names.deliveries]
        return list(read_to_end(self._notify.settings, topics, isolation_level="read_committed"))

    def _settle_accounts(self) -> None:
        told: dict[str, tuple[str, str]] = {}
        last: dict[str, Delivery] = {}
        # A delivery may be written again as it is: what counts is how many one crash has left.
        unknown: dict[str, dict[datetime, set[str]]] = defaultdict(dict)
        for delivery in filter(None, map(_delivery, self._records())):
            last[delivery.delivery_id] = delivery
            if delivery.body is not None and delivery.channel in {"slack", "smtp"}:
                told[_canonical(delivery.body)] = (delivery.relationship, delivery.transition)
            if delivery.status == INTERRUPTED and delivery.state == "unknown":
                unknown[delivery.channel].setdefault(delivery.changed_at, set()).add(delivery.delivery_id)
        wanted = {(f"pair-{number}", name) for number in range(self._begun + 1) for name in ("fired", "resolved")}
        replaced = {
            (one.channel, one.relationship, one.transition)
            for one in last.values()
            if one.state in {"unknown", "superseded", "dead"}
        }
        got: dict[str, list[tuple[tuple[str, str], str]]] = {
            "webhook": [
                ((call.data["relationship"], call.data["transition"]), call.webhook_id)
                for call in self._notify.receiver.calls
                if last[call.webhook_id].fallback_of is None
            ],
            "slack": [(told[_canonical(json.dumps(one))], _mark(one)) for one in self._slack.accepted],
            "smtp": [(told[_text(mail.get_body(("plain",)).get_content())], _mark(mail)) for mail in self._mail.mails],  # type: ignore[union-attr]
            "pagerduty": [
                ((found[0], "resolved" if one["event_action"] == "resolve" else "fired"), one["dedup_key"])
                for one in self._incidents.accepted
                if (found := _of(last, one["dedup_key"]))
            ],
        }
        for channel, messages in got.items():
            account = self._report.accounts[channel]
            by_what: dict[tuple[str, str], list[str]] = defaultdict(list)
            for what, how in messages:
                by_what[what].append(how)
            account.told = len(by_what)
            missing = wanted - by_what.keys()
            account.replaced = sum((channel, *one) in replaced for one in missing)
            account.lost = len(missing) - account.replaced
            account.repeated = sum(len(how) - 1 for how in by_what.values())
            account.unmarked = sum(
                (len(set(how)) - 1) if channel in KEYED else max(0, how.count("") - 1)
                for how in by_what.values()
                if len(how) > 1
            )
            account.most_at_once = max(map(len, unknown[channel].values()), default=0)
        # None, where the end of an episode replaced its beginning: nothing was opened, and nothing is open.
        incidents = [found for found in self._incidents.incidents.values() if found]
        self._report.accounts["pagerduty"].unmarked += sum(len(found) - 1 for found in incidents)
        self._report.accounts["pagerduty"].lost += sum(found[-1]["state"] != "resolved" for found in incidents)
        decisions = Counter(
            (event.data.dedup_key, event.data.seq) for event in self._notify.alerts() if isinstance(event.data, Alert)
        )
        self._report.decided = len(decisions)
        self._report.decided_twice = sum(count - 1 for count in decisions.values())
        self._report.undecided = max(0, len(wanted) - len(decisions))


def drilled(kafka: LocalKafka, folder: Path, kills: Sequence[str], seed: int) -> Report:
    """One world with its kills, to its end."""
    folder.mkdir()
    with ExitStack() as stack:
        notify = stack.enter_context(_world(kafka, folder))
        return Drill(notify, stack, folder, kills, seed).run()


@contextmanager
def _world(kafka: LocalKafka, folder: Path) -> Iterator[Notify]:
    with receiving() as receiver, notify_on(kafka, receiver, folder) as found:
        found.script = "drilled_service.py"
        yield found


def _has_died(process: WarmProcess) -> bool:
    """A signal takes a moment."""
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        return False
    return True


def _delivery(record: Record) -> Delivery | None:
    return Delivery.model_validate_json(record.value) if record.value else None


def _ended(delivery: Delivery, states: set[str]) -> bool:
    return delivery.fallback_of is None and (
        delivery.state in states or (delivery.state == "unknown" and delivery.repeat)
    )


def _canonical(body: str) -> str:
    found = json.loads(body)
    return _text(found["text"]) if "html" in found else json.dumps(found, sort_keys=True)


def _text(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _mark(message: object) -> str:
    return "repeat" if "may be a repeat" in str(message) else ""


def _of(last: Mapping[str, Delivery], dedup_key: str) -> tuple[str, ...]:
    return tuple({one.relationship for one in last.values() if one.dedup_key == dedup_key})
