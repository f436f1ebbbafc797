"""A protocol: what an experiment is, what it may vary, observe, want and cost."""

from collections import Counter
from typing import Literal

from pydantic import Field, model_validator

from labwm.schema.constraints import Constraint
from labwm.schema.parameters import ContextParameter, MixtureParameter, Parameter
from labwm.schema.readouts import Fidelity, Objective, OutcomeConstraint, Readout
from labwm.schema.record import Name, Record, Seconds


class ExperimentCost(Record):
    """Price and duration of one experiment or one batch."""

    amount: float = Field(default=0.0, ge=0)
    currency: str | None = None
    duration: Seconds = 0.0


class LevelCost(Record):
    """What is special about one level of a parameter."""

    price: float | None = Field(default=None, ge=0)
    stock: float | None = Field(default=None, ge=0)
    lead_time: Seconds | None = None
    hazard: str | None = None


class Costs(Record):
    """What experiments cost."""

    per_experiment: ExperimentCost = ExperimentCost()
    per_batch: ExperimentCost = ExperimentCost()
    levels: dict[str, dict[str, LevelCost]] = {}


class Stage(Record):
    """One typed operation of a multi-step procedure."""

    operation: Name
    of: tuple[Name, ...] = ()
    at: Name | None = None
    requires: Name | None = None
    observes: Name | None = None
    every: Seconds | None = None
    duration: Seconds | None = None


class ApprovalPolicy(Record):
    """For each origin of a result: must a person approve before the lab is asked?"""

    real: Literal["always", "never"] = "always"
    computed: Literal["always", "never"] = "never"
    replayed: Literal["always", "never"] = "never"
    virtual: Literal["always", "never"] = "never"
    self_approval: bool = False
    """May a person approve what she proposed herself? Recorded as `self-approved`."""


class LabSection(Record):
    """Where experiments run by default, and what may run without approval."""

    adapter: Name = "virtual"
    batch_size: int = Field(default=1, ge=1)
    approval: ApprovalPolicy = ApprovalPolicy()
    settings: dict[str, bool | int | float | str] = {}
    """Settings of the adapter that belong to the protocol: a level of theory."""


class Protocol(Record):
    """What an experiment is."""

    name: Name
    version: int = Field(ge=1)
    title: str = ""
    parameters: tuple[Parameter, ...] = Field(min_length=1)
    constraints: tuple[Constraint, ...] = ()
    readouts: tuple[Readout, ...] = Field(min_length=1)
    fidelities: tuple[Fidelity, ...] = ()
    objectives: tuple[Objective, ...] = Field(min_length=1)
    outcome_constraints: tuple[OutcomeConstraint, ...] = ()
    costs: Costs = Costs()
    stages: tuple[Stage, ...] = ()
    lab: LabSection = LabSection()

    @model_validator(mode="after")
    def _names_agree(self) -> "Protocol":
        parameters = [parameter.name for parameter in self.parameters]
        readouts = [readout.name for readout in self.readouts]
        _refuse_twice("parameter or readout", parameters + readouts)
        _refuse_unknown("parameters", self._named_parameters(), parameters)
        _refuse_unknown("readouts", self._named_readouts(), readouts)
        return self

    def _named_parameters(self) -> list[str]:
        named = list(self.costs.levels)
        for constraint in self.constraints:
            if constraint.kind == "depends":
                named += [constraint.parameter, constraint.on]
            elif constraint.kind == "linear":
                named += [name.split(".")[0] for name in constraint.weights]
            elif constraint.kind == "exclude":
                named += [name.split(".")[0] for name in constraint.when]
            else:
                named += [name.split(".")[0] for name in constraint.of]
        return named

    def _named_readouts(self) -> list[str]:
        named = [objective.readout for objective in self.objectives]
        named += [limit.readout for limit in self.outcome_constraints]
        return named + [fidelity.readout for fidelity in self.fidelities]

    @property
    def chosen_parameters(self) -> tuple[Parameter, ...]:
        """Parameters that a planner may set: all but the context."""
        return tuple(p for p in self.parameters if not isinstance(p, ContextParameter))

    @property
    def condition_names(self) -> tuple[str, ...]:
        """Keys of an experiment's conditions: mixtures count once per part."""
        names: list[str] = []
        for parameter in self.parameters:
            if isinstance(parameter, MixtureParameter):
                names += parameter.part_columns
            else:
                names.append(parameter.name)
        return tuple(names)

    def readout(self, name: str) -> Readout:
        """Return the readout of that name."""
        return next(readout for readout in self.readouts if readout.name == name)

    @property
    def readout_names(self) -> tuple[str, ...]:
        """Names of the readouts in the order in which predictions hold them."""
        return tuple(readout.name for readout in self.readouts)


def _refuse_twice(what: str, names: list[str]) -> None:
    if repeated := sorted(name for name, n in Counter(names).items() if n > 1):
        raise ValueError(
            f"each {what} needs its own name; got {repeated} twice. Rename"
        )


def _refuse_unknown(what: str, named: list[str], known: list[str]) -> None:
    if unknown := sorted(set(named) - set(known)):
        raise ValueError(
            f"only declared {what} can be named; got {unknown}. Declared: {known}"
        )
