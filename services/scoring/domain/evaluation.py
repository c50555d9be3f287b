"""One score: health with its parts and risk with its terms, of one selection at one instant, in millionths."""

from typing import NamedTuple

from schemas.programs import Profile
from services.scoring.domain import kernel
from services.scoring.domain.millionths import ONE, apportioned, millionths, total_millionths
from services.scoring.domain.selection import Selection

LEAST_MESSAGES = 4
"""Fewer messages say nothing about who carries the conversation."""
CONFIDENT_AT = 3
"""Facts at which a factor is half trusted: n / (n + 3)."""

BANDS = ((75, "thriving"), (50, "steady"), (25, "strained"))
LOWEST_BAND = "critical"
SILENCE = "silence"
TERMS = ("base", "silence", "pace", "history")


class PartValue(NamedTuple):
    """`value` 0..1 and `contribution` in millionths (of a point), `weight` in points."""

    name: str
    value: int
    weight: float
    contribution: int


class Evaluation(NamedTuple):
    """`health` is the sum of the parts' contributions, exactly. `risk` in millionths."""

    health: int
    risk: int
    parts: tuple[PartValue, ...]
    terms: tuple[tuple[str, int], ...]
    confidence: int

    @property
    def band(self) -> str:
        return next((name for least, name in BANDS if self.health >= least * ONE), LOWEST_BAND)


class Factor(NamedTuple):
    """`rests_on`: how many facts the factor looked at."""

    name: str
    value: float
    weight: float
    rests_on: int


class Scorer:
    """Scores one selection at any instant until its next fact; what time does not change is computed once."""

    def __init__(self, selection: Selection, profile: Profile) -> None:
        self.selection, self._profile = selection, profile
        self._steady = _steady(selection, profile)
        self._total = profile.weights.rhythm + sum(factor.weight for factor in self._steady)
        self._steady_shares = [self._share(factor.value, factor.weight) for factor in self._steady]
        pace = selection.pace
        self._pace = kernel.pace_term(pace.median, profile.horizon_days)
        self._history = kernel.history_term(pace.contact_days)
        self._confidence = _confidence(selection, self._steady, profile)

    def numbers(self, at: int) -> tuple[int, int]:
        """Health and risk alone, in millionths, to the last bit those of `evaluate`: crossings read them."""
        silence = self._silence_days(at)
        _, _, shares = self._shares(at, silence)
        return total_millionths(shares), _risk(self._terms(silence))

    def evaluate(self, at: int) -> Evaluation:
        silence = self._silence_days(at)
        rhythm, lost, shares = self._shares(at, silence)
        factors = [Factor("rhythm", rhythm, self._profile.weights.rhythm, self.selection.held), *self._steady]
        contributions = apportioned(shares)
        parts = [
            PartValue(factor.name, millionths(factor.value), factor.weight, points)
            for factor, points in zip(factors, contributions, strict=False)
        ]
        terms = self._terms(silence)
        return Evaluation(
            health=sum(contributions),
            risk=_risk(terms),
            parts=(*parts, PartValue(SILENCE, millionths(lost), 0.0, contributions[-1])),
            terms=tuple(zip(TERMS, map(millionths, terms), strict=True)),
            confidence=self._confidence,
        )

    def _shares(self, at: int, silence: float) -> tuple[float, float, list[float]]:
        """The rhythm factor, the share that silence takes, and the points of each factor, last those of silence.
        Old praise says little of a pair that nobody hears from."""
        selection = self.selection
        rhythm = kernel.fresh(self._days(selection.last_held, at) / selection.cadence)
        lost = 1.0 - kernel.fresh(silence / (kernel.SILENCE_CADENCES * selection.cadence))
        shares = [self._share(rhythm, self._profile.weights.rhythm), *self._steady_shares]
        return rhythm, lost, [*shares, -lost * sum(shares)]

    def _share(self, value: float, weight: float) -> float:
        return 100.0 * weight * value / self._total if self._total else 0.0

    def _terms(self, silence: float) -> tuple[float, float, float, float]:
        """In the order of TERMS; they sum to the linear predictor."""
        pace = self.selection.pace
        silent = kernel.silence_term(max(kernel.LEAST_SILENCE_DAYS, silence), pace.median, pace.shape)
        return kernel.BASE, silent, self._pace, self._history

    def _silence_days(self, at: int) -> float:
        return self._days(self.selection.last_contact, at)

    def _days(self, last: int | None, at: int) -> float:
        """Active days since the last such fact, or since the start."""
        begin = self.selection.started if last is None else last
        return self.selection.active_days(min(begin, at), at)


def _steady(selection: Selection, profile: Profile) -> list[Factor]:
    """The factors that have data and that time alone does not change."""
    weights = profile.weights
    found = [Factor("reliability", selection.reliability, weights.reliability, len(selection.outcomes))]
    messages = sum(selection.messages)
    if messages >= LEAST_MESSAGES:
        found.append(Factor("mutual", kernel.mutual(*selection.messages), weights.mutual, messages))
    return found


def _risk(terms: tuple[float, float, float, float]) -> int:
    return millionths(kernel.probability(sum(terms)))


def _confidence(selection: Selection, steady: list[Factor], profile: Profile) -> int:
    """Sum over the factors of w n / (n + 3), n the facts a factor rests on, over the sum of all weights."""
    everything = sum(weight for _, weight in profile.weights)
    rests = [(profile.weights.rhythm, selection.held), *((factor.weight, factor.rests_on) for factor in steady)]
    return millionths(sum(weight * n / (n + CONFIDENT_AT) for weight, n in rests) / everything) if everything else 0
