"""What `rapport scoring what-if` may be asked: over which time, and by which rules."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from services.scoring.domain.bounds import HOUR
from services.scoring.domain.what_if.rules import RULES, AlertRule, Threshold


@dataclass(frozen=True)
class WhatIfOptions:
    """`since` None: the first fact; `until` None: the lowest stored clock; `rule` None: all of them."""

    profile: Path
    since: int | None
    until: int | None
    rule: str | None
    fires: tuple[Threshold, ...]
    clears: Threshold | None

    def rules(self) -> tuple[AlertRule, ...]:
        """Raises click.UsageError where a rule cannot be used."""
        if self.rule is None:
            if self.fires or self.clears:
                raise click.UsageError("--fires and --clears need --rule: they are levels of one measure")
            return RULES
        rule = next(rule for rule in RULES if rule.name == self.rule)
        rule = replace(rule, fires=self.fires or rule.fires, clears=self.clears or rule.clears)
        if problems := list(rule.problems()):
            raise click.UsageError(f"{rule.name}: {'; '.join(problems)}")
        return (rule,)


def thresholds(_: click.Context, __: click.Parameter, values: Sequence[str]) -> tuple[Threshold, ...]:
    """A callback of options: `40:24` is a level of 40 for 24 hours."""
    return tuple(map(_parsed, values))


def threshold(_: click.Context, __: click.Parameter, value: str | None) -> Threshold | None:
    """The same for an option that is given once."""
    return None if value is None else _parsed(value)


def _parsed(value: str) -> Threshold:
    level, _, hours = value.partition(":")
    try:
        return Threshold(float(level), round(float(hours) * HOUR))
    except (ValueError, OverflowError) as invalid:
        raise click.BadParameter(f"{value!r} is no LEVEL:HOURS such as 40:24") from invalid
