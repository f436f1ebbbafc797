"""What a kinetics environment is about: curves to start, to read and to stop.

Shapes: `N` conditions, `w` waits, `n` reads, `m` readouts.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from labwm.errors import InvalidInputError, ProtocolError
from labwm.schema import Protocol, ReadoutKind
from labwm.space.questions import Questions
from labwm.world_model.dynamics import CurveModel
from labwm.world_model.dynamics.mechanism import Mechanism
from labwm.world_model.reward import RewardSpec, prices, reward_spec

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class KineticsTask:
    """Conditions that curves can be run at, and what reading them costs.

    Attributes:
        protocol: Says what is wanted and what a curve costs; all readouts are curves.
        pool: Conditions, `N` rows.
        models: One model of curves per readout, in the protocol's order; none where
            only the mechanism is played.
        mechanism: Kinetics that the world `mechanistic` plays, if any.
        end: Time at which a curve ends, in the unit of the axis.
        waits: Times that one can wait before a read, `w`.
        setup: Time to start a curve.
        n_reads: Reads of an episode.
        time_limit: Lab time of an episode, in the unit of the axis.
        read_price: Price of a read, in the protocol's currency.
        cost_weight: Reward that the whole budget of reads and curves costs.
        time_weight: Reward that the whole lab time costs.
        goal: Value of the reads, in units of the reward, at which an episode is won.

    Raises:
        InvalidInputError: If the pool is empty, a number is not positive, or there is
            neither a mechanism nor a model.
        ProtocolError: If a readout is no curve, or model and protocol disagree.
    """

    protocol: Protocol = field(repr=False)
    pool: Questions = field(repr=False)
    models: tuple[CurveModel, ...] = field(default=(), repr=False)
    mechanism: Mechanism | None = field(default=None, repr=False)
    end: float = 1.0
    waits: tuple[float, ...] = (0.1, 0.3, 1.0)
    setup: float = 0.0
    n_reads: int = 24
    time_limit: float = 10.0
    read_price: float = 1.0
    cost_weight: float = 0.1
    time_weight: float = 0.1
    goal: float | None = None

    def __post_init__(self) -> None:
        numbers = (self.end, self.n_reads, self.time_limit, *self.waits)
        if not len(self.pool) or not self.waits or min(numbers) <= 0 or self.setup < 0:
            raise InvalidInputError(
                "A kinetics environment needs conditions, a wait, and positive times "
                f"and reads; got {len(self.pool)} conditions, waits {self.waits}, "
                f"end {self.end}, {self.n_reads} reads, time limit {self.time_limit} "
                f"and setup {self.setup}. Raise what is not positive."
            )
        if not self.models and self.mechanism is None:
            raise InvalidInputError(
                "A kinetics environment plays models or a mechanism; got neither. "
                "Fit one with `fit_curves`, or declare one."
            )
        names = self.protocol.readout_names
        told = {tuple(model.card.readout for model in self.models) or names}
        told |= {names if self.mechanism is None else self.mechanism.readouts}
        kinds = {readout.kind for readout in self.protocol.readouts}
        if told != {names} or kinds != {ReadoutKind.CURVE}:
            raise ProtocolError(
                "Models and mechanism give the protocol's readouts, all of them "
                f"curves, in its order, {list(names)}; got {sorted(told)} of kinds "
                f"{sorted(kinds)}. Fit one model per readout."
            )

    @property
    def worlds(self) -> tuple[str, ...]:
        """Kinds of world that can be played; the first is the default."""
        own = ("posterior_draw", "posterior_mean") if self.models else ()
        return own + (("mechanistic",) if self.mechanism else ())

    @cached_property
    def belief(self) -> tuple[Floats, Floats]:
        """Mean and deviation expected at the end of a curve, `N x m` each.

        Without a model nothing is expected: every curve may do what any would.
        """
        if self.models:
            said = [[f.predict([self.end]) for f in model.forecasts(self.pool)]
                    for model in self.models]  # fmt: skip
            mean = [[float(p.mean[0, 0]) for p in own] for own in said]
            sd = [[float(p.sd[0, 0]) for p in own] for own in said]
            return np.array(mean).T, np.array(sd).T
        ends = self._ends
        shape = (len(self.pool), ends.shape[1])
        return (
            np.broadcast_to(ends.mean(axis=0), shape).copy(),
            np.broadcast_to(ends.std(axis=0), shape).copy(),
        )

    @cached_property
    def _ends(self) -> Floats:
        assert self.mechanism is not None  # asked for without a model only
        time = np.array([self.end])
        return np.array(
            [self.mechanism.course(row, self.end)(time)[0] for row in self.pool.rows()]
        )

    @cached_property
    def reward(self) -> RewardSpec:
        """How reads are worth something, in the scale of the ends of curves."""
        ends = self.belief[0] if self.models else self._ends
        return reward_spec(self.protocol, ends, cost_weight=self.cost_weight)

    @cached_property
    def centre(self) -> Floats:
        """Mean of what is expected of the ends, `m`."""
        return self.belief[0].mean(axis=0)

    @cached_property
    def scale(self) -> Floats:
        """Standard deviation of what the ends may be, `m`."""
        mean, sd = self.belief
        variance = mean.var(axis=0) + np.mean(sd**2, axis=0)
        return np.sqrt(np.where(variance > 0, variance, 1.0))

    @cached_property
    def prices(self) -> Floats:
        """Price of starting a curve at each of the conditions, `N`."""
        return prices(self.protocol.costs, self.pool.rows())

    @cached_property
    def money(self) -> float:
        """What every read costs, and as many mean curves as fit the time."""
        n_curves = max(1.0, self.time_limit / (self.setup + self.end))
        return self.n_reads * self.read_price + n_curves * float(self.prices.mean())


@dataclass(frozen=True)
class RunningCurve:
    """A curve that is running.

    Attributes:
        row: Of the pool.
        replicate: How many curves at these conditions there were before.
        time: Since its start.
    """

    row: int
    replicate: int
    time: float


@dataclass(frozen=True)
class KineticsEpisode:
    """Everything since a reset; never changed, only followed.

    Attributes:
        world: Kind of the world that is played.
        seed: Of the world.
        run: The curve that is running, if any.
        clock: Lab time spent.
        spent: Money spent.
        starts: Rows of the pool in the order in which curves were started.
        rows: Row of each read, `n`.
        times: Time of each read since its curve's start, `n`.
        values: What was read, `n x m`.
        has_ended: No step follows.
    """

    world: str
    seed: int
    values: Floats
    run: RunningCurve | None = None
    clock: float = 0.0
    spent: float = 0.0
    starts: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()
    times: tuple[float, ...] = ()
    has_ended: bool = False

    def started(self, row: int, *, setup: float, price: float) -> "KineticsEpisode":
        """Return the episode with a new curve; one that runs is stopped."""
        return replace(
            self,
            run=RunningCurve(row, self.starts.count(row), 0.0),
            starts=(*self.starts, row),
            clock=self.clock + setup,
            spent=self.spent + price,
        )

    def waited(self, time: float) -> "KineticsEpisode":
        """Return the episode after some time; a running curve goes on."""
        run = None if self.run is None else replace(self.run, time=self.run.time + time)
        return replace(self, clock=self.clock + time, run=run)

    def read(self, values: Floats, price: float) -> "KineticsEpisode":
        """Return the episode after a read of the running curve; `values` is `1 x m`."""
        assert self.run is not None  # only a running curve is read
        return replace(
            self,
            rows=(*self.rows, self.run.row),
            times=(*self.times, self.run.time),
            values=np.concatenate([self.values, values]),
            spent=self.spent + price,
        )

    def stopped(self) -> "KineticsEpisode":
        """Return the episode with no curve running."""
        return replace(self, run=None)

    def ended(self) -> "KineticsEpisode":
        """Return the episode after which no step follows."""
        return replace(self, has_ended=True)
