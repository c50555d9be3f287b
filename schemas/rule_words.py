"""Alert rules as people read them: in one line, and why they fire and clear."""

from datetime import timedelta
from typing import assert_never

from schemas.rules import LEVELLED, Rule, Tier, hours


def describe(rule: Rule) -> str:
    """One line: `health_low v1: health <= 40 for 24 h is P3, <= 25 for 6 h is P2; clears when > 50 for 48 h`."""
    more = f"; stays open for {hours(rule.keep)} at least" if rule.keep else ""
    more += f"; needs {rule.min_points} rows" if rule.min_points > 1 else ""
    gate = f"; needs confidence {rule.least_confidence:g}" if rule.least_confidence else ""
    if rule.measure not in LEVELLED:
        tiers = ", ".join(f"{fired(rule, tier)} is {tier.urgency}" for tier in rule.tiers)
        return f"{rule.name} v{rule.version}: {tiers}; clears when {cleared(rule)}{more}{gate}"
    fires, clears = ("<=", ">") if rule.measure == "health" else (">=", "<")
    tiers = ", ".join(f"{fires} {t.level:g} for {hours(t.hold)} is {t.urgency}" for t in rule.tiers)
    clear = f"{clears} {rule.clear_level:g} for {hours(rule.clear_hold)}"
    return f"{rule.name} v{rule.version}: {rule.measure} {tiers}; clears when {clear}{more}{gate}"


def fired(rule: Rule, tier: Tier) -> str:
    """Why a tier fires, at most 64 characters: `health at or below 40 for 24 h`."""
    match rule.measure:
        case "health":
            return f"health at or below {tier.level:g} for {hours(tier.hold)}"
        case "risk":
            return f"risk at or above {tier.level:g} for {hours(tier.hold)}"
        case "support":
            return "an immediate request for support is open"
        case "contact":
            assert rule.age is not None, "a rule of contacts says how old they may be"
            later = f", and {tier.hold.days} d more" if tier.hold else ""
            return f"no contact for {rule.age.intervals:g} intervals, at least {rule.age.least.days} d{later}"
        case "drawdown":
            assert rule.drop is not None, "a rule of a fall says within what time"
            return f"health fell by {tier.level:g} or more within {_days(rule.drop.window)}{_lasting(tier)}"
        case "share":
            assert rule.shift is not None, "a rule of a programme says what counts as a shift"
            fell = f"median health fell by {rule.shift.fall:g} in {_days(rule.shift.window)}"
            return f"{tier.level:.0%} of pairs alert, or {fell}{_lasting(tier)}"
        case "watermark":
            return f"nothing for more than {tier.level:g} expected intervals{_lasting(tier)}"
        case "lag":
            return f"scores over {tier.level:g} intervals behind the events{_lasting(tier)}"
        case _:
            assert_never(rule.measure)


def cleared(rule: Rule) -> str:
    match rule.measure:
        case "health":
            return f"health above {rule.clear_level:g} for {hours(rule.clear_hold)}"
        case "risk":
            return f"risk below {rule.clear_level:g} for {hours(rule.clear_hold)}"
        case "support":
            return "no immediate request for support is open"
        case "contact":
            return "there was a contact"
        case "drawdown":
            assert rule.drop is not None, "a rule of a fall says when it is over"
            lasting = f" for {hours(rule.clear_hold)}" if rule.clear_hold else ""
            return f"{rule.drop.regained:.0%} of it is regained{lasting}, or held for {_days(rule.drop.settles)}"
        case "share":
            return f"under {rule.clear_level:.0%} of pairs for {hours(rule.clear_hold)}, median back"
        case "watermark":
            return f"it is within {rule.clear_level:g} expected interval again"
        case "lag":
            return f"scores are within {rule.clear_level:g} interval again"
        case _:
            assert_never(rule.measure)


def _days(span: timedelta) -> str:
    return f"{span / timedelta(days=1):g} d"


def _lasting(tier: Tier) -> str:
    return f", for {hours(tier.hold)}" if tier.hold else ""
