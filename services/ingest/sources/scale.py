"""Numbers that people choose on a scale, and what they become on ours."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

FEEDBACK = "mentoring.feedback.given.v1"
PROGRESSED = "mentoring.goal.progressed.v1"
# Of `rating` in check-ins and pulses (schemas.payloads).
LOWEST, HIGHEST = 1, 5
RATED = frozenset({"mentoring.checkin.answered.v1", "mentoring.pulse.answered.v1"})
MEASURED = RATED | {FEEDBACK, PROGRESSED}
Bound = Annotated[float, Field(ge=-1e9, le=1e9)]


class Scale(BaseModel):
    """From the lowest to the highest number that could have been chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    min: Bound
    max: Bound

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min >= self.max:
            raise ValueError("min must be below max")
        return self

    def holds(self, number: float) -> bool:
        return self.min <= number <= self.max

    def share(self, number: float) -> float:
        """From 0 at the lowest to 1 at the highest."""
        return (number - self.min) / (self.max - self.min)


def on_our_scale(name: str, number: float, scale: Scale) -> Mapping[str, object]:
    """The members of data that a number on `scale` stands for in an event of a type of MEASURED. Feedback keeps its
    scale. A rating is stretched to 1 to 5 and rounded, half up; progress becomes a percentage."""
    if name == FEEDBACK:
        return {"rating": number, "scale_min": scale.min, "scale_max": scale.max}
    if name == PROGRESSED:
        return {"percent": scale.share(number) * 100}
    return {"rating": int(LOWEST + scale.share(number) * (HIGHEST - LOWEST) + 0.5)}
