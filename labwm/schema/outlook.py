"""What a campaign may still gain, and what that would cost: evidence for stopping."""

from pydantic import Field

from labwm.schema.record import Record


class Outlook(Record):
    """Stated before a round is measured; nobody stops because of it but a person."""

    round: int = Field(ge=0)
    expected_gain: float = Field(ge=0)
    """By which the best left would beat the best measured, on average over worlds that
    the data allow; with several objectives as a share of the hypervolume."""
    least_gain: float = Field(gt=0)
    """A gain worth speaking of: 1 % of the best value, or of the hypervolume."""
    probability: float = Field(ge=0, le=1)
    """That the best left beats the best measured by more than `least_gain`."""
    unit: str | None
    cost_next: float = Field(ge=0)
    """Of the round that is proposed, in `currency`."""
    cost_left: float = Field(ge=0)
    """Of the whole budget that is left, this round included."""
    currency: str | None
    n_compared: int = Field(ge=1)
    """Most promising candidates that stand for all that are left."""

    def text(self) -> str:
        """Return the evidence as a sentence."""
        unit = {"percent": "%", None: "", "dimensionless": ""}.get(self.unit, self.unit)
        money = self.currency or "(no currency)"
        costs = (
            f" This round costs {self.cost_next:g} {money}, the budget left "
            f"{self.cost_left:g} {money}."
            if self.cost_left > 0
            else ""
        )
        return (
            f"What is left is expected to add {self.expected_gain:.3g} {unit}".rstrip()
            + f"; with a probability of {self.probability:.0%} it adds more than "
            f"{self.least_gain:.3g} {unit}".rstrip()
            + f".{costs}"
        )
