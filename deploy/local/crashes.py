"""When a crashed part is started again, and when the whole is given up."""

from dataclasses import dataclass

CRASHES_TO_GIVE_UP = 3  # two may be an accident; three in a minute will not heal by themselves
WINDOW_SECONDS = 60.0


@dataclass(frozen=True)
class StartAgain:
    """`crashes` are those within the window, this one included."""

    crashes: tuple[float, ...]


@dataclass(frozen=True)
class GiveUp:
    reason: str


def after_crash(earlier: tuple[float, ...], now: float) -> StartAgain | GiveUp:
    """`earlier` and `now` are seconds on one clock."""
    recent = (*(at for at in earlier if now - at < WINDOW_SECONDS), now)
    if len(recent) < CRASHES_TO_GIVE_UP:
        return StartAgain(recent)
    return GiveUp(f"crashed {len(recent)} times in {now - recent[0]:.0f} s")
