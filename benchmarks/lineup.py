"""The contestants, their logs and their order."""

from dataclasses import dataclass
from typing import Literal

Section = Literal["live", "recovery", "replay"]
LogName = Literal["events", "changelog", "file"]


@dataclass(frozen=True)
class Contestant:
    """A module of benchmarks.contestants and its variant. `label`: the name in tables. `baseline`: the contestant whose
    figures are the divisor of its ratio. `writes`: its own topics."""

    name: str
    section: Section
    label: str
    module: str
    variant: str
    log: LogName
    baseline: str
    writes: tuple[str, ...] = ()


def _live(name: str, label: str, module: str, variant: str, writes: tuple[str, ...] = ()) -> Contestant:
    return Contestant(name, "live", label, module, variant, "events", "aiokafka", writes)


def _recovery(name: str, label: str, module: str, variant: str, writes: tuple[str, ...] = ()) -> Contestant:
    return Contestant(name, "recovery", label, module, variant, "changelog", "read", writes)


def _replay(name: str, label: str, variant: str) -> Contestant:
    return Contestant(name, "replay", label, "replay", variant, "file", "replay")


_WRITES = ("scores", "rejected")

LINEUP = (
    _live("aiokafka", "aiokafka loop, JSON", "aiokafka_loop", "decode"),
    _live("aiokafka-state", "aiokafka loop, state", "aiokafka_loop", "state", ("state",)),
    _live("faust", "Faust agent, JSON", "noop_faust", ""),
    _live("quix", "Quix Streams, state", "quix", ""),
    _live("ours-flow", "ours, state, unscored", "ours", "flow", ("state", *_WRITES)),
    _live("ours", "ours, whole", "ours", "whole", ("state", *_WRITES)),
    _recovery("read", "aiokafka loop", "aiokafka_loop", "fetch"),
    _recovery("recovery", "ours", "recovery", "", ("events", *_WRITES)),
    _replay("replay", "one process", "1"),
    _replay("replay-2", "two processes", "2"),
)
NAMES = tuple(contestant.name for contestant in LINEUP)
