"""One score: health with its parts and risk with its terms, of one selection at one instant, in millionths."""

from typing import NamedTuple

from schemas.programs import Profile
from services.scoring.domain.millionths import ONE, apportioned, millionths
from tests.scoring.before.kernel import places
from tests.scoring.before.kernel.arithmetic import rounded, silence_at
from tests.scoring.before.kernel.score import days_since, predictor, score, signed
from tests.scoring.before.selection import Selection

CONFIDENT_AT = 3
"""Facts at which a factor is half trusted: n / (n + 3)."""

BANDS = ((75, "thriving"), (50, "steady"), (25, "strained"))
LOWEST_BAND = "critical"
CAPPED_BAND_BELOW = 50
"""What caps a band lets it be strained at the best."""
FACTORS = (
    "rhythm",
    "reliability",
    "goals",
    "feedback",
    "mutual",
    "responsiveness",
    "support",
    "growth",
    "expectations",
)
SILENCE = "silence"
BASE = "base"
FEATURES = ("silence", "pace", "history", "missed", "cancelled_late", "goal_stalled", "rating_drop", "booked")
_ALWAYS_TOLD = 3
"""The model's own features are told in any case, covariates only where they apply."""


class PartValue(NamedTuple):
    """`value` 0..1 and `contribution` in millionths (of a point), `weight` in points."""

    name: str
    value: int
    weight: float
    contribution: int


class Evaluation(NamedTuple):
    """`health` is the sum of the parts' contributions, exactly. `risk` in millionths. `caps`: what holds the band at
    strained at the best."""

    health: int
    risk: int
    parts: tuple[PartValue, ...]
    terms: tuple[tuple[str, int], ...]
    confidence: int
    caps: tuple[str, ...] = ()

    @property
    def band(self) -> str:
        bands = [(least, name) for least, name in BANDS if not self.caps or least < CAPPED_BAND_BELOW]
        return next((name for least, name in bands if self.health >= least * ONE), LOWEST_BAND)


class Scorer:
    """Scores one selection at any instant until its next fact."""

    def __init__(self, selection: Selection, profile: Profile) -> None:
        self.selection, self.profile = selection, profile
        self._vector = list(selection.profile)

    def numbers(self, at: int) -> tuple[int, int]:
        """Health and risk alone, in millionths, to the last bit those of `evaluate`."""
        return score(self.selection.window, self._vector, at)

    def features(self, at: int) -> tuple[float, ...]:
        """The features of the disengagement model, in the order of FEATURES: L = base + sum of their signed terms."""
        self.numbers(at)
        return tuple(self.selection.window.feature)

    def silence(self, at: int) -> float:
        """Active days since the last contact, or the start."""
        window = self.selection.window
        return days_since(window, window.whole[places.LAST_CONTACT], at)

    def silence_at(self, level: float, at: int) -> float:
        """The days of silence at which risk reaches `level`, everything else being as it is at that instant."""
        self.numbers(at)
        window, coefficient = self.selection.window, self._vector[places.SILENT]
        if coefficient == 0:
            return 0.0
        others = predictor(window, self._vector) - coefficient * window.feature[0]
        return silence_at(level, others, coefficient, window.real[places.MEDIAN], window.real[places.SHAPE])

    def evaluate(self, at: int) -> Evaluation:
        health, risk = self.numbers(at)
        window = self.selection.window
        told = [k for k in range(places.FACTORS) if window.weight[k] > 0]
        points = apportioned([window.share[k] for k in (*told, places.SILENCE)], health)
        parts = [
            PartValue(FACTORS[k], millionths(window.value[k]), self._vector[k], share)
            for k, share in zip(told, points, strict=False)
        ]
        silent = PartValue(SILENCE, millionths(window.value[places.SILENCE]), 0.0, points[-1])
        return Evaluation(health, risk, (*parts, silent), self._terms(), self._confidence(told), self.selection.caps)

    def _terms(self) -> tuple[tuple[str, int], ...]:
        """They sum to the linear predictor."""
        feature = self.selection.window.feature
        terms = [
            (FEATURES[k], signed(k) * self._vector[places.SILENT + k] * feature[k]) for k in range(places.FEATURES)
        ]
        told = [(name, value) for k, (name, value) in enumerate(terms) if k < _ALWAYS_TOLD or feature[k]]
        return ((BASE, rounded(self._vector[places.BASE])), *((name, rounded(value)) for name, value in told))

    def _confidence(self, told: list[int]) -> int:
        """Sum over the factors of w n / (n + 3), n the facts a factor rests on, over the sum of all weights."""
        everything = sum(self._vector[: places.FACTORS])
        rests_on = self.selection.window.whole[places.COUNTS :]
        trusted = sum(self._vector[k] * rests_on[k] / (rests_on[k] + CONFIDENT_AT) for k in told)
        return millionths(trusted / everything) if everything else 0
