"""`TaskPrior`: what an assay is expected to say, and what a few rows of it teach.

Shapes: `q` items of a pool, `n` rows learnt from, `k` kinds of assays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labwm.data.assays import Assay, above_median
from labwm.errors import InvalidInputError, MoleculeError
from labwm.world_model.linear_algebra import cholesky, threads_for
from labwm.world_model.tasks.card import TaskCard
from labwm.world_model.tasks.items import ItemKind, Items, encode_items, similarity
from labwm.world_model.tasks.mixture import StudentMixture
from labwm.world_model.tasks.network import LABEL, VALUE, TaskNetwork
from labwm.world_model.tasks.process import (
    Batch,
    Conditioned,
    Kinds,
    condition,
    covariance,
    kinds_of,
    variance,
)
from labwm.world_model.tasks.targets import targets_and_noise

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Output = Literal["value", "label"]

BLOCK: Final = 4096
"""Items predicted at once."""
MOST_DRAWN: Final = 4096
"""Items of one draw: its covariance is dense."""


@dataclass(frozen=True)
class Pool:
    """Items that a new assay may measure, encoded once.

    Attributes:
        names: As written, length `q`.
        items: Encoded.
        features: From the network, `q x d`.
        means: What each kind expects, `q x 2 x k`.
    """

    names: tuple[str, ...]
    items: Items
    features: Tensor
    means: Tensor

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class TaskPrior:
    """A distribution of assays, learnt from many; see `learn_tasks`.

    Attributes:
        network: Features of items and kinds of assays.
        kind: Of items.
        location: Zero of the standard units, in the unit of the values.
        scale: One standard unit, in the unit of the values.
        card: What it was learnt from.
    """

    network: TaskNetwork
    kind: ItemKind
    location: float
    scale: float
    card: TaskCard

    def pool(self, names: Sequence[str]) -> Pool:
        """Encode the items of a new assay; costs 0.3 ms per molecule.

        Raises:
            MoleculeError: If an item cannot be read.
            InvalidInputError: If there is none.
        """
        if not len(names):
            raise InvalidInputError(
                "An assay has at least one item; got none. Name what it may measure."
            )
        items = encode_items(names, self.kind)
        if not items.is_readable.all():
            first = names[int(np.argmin(items.is_readable))]
            raise MoleculeError(
                f"Every item of a pool is a readable {self.kind}; got {first!r}. "
                "Correct or leave out what cannot be read."
            )
        return self.pool_of(tuple(names), items)

    def pool_of(self, names: tuple[str, ...], items: Items) -> Pool:
        """Return the pool of items that are encoded already."""
        self.network.eval()
        with torch.no_grad():
            encoded = self.network(items.counts)
        return Pool(names, items, encoded.features, encoded.means)

    def prior_for(self, pool: Pool, output: Output = "value") -> "TaskModel":
        """Return what is expected of a new assay before any of it is measured.

        Args:
            pool: Items that the assay may measure.
            output: `value`, or `label`: +1 for active and -1 for the others.
        """
        which = VALUE if output == "value" else LABEL
        units = (self.location, self.scale) if output == "value" else (0.0, 1.0)
        with torch.no_grad():
            kinds = kinds_of(self.network, which)
        return TaskModel(pool, kinds, pool.means[:, which], units)

    def draw(self, pool: Pool, seed: int) -> Assay:
        """Draw a synthetic assay of a pool: its kind, scale, function and noise.

        The upper half of its values counts as active.

        Raises:
            InvalidInputError: If the pool is too large for one covariance.
        """
        model = self.prior_for(pool)
        values = model.draw(np.arange(len(pool)), seed=seed)
        return Assay(
            name=f"draw-{seed}",
            items=pool.names,
            values=values,
            limits=np.zeros(len(pool), np.int8),
            is_active=above_median(values),
        )


@dataclass(frozen=True)
class TaskModel:
    """Posterior of one assay on a pool; immutable.

    Attributes:
        pool: Items that may be asked about.
        kinds: Hyperparameters of each kind of assay.
        means: What each kind expects of each item, `q x k`.
        units: Zero and size of the standard units.
        rows: Items of the pool learnt from, length `n`; replicates appear again.
        values: What they gave, standardised, length `n`.
        limits: See `Assay`, length `n`.
    """

    pool: Pool
    kinds: Kinds
    means: Tensor
    units: tuple[float, float]
    rows: Indices = field(default_factory=lambda: np.empty(0, np.int64))
    values: Floats = field(default_factory=lambda: np.empty(0))
    limits: NDArray[np.int8] = field(default_factory=lambda: np.empty(0, np.int8))

    def condition_on(
        self, rows: Indices, values: Floats, limits: NDArray[np.int8] | None = None
    ) -> "TaskModel":
        """Return the posterior after more rows.

        Args:
            rows: Places in the pool.
            values: Measured there, in natural units; NaN teaches nothing.
            limits: -1 where the outcome is at most the value, +1 at least; all numbers
                when None.

        Raises:
            InvalidInputError: If lengths differ, a row is not in the pool, or a value
                is infinite.
        """
        found = np.zeros(len(rows), np.int8) if limits is None else limits
        _require_rows(rows, len(self.pool))
        if not len(rows) == len(values) == len(found):
            raise InvalidInputError(
                "Every row has one value and one limit; got "
                f"{len(rows)}, {len(values)} and {len(found)}. Give one of each."
            )
        if np.isinf(values).any():
            raise InvalidInputError(
                "A measured value is finite; got infinity. Write a limit as its value "
                "with a sign in `limits`."
            )
        location, scale = self.units
        known = ~np.isnan(values)
        new = (values[known] - location) / scale
        return replace(
            self,
            rows=np.concatenate([self.rows, rows[known]]),
            values=np.concatenate([self.values, new]),
            limits=np.concatenate([self.limits, found[known]]),
        )

    def predict(self, rows: Indices) -> StudentMixture:
        """Predict measuring some items once, noise included, in natural units.

        Raises:
            InvalidInputError: If a row is not in the pool.
        """
        _require_rows(rows, len(self.pool))
        parts = [rows[i : i + BLOCK] for i in range(0, len(rows), BLOCK)]
        with torch.no_grad(), threads_for(len(self.rows)):
            said = [self._latent(part) for part in parts]
        mean = torch.cat([m for m, _ in said], 1)
        spread = torch.cat([v for _, v in said], 1) + self.kinds.noise[:, None]
        dof, size = 2 * self._seen.shape[0], self._seen.rate[0] / self._seen.shape[0]
        location, scale = self.units
        return StudentMixture(
            _numpy(torch.softmax(self._seen.log_evidence[0], -1)),
            location + scale * _numpy(mean),
            scale * _numpy((size[:, None] * spread).sqrt()),
            _numpy(dof),
        )

    def draw(self, rows: Indices, *, seed: int) -> Floats:
        """Draw one assay from the posterior and measure some items in it once.

        Raises:
            InvalidInputError: If a row is not in the pool, or there are too many.
        """
        _require_rows(rows, len(self.pool))
        if len(rows) > MOST_DRAWN:
            raise InvalidInputError(
                f"One draw is of at most {MOST_DRAWN} items; got {len(rows)}. Draw on "
                "some of them."
            )
        rng = np.random.default_rng(seed)
        shares = _numpy(torch.softmax(self._seen.log_evidence[0], -1))
        kind = int(rng.choice(len(shares), p=shares / shares.sum()))
        with torch.no_grad(), threads_for(len(rows)):
            mean, spread = self._joint(rows, kind)
            factor = cholesky(spread.double())
        shape, rate = (float(x[0, kind]) for x in (self._seen.shape, self._seen.rate))
        size = rate / rng.gamma(shape)
        drawn = _numpy(mean) + np.sqrt(size) * (
            factor.numpy() @ rng.standard_normal(len(rows))
        )
        location, scale = self.units
        return location + scale * drawn

    @cached_property
    def _seen(self) -> Conditioned:
        targets, noise = targets_and_noise(self.values, self.limits)
        n = len(self.rows)
        at = torch.from_numpy(self.rows)
        own = self.pool.items.take(self.rows)
        batch = Batch(
            self.pool.features[at][None],
            self.means[at][None],
            torch.from_numpy(similarity(own, own))[None],
            torch.from_numpy(targets).float()[None],
            torch.from_numpy(noise).float()[None],
            torch.ones(1, n, dtype=torch.bool),
        )
        with torch.no_grad(), threads_for(n):
            return condition(self.kinds, batch)

    def _cross(self, rows: Indices) -> Tensor:
        at = torch.from_numpy(rows)
        like = similarity(self.pool.items.take(self.rows), self.pool.items.take(rows))
        known = self.pool.features[torch.from_numpy(self.rows)]
        block = covariance(
            self.kinds,
            known[None],
            self.pool.features[at][None],
            torch.from_numpy(like)[None],
        )
        return torch.linalg.solve_triangular(
            self._seen.factor[0], block[0], upper=False
        )

    def _latent(self, rows: Indices) -> tuple[Tensor, Tensor]:
        at = torch.from_numpy(rows)
        half = self._cross(rows)
        mean = self.means[at].T + torch.einsum(
            "knq,kn->kq", half, self._seen.whitened[0]
        )
        left = variance(self.kinds, self.pool.features[at]) - (half * half).sum(1)
        return mean, left.clamp_min(1e-6)

    def _joint(self, rows: Indices, kind: int) -> tuple[Tensor, Tensor]:
        at = torch.from_numpy(rows)
        own, features = self.pool.items.take(rows), self.pool.features[at][None]
        like = torch.from_numpy(similarity(own, own))[None]
        prior = covariance(self.kinds, features, features, like)[0, kind]
        half = self._cross(rows)[kind]
        mean = self.means[at, kind] + half.T @ self._seen.whitened[0, kind]
        spread = prior - half.T @ half
        return mean, spread + self.kinds.noise[kind] * torch.eye(len(rows))


def _require_rows(rows: Indices, n: int) -> None:
    if len(rows) and not (rows.min() >= 0 and rows.max() < n):
        raise InvalidInputError(
            f"Rows are places in a pool of {n} items, from 0; got {rows.min()} to "
            f"{rows.max()}. Count again."
        )


def _numpy(tensor: Tensor) -> Floats:
    return tensor.double().numpy()
