"""What there is of a reagent, what a well takes of it, and what a batch needs."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from labwm.schema.record import Record, Scalar, Seconds

Quantity = Annotated[
    str, Field(pattern=r"^\s*[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?\s*[A-Za-zµμ%°].*$")
]
"""A number and its unit, such as `250 mg` or `0.2 mL`."""

BUDGET = "budget"
"""Name of the account that holds a campaign's experiments."""
GRAIN = 1_000_000
"""Accounts are kept in whole millionths of their unit: sums are exact."""


def is_none(value: object) -> bool:
    """Is a field at its default, so that records of before it keep their digest?"""
    return value is None


def is_empty(value: Any) -> bool:
    """As `is_none`, for collections."""
    return len(value) == 0


class Stock(Record):
    """A reagent of which there is so much, and what each well takes.

    Either `per_well`, the same for each; or `of`, a condition, times `volume` and
    divided by `concentration` where they are given: 50 umol/L in 0.2 mL, from
    10 mmol/L, take 1 uL; of a condition that is a volume itself, that is taken.
    """

    amount: Quantity
    per_well: Quantity | None = None
    of: str | None = None
    volume: Quantity | None = None
    concentration: Quantity | None = None
    per_batch: Quantity | None = None
    """Lost with each batch besides: the dead volume of a trough."""
    when: dict[str, tuple[Scalar, ...]] = {}
    """Only wells whose conditions have one of these values take of it."""
    lead_time: Seconds | None = None
    hazard: str | None = None

    @model_validator(mode="after")
    def _says_what_a_well_takes(self) -> "Stock":
        if (self.per_well is None) == (self.of is None):
            raise ValueError(
                "a stock says what a well takes by one of per_well and of; got "
                f"per_well={self.per_well} and of={self.of}. Give one of them"
            )
        if self.of is None and (self.volume or self.concentration):
            raise ValueError(
                "a volume and a concentration go with `of`, the condition that they "
                "belong to. Add it, or leave them out"
            )
        return self


class LevelCost(Record):
    """What is special about one level of a parameter."""

    price: float | None = Field(default=None, ge=0)
    stock: Annotated[float, Field(ge=0)] | Quantity | None = None
    """How many wells it lasts for; or a quantity, of which a well takes `uses`."""
    uses: Quantity | None = Field(default=None, exclude_if=is_none)
    lead_time: Seconds | None = None
    """Until more of it is there once it is ordered: said where a batch needs more."""
    hazard: str | None = None
    """Class of hazard; a batch with it always needs a person's approval."""

    @model_validator(mode="after")
    def _stock_and_use_go_together(self) -> "LevelCost":
        if isinstance(self.stock, str) != (self.uses is not None):
            raise ValueError(
                "a stock with a unit says what a well uses of it, and only such a one; "
                f"got stock={self.stock} and uses={self.uses}. Give both or a number"
            )
        if self.lead_time is not None and self.stock is None:
            raise ValueError(
                "a lead time is that of a stock; got none. Declare `stock` too"
            )
        return self


class Need(Record):
    """What a batch takes from one account."""

    shelf: str
    """Whose account: a campaign's, or a lab's that several campaigns share."""
    account: str
    unit: str
    amount: int = Field(gt=0)
    """In millionths of the unit."""


class AccountInfo(Record):
    """How an account stands, in its unit."""

    shelf: str
    account: str
    unit: str
    free: float
    reserved: float
    used: float
