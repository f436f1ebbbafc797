"""A protocol: what an experiment is, what it may vary, observe, want and cost."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from labwm.schema.constraints import Constraint
from labwm.schema.parameters import ContextParameter, MixtureParameter, Parameter
from labwm.schema.plate import Plate
from labwm.schema.readouts import Fidelity, Objective, OutcomeConstraint, Readout
from labwm.schema.record import Name, Record, Seconds
from labwm.schema.stock import BUDGET, LevelCost, Stock, is_empty, is_none

MOST_PER_BATCH = 10_000
"""Experiments in a batch without a plate."""


class ExperimentCost(Record):
    """Price and duration of one experiment or one batch."""

    amount: float = Field(default=0.0, ge=0)
    currency: str | None = None
    duration: Seconds = 0.0


class Costs(Record):
    """What experiments cost."""

    per_experiment: ExperimentCost = ExperimentCost()
    per_batch: ExperimentCost = ExperimentCost()
    levels: dict[str, dict[str, LevelCost]] = {}
    """Parameter to level, by value or by name, to what is special about it."""
    stocks: dict[Name, Stock] = Field(default={}, exclude_if=is_empty)


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
    expires: Annotated[Seconds, Field(gt=0)] | None = Field(
        default=None, exclude_if=is_none
    )
    """After which a request that nobody answered is asked again."""


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
    plate: Plate | None = Field(default=None, exclude_if=is_none)
    lab: LabSection = LabSection()

    @model_validator(mode="after")
    def _names_agree(self) -> "Protocol":
        parameters = [parameter.name for parameter in self.parameters]
        readouts = [readout.name for readout in self.readouts]
        _refuse_twice("parameter or readout", parameters + readouts)
        _refuse_unknown("parameters", self._named_parameters(), parameters)
        _refuse_unknown("readouts", self._named_readouts(), readouts)
        _refuse_unknown("conditions", self._named_conditions(), self.condition_names)
        _check_stages(self.stages)
        if BUDGET in self.costs.stocks:
            raise ValueError(f"a stock is not called {BUDGET!r}. Rename it")
        return self

    @model_validator(mode="after")
    def _batch_fits_the_plate(self) -> "Protocol":
        if self.lab.batch_size > (most := self.most_per_batch):
            raise ValueError(
                f"a batch fits the plate; {self.lab.batch_size} experiments of "
                f"{self.n_replicates} wells do not, {most} do. Lower lab.batch_size"
            )
        return self

    def _named_parameters(self) -> list[str]:
        named = list(self.costs.levels)
        for stage in self.stages:
            named += [*stage.of, *([stage.at] if stage.at else [])]
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
        named += [stage.observes for stage in self.stages if stage.observes]
        return named + [fidelity.readout for fidelity in self.fidelities]

    def _named_conditions(self) -> list[str]:
        controls = self.plate.controls if self.plate else ()
        named = [name for control in controls for name in control.conditions]
        for stock in self.costs.stocks.values():
            named += [*stock.when, *([stock.of] if stock.of else [])]
        return named

    @property
    def n_replicates(self) -> int:
        """Wells of each experiment."""
        wanted = [readout.replicates for readout in self.readouts]
        return max([*wanted, self.plate.replicates if self.plate else 1])

    @property
    def most_per_batch(self) -> int:
        """Experiments that one batch can hold: as many as fit the plate."""
        if self.plate is None:
            return MOST_PER_BATCH
        return self.plate.n_free // self.n_replicates

    @property
    def procedure_seconds(self) -> float:
        """Time that the stages take one after another, in seconds."""
        return sum(stage.duration or 0.0 for stage in self.stages)

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


def _check_stages(stages: tuple[Stage, ...]) -> None:
    earlier: list[str] = []
    for stage in stages:
        if stage.requires is not None and stage.requires not in earlier:
            raise ValueError(
                f"a stage requires one before it; {stage.operation!r} requires "
                f"{stage.requires!r}. Stages before it: {earlier}"
            )
        if stage.every is not None and stage.observes is None:
            raise ValueError(
                "`every` says how often a stage observes; "
                f"{stage.operation!r} observes nothing. Add `observes`"
            )
        earlier.append(stage.operation)


def _refuse_unknown(what: str, named: list[str], known: Sequence[str]) -> None:
    if unknown := sorted(set(named) - set(known)):
        raise ValueError(
            f"only declared {what} can be named; got {unknown}. Declared: {list(known)}"
        )
