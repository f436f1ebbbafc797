"""The default world model: one exact Gaussian process per readout.

Shapes: `q` questions, `m` readouts, `k` new rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from labwm.errors import InvalidInputError, NotFoundError, suggest
from labwm.schema import CalibrationMap, ModelCard, Prediction
from labwm.space.questions import Observations, Questions, concatenate
from labwm.world_model.calibration import fit_feedback_calibration
from labwm.world_model.censoring import site
from labwm.world_model.classifier import Classifier
from labwm.world_model.contract import World
from labwm.world_model.full_scale import FullScaleSurrogate
from labwm.world_model.joint import JointPosterior, joint_posterior
from labwm.world_model.marginals import POOL, Marginals
from labwm.world_model.outcomes import success_of
from labwm.world_model.surrogate import Surrogate
from labwm.world_model.training import rows_of
from labwm.world_model.world import (
    GaussianProcessWorld,
    PassDraw,
    draw_path,
    keys_of,
)

Floats = NDArray[np.float64]
AnySurrogate = Surrogate | FullScaleSurrogate

TOGETHER = 2**16
PASSES = 2**17
"""Names the one draw that readouts share which share a process."""


@dataclass(frozen=True)
class GaussianProcessModel:
    """Posterior over outcomes; see `labwm.world_model.contract.WorldModel`.

    Attributes:
        card: What it is and learnt from.
        surrogates: Inner posterior of each readout, length `m`; standardised units.
        calibration: Monotone map of each readout, length `m`.
        observations: Every row learnt from.
        keys: For each readout the conditions that its surrogate's rows stand for.
        thetas: For each readout the hyperparameters' logarithms, to start a fit from.
        residuals: For each readout the standardised residuals of rows that were not
            seen, which the calibration was learnt from.
        success: Probability that an experiment gives a value at all.
        passes: For each readout the probability of a pass, None where it is a number.
        is_shared: Does each readout's surrogate hold the rows of all of them?
    """

    card: ModelCard
    surrogates: tuple[Surrogate | FullScaleSurrogate, ...]
    calibration: tuple[CalibrationMap, ...]
    observations: Observations
    keys: tuple[tuple[bytes, ...], ...]
    thetas: tuple[NDArray[np.float64], ...]
    residuals: tuple[Floats, ...]
    success: Classifier
    passes: tuple[Classifier | None, ...]
    is_shared: bool

    @property
    def _marginals(self) -> Marginals:
        return Marginals(
            self.card.readouts,
            self.card.units,
            self.surrogates,
            self.calibration,
            self.card.is_split_identified,
            self.passes,
        )

    def predict(self, questions: Questions) -> Prediction:
        """Predict the outcome of measuring each question once, noise included.

        `POOL` questions and more are predicted block by block and, by a model of many
        rows, in single precision: to a relative `stream.TOLERANCE`.

        Raises:
            SpaceError: If a condition that the protocol declares is absent.
            MoleculeError: If a SMILES is not a molecule.
        """
        state = self._marginals.of_pool if len(questions) >= POOL else self._marginals
        prediction = state(questions)
        return replace(prediction, success=self.success.probability(questions))

    def draw_world(self, seed: int) -> World:
        """Draw one world; its outcomes follow what `predict` states."""
        paths = tuple(
            # One process of several readouts is drawn once: its readouts vary together.
            draw_path(surrogate, keys, seed, TOGETHER if self.is_shared else j)
            for j, (surrogate, keys) in enumerate(
                zip(self.surrogates, self.keys, strict=True)
            )
        )
        passes = {
            j: self._pass_draw(one, seed, j)
            for j, one in enumerate(self.passes)
            if one is not None
        }
        return GaussianProcessWorld(seed, paths, self._marginals, passes)

    def _pass_draw(self, passes: Classifier, seed: int, j: int) -> PassDraw:
        if passes.surrogate is None:
            return PassDraw(None, passes.rate)
        keys = [b"%d" % i for i in range(len(passes.surrogate.targets))]
        return PassDraw(
            draw_path(passes.surrogate, keys, seed, PASSES + j), passes.rate
        )

    def joint(self, questions: Questions) -> JointPosterior:
        """Return the joint posterior of some questions, to draw many worlds on them.

        Raises:
            InvalidInputError: If there are none, or too many for one covariance.
        """
        return joint_posterior(self._marginals, questions)

    def condition_on(self, observations: Observations) -> "GaussianProcessModel":
        """Return the posterior after more rows, without refitting hyperparameters.

        Rows without a number teach where experiments fail, or nothing; the calibration
        stays as it was learnt.

        Raises:
            InvalidInputError: If the readouts are not those of the model.
        """
        if observations.readouts != self.card.readouts:
            raise InvalidInputError(
                "A model learns from rows of its own readouts; got "
                f"{observations.readouts} instead of {self.card.readouts}. Select "
                "the readouts first."
            )
        keys = keys_of(observations.questions)
        surrogates, known = [], []
        for j, surrogate in enumerate(self.surrogates):
            if self.is_shared:
                grown, new = self._grown_together(surrogate, observations, keys)
            else:
                grown, new = _grown((surrogate, surrogate), observations, j, keys)
            surrogates.append(grown)
            known.append(self.keys[j] + new)
        together = _joined(self.observations, observations)
        return replace(
            self,
            card=self.card.model_copy(
                update={
                    "n_rows": len(together),
                    "n_failed": int(together.is_failed.sum()),
                    "data_sha256": together.digest(),
                }
            ),
            surrogates=tuple(surrogates),
            observations=together,
            keys=tuple(known),
            success=_told(self.success, observations),
            passes=tuple(
                None if one is None else _told_passes(one, observations, j)
                for j, one in enumerate(self.passes)
            ),
        )

    def _grown_together(
        self, surrogate: AnySurrogate, observations: Observations, keys: Sequence[bytes]
    ) -> tuple[AnySurrogate, tuple[bytes, ...]]:
        names: tuple[bytes, ...] = ()
        for k, view in enumerate(self.surrogates):
            surrogate, new = _grown((surrogate, view), observations, k, keys)
            names += tuple(key + b"#%d" % k for key in new)
        return surrogate, names

    def under_feedback(self, errors: Mapping[str, Floats]) -> "GaussianProcessModel":
        """Return the model with intervals for what a policy chooses by its advice.

        See `labwm.world_model.contract.SupportsFeedback`.

        Raises:
            NotFoundError: If an error is of a readout that the model does not have.
        """
        if unknown := sorted(set(errors) - set(self.card.readouts)):
            raise NotFoundError(
                f"Errors are of the model's readouts; got {unknown[0]!r}. "
                f"{suggest(unknown[0], self.card.readouts)}"
            )
        none = np.empty(0)
        given = [np.asarray(errors.get(name, none)) for name in self.card.readouts]
        maps = tuple(
            fit_feedback_calibration(own, e)
            for own, e in zip(self.residuals, given, strict=True)
        )
        note = (
            "Intervals are for questions that a policy chooses, with "
            f"{sum(map(len, given))} errors of predictions stated before."
        )
        card = self.card.model_copy(update={"notes": (*self.card.notes, note)})
        return replace(self, card=card, calibration=maps)

    def support(self, questions: Questions) -> Floats:
        """Return how close each question is to the data, in [0, 1], length `q`.

        It is the share of the prior variance around the mean that the data removed, of
        the readout that is known least.
        """
        return self._marginals.support(questions)


def _grown(
    pair: tuple[AnySurrogate, AnySurrogate],
    observations: Observations,
    j: int,
    keys: Sequence[bytes],
) -> tuple[AnySurrogate, tuple[bytes, ...]]:
    """Append the rows of readout `j`; the second of the pair encodes that readout."""
    surrogate, view = pair
    rows = rows_of(observations, j, keys)
    if not len(rows.mean):
        return surrogate, ()
    inputs = view.encode(observations.questions.take(rows.source))
    targets = view.standardised(torch.from_numpy(rows.mean))
    noise = torch.full_like(targets, view.noise_variance)
    if isinstance(view, Surrogate) and view.noise_slope:
        noise = view.noise_at(view.mean_and_variance(inputs)[0])
    noise = noise / torch.from_numpy(rows.n_replicates)
    known = torch.from_numpy(np.flatnonzero(~rows.is_censored))
    grown = surrogate
    if len(known):
        grown = grown.append(inputs.take(known), targets[known], noise[known])
    order = known.tolist()
    limits = np.flatnonzero(rows.is_censored).tolist()
    # Limits one after another, each seen in the light of those before it; very many
    # rows are not moved by one of them, and theirs are seen at once.
    together = isinstance(grown, FullScaleSurrogate) and len(limits) > 0
    for part in [limits] if together else [[i] for i in limits]:
        asked = inputs.take(torch.tensor(part))
        # A readout of negative scale falls when the standardised function rises.
        side = np.sign(view.scale) * torch.from_numpy(rows.limit[part]).double()
        said = grown.latent(asked)
        y, s2 = site(said.mean, said.variance, targets[part], side, view.noise_variance)
        grown = grown.append(asked, y, s2)
        order += part
    return grown, tuple(rows.key[i] for i in order)


def _told(success: Classifier, observations: Observations) -> Classifier:
    labels = success_of(observations)
    known = np.flatnonzero(~np.isnan(labels))
    return success.append(observations.questions.take(known), labels[known])


def _told_passes(passes: Classifier, observations: Observations, j: int) -> Classifier:
    known = np.flatnonzero(np.isfinite(observations.values[:, j]))
    labels = observations.values[known, j]
    return passes.append(observations.questions.take(known), labels)


def _joined(a: Observations, b: Observations) -> Observations:
    questions = concatenate([a.questions, b.questions])
    if a.questions.time is not None and b.questions.time is not None:
        time = np.concatenate([a.questions.time, b.questions.time])
        questions = replace(questions, time=time)
    return Observations(
        questions,
        a.readouts,
        np.concatenate([a.values, b.values]),
        np.concatenate([a.censoring, b.censoring]),
        np.concatenate([a.statuses, b.statuses]),
    )
