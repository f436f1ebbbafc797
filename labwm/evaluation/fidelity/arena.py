"""The two labs that a panel is played in: a measured table, and draws of its model.

Shapes: `N` rows of the pool, `e` seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from labwm.design.features import features
from labwm.errors import InvalidInputError
from labwm.evaluation.fidelity.biased_log import biased_rows, log_of
from labwm.evaluation.fidelity.frozen import frozen_kernel
from labwm.evaluation.fidelity.panel import PANEL, Player
from labwm.evaluation.lookup import Lookup
from labwm.schema import (
    CategoricalParameter,
    MoleculeParameter,
    Parameter,
    Protocol,
    ReadoutKind,
)
from labwm.space.questions import Observations
from labwm.virtual_lab.outcomes import chance_of_failure, failure_rate, report
from labwm.world_model import fit
from labwm.world_model.contract import MOST_QUESTIONS
from labwm.world_model.joint import JointPosterior
from labwm.world_model.reward import utility

Floats = NDArray[np.float64]

MAX_LOG = 1000


@dataclass(frozen=True)
class LogPlan:
    """Which log the model learns from.

    Attributes:
        behaviour: Who measured it, one of `BEHAVIOURS`.
        n_rows: Its length.
        seed: Of the behaviour's choices.
    """

    behaviour: str
    n_rows: int
    seed: int


@dataclass(frozen=True)
class WorldPlan:
    """Which world model is judged.

    Attributes:
        recipe: Of the fit: `default` or `explore`.
        is_bounded: Does a value beyond the readout's declared bounds read as the bound?
            Otherwise it is kept, as a `VirtualLab` does, which marks its status.
    """

    recipe: str = "default"
    is_bounded: bool = True


@dataclass(frozen=True)
class Arena:
    """Both labs, and what policies take for granted in them.

    Attributes:
        lookup: The real lab: a table.
        joint: What the world model learnt from the log says of the pool.
        player: Plays policies.
        failure_rate: Share of experiments that fail in the virtual lab.
        is_bounded: See `WorldPlan`.
        counts: Replicates of each row in the table, length `N`.
    """

    lookup: Lookup
    joint: JointPosterior = field(repr=False)
    player: Player = field(repr=False)
    failure_rate: float
    is_bounded: bool
    counts: NDArray[np.int64]

    def progress(
        self, side: str, policies: Sequence[str], seeds: Sequence[int]
    ) -> dict[str, Floats]:
        """Return the best true utility so far in each campaign, `e x budget` a policy.

        Args:
            side: `real` or `virtual`.
            policies: Of the panel.
            seeds: One campaign each; in the virtual lab each is another drawn world.
        """
        tables = self.real(seeds) if side == "real" else self.virtual(seeds)
        return {
            policy: np.stack(
                [
                    np.maximum.accumulate(
                        worth[self.player.play(policy, readings, seed=seed)]
                    )
                    for seed, readings, worth in zip(seeds, *tables, strict=True)
                ]
            )
            for policy in policies
        }

    def real(self, seeds: Sequence[int]) -> tuple[Floats, Floats]:
        """Return what measuring each row gives, and its true utility, `e x N` each."""
        n = len(self.lookup)
        readings = np.array(
            [
                [
                    self.lookup.observed.values[self.lookup.measure(row, seed=seed), 0]
                    for row in range(n)
                ]
                for seed in seeds
            ]
        )
        worth = _with_failures(self.lookup.utilities[:, 0])
        return readings, np.tile(worth, (len(seeds), 1))

    def virtual(self, seeds: Sequence[int]) -> tuple[Floats, Floats]:
        """Return the same of a table of the same replicates, measured in drawn worlds.

        As in the real table the truth of a row is the mean of its replicates, noise
        included: both labs are judged by what was measured in them.
        """
        n = len(self.lookup)
        rows = np.repeat(np.arange(n), self.counts)
        number = np.concatenate([np.arange(c) for c in self.counts])
        readings, worth = np.empty((len(seeds), n)), np.empty((len(seeds), n))
        latent = self.joint.latent(list(seeds))
        for e, seed in enumerate(seeds):
            noise = self.joint.noise([seed] * len(rows), rows, number)
            values = self.joint.calibrated(latent[e, rows] + noise, rows)
            measured = self._reported(values, rows, number, seed)
            first = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
            drawn = np.random.default_rng([seed, 4]).integers(self.counts)
            readings[e] = measured[first + drawn]
            truth = _means(measured, first)
            worth[e] = _with_failures(utility(self.player.objective, truth))
        return readings, worth

    def _reported(
        self,
        values: Floats,
        rows: NDArray[np.int64],
        number: NDArray[np.int64],
        seed: int,
    ) -> Floats:
        fails = np.zeros(len(rows), dtype=bool)
        if self.failure_rate > 0:
            keys = self.joint.keys
            chances = [
                chance_of_failure(seed, keys[row], int(i))
                for row, i in zip(rows, number, strict=True)
            ]
            fails = np.array(chances) < self.failure_rate
        protocol = self.lookup.protocol
        bounds = protocol.readouts[0].bounds
        if bounds is not None and self.is_bounded:
            values = np.clip(values, *bounds)
        return report(protocol, protocol.readout_names, values, fails)[0][:, 0]


def build_arena(
    lookup: Lookup, log: LogPlan, world: WorldPlan, *, budget: int, n_initial: int
) -> Arena:
    """Fit the world model to a biased log and prepare both labs.

    Raises:
        NotEnoughDataError: If the log holds too few numbers.
        InvalidInputError: If the behaviour cannot choose so many rows.
    """
    rows = biased_rows(lookup, behaviour=log.behaviour, n=log.n_rows, seed=log.seed)
    observations = log_of(lookup, rows, seed=log.seed)
    protocol, pool = lookup.protocol, lookup.pool
    model = fit(observations, protocol, recipe=world.recipe, pool=pool, seed=log.seed)
    named = with_names_only(protocol)
    kernels = {"default": frozen_kernel(observations, protocol, pool, seed=log.seed)}
    if named is not None:
        kernels["one_hot"] = frozen_kernel(observations, named, pool, seed=log.seed)
    player = Player(
        kernels,
        protocol.objectives[0],
        features(protocol, pool),
        budget,
        n_initial,
    )
    return Arena(
        lookup=lookup,
        joint=model.joint(pool),
        player=player,
        failure_rate=failure_rate(observations),
        is_bounded=world.is_bounded,
        counts=np.array([len(own) for own in lookup.replicates]),
    )


def panel_of(protocol: Protocol) -> tuple[str, ...]:
    """Return the policies of the panel that a protocol gives a meaning to."""
    has_molecules = with_names_only(protocol) is not None
    return tuple(
        name
        for name, policy in PANEL.items()
        if policy.kernel != "one_hot" or has_molecules
    )


def with_names_only(protocol: Protocol) -> Protocol | None:
    """Return the protocol with molecules as names without structure; None without any.

    A library that is the only parameter has none either: names alone tell nothing.
    """
    chosen = protocol.chosen_parameters
    if len(chosen) < 2 or not any(isinstance(p, MoleculeParameter) for p in chosen):
        return None
    parameters = tuple(_named(parameter) for parameter in protocol.parameters)
    return protocol.model_copy(update={"parameters": parameters})


def of_one_readout(lookup: Lookup) -> Lookup:
    """Return a table of the readout of its one objective only.

    Raises:
        InvalidInputError: If there are several objectives, outcome constraints, or the
            readout is no number.
    """
    protocol = lookup.protocol
    if len(protocol.objectives) != 1 or protocol.outcome_constraints:
        raise InvalidInputError(
            "Policies are compared by one objective without outcome constraints; "
            f"{protocol.name!r} has {len(protocol.objectives)} objectives and "
            f"{len(protocol.outcome_constraints)} constraints. Write a protocol with "
            "one objective."
        )
    readout = protocol.readout(protocol.objectives[0].readout)
    if readout.kind is not ReadoutKind.SCALAR:
        raise InvalidInputError(
            f"Policies are compared by a scalar readout; got {readout.name!r}, a "
            f"{readout.kind.value}. Declare a summary of it."
        )
    j = protocol.readout_names.index(readout.name)
    seen = lookup.observed
    return replace(
        lookup,
        protocol=protocol.model_copy(update={"readouts": (readout,)}),
        observed=Observations(
            seen.questions,
            (readout.name,),
            seen.values[:, [j]],
            seen.censoring[:, [j]],
            seen.statuses[:, [j]],
        ),
        truth=lookup.truth[:, [j]],
    )


def require_size(n_rows: int, n_log: int) -> None:
    """Refuse a pool or a log that is too large before any work.

    Raises:
        InvalidInputError: If either is.
    """
    if n_rows > MOST_QUESTIONS:
        raise InvalidInputError(
            f"A pool of at most {MOST_QUESTIONS} conditions is drawn as a whole; got "
            f"{n_rows}. Give a part of the table."
        )
    if n_log > MAX_LOG:
        raise InvalidInputError(
            f"A log has at most {MAX_LOG} rows here; got {n_log}. Ask for fewer."
        )


def _named(parameter: Parameter) -> Parameter:
    if not isinstance(parameter, MoleculeParameter):
        return parameter
    assert parameter.smiles  # a lookup's protocol lists every level
    return CategoricalParameter(
        kind="categorical", name=parameter.name, levels=parameter.smiles
    )


def _with_failures(worth: Floats) -> Floats:
    return np.where(np.isnan(worth), np.nanmin(worth), worth)


def _means(values: Floats, first: NDArray[np.int64]) -> Floats:
    is_number = ~np.isnan(values)
    sums = np.add.reduceat(np.where(is_number, values, 0.0), first)
    n = np.add.reduceat(is_number.astype(float), first)
    return np.divide(sums, n, out=np.full(len(n), np.nan), where=n > 0)
